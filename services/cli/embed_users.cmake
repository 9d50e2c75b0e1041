# Makes redis_users.c: the text of deploy/redis/users.acl. cmake -DIN=users.acl -DOUT=redis_users.c -P embed_users.cmake
file(READ ${IN} hex HEX)
string(REGEX REPLACE "(..)" "0x\\1," bytes "${hex}")
file(WRITE ${OUT} "#include \"cli/redis_users.h\"\nconst char redis_users[] = {${bytes}0};\n")
