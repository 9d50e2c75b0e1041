# Makes functions.c: the Lua library as one array, its first lines naming engine, library and version.
# cmake -DVERSION=1 -DOUT=functions.c -DPARTS="a.lua;b.lua" -P embed_functions.cmake
set(text "#!lua name=desg_${VERSION}\nlocal LIBRARY = 'desg_${VERSION}'\n")
foreach(part IN LISTS PARTS)
  file(READ ${part} lua)
  string(APPEND text "${lua}")
endforeach()
file(WRITE ${OUT}.lua "${text}") # for people, and so that file(READ … HEX) sees the whole
file(READ ${OUT}.lua hex HEX)
string(REGEX REPLACE "(..)" "0x\\1," bytes "${hex}")
file(WRITE ${OUT} "#include \"store/functions.h\"\nconst char store_functions[] = {${bytes}0};\n"
  "const unsigned store_functions_version = ${VERSION};\n")
