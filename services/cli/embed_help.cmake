# Makes help.c: every page of help/ as one table, by the file's name. cmake -DIN=help -DOUT=help.c -DPAGES="a.txt;b.txt" -P embed_help.cmake
set(arrays)
set(table)
foreach(page IN LISTS PAGES)
  string(REGEX REPLACE "\\.txt$" "" name ${page})
  file(READ ${IN}/${page} hex HEX)
  string(REGEX REPLACE "0a$" "" hex "${hex}") # puts adds the last one
  string(REGEX REPLACE "(..)" "0x\\1," bytes "${hex}")
  string(MAKE_C_IDENTIFIER ${name} variable)
  string(APPEND arrays "static const unsigned char page_${variable}[] = {${bytes}0};\n")
  string(APPEND table "    { \"${name}\", page_${variable} },\n")
endforeach()
file(WRITE ${OUT} "#include \"cli/help_pages.h\"\n${arrays}const struct help_page help_pages[] = {\n${table}    { 0, 0 },\n};\n")
