# Makes openapi.c: the document as one array. cmake -DIN=openapi.yaml -DOUT=openapi.c -P embed_openapi.cmake
file(READ ${IN} hex HEX)
string(REGEX REPLACE "(..)" "0x\\1," bytes "${hex}")
file(WRITE ${OUT} "#include \"desk/openapi.h\"\nconst char openapi_document[] = {${bytes}0};\n")
