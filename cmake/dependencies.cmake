# Every third-party library, once. Names are pkg-config's, the same on Debian 12 and 13.
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
pkg_check_modules(ZMQ REQUIRED IMPORTED_TARGET libzmq>=4.3.4)
pkg_check_modules(CZMQ REQUIRED IMPORTED_TARGET libczmq>=4.2)
pkg_check_modules(PROTOBUF_C REQUIRED IMPORTED_TARGET libprotobuf-c>=1.4)
pkg_check_modules(MICROHTTPD REQUIRED IMPORTED_TARGET libmicrohttpd>=0.9.75)
pkg_check_modules(CURL REQUIRED IMPORTED_TARGET libcurl>=7.88)
pkg_check_modules(HIREDIS REQUIRED IMPORTED_TARGET hiredis>=0.14)
pkg_check_modules(HIREDIS_SSL IMPORTED_TARGET hiredis_ssl>=1.0) # Debian 12 has none: then Redis is reached in plain, or through stunnel
if(HIREDIS_SSL_FOUND)
  pkg_check_modules(SSL REQUIRED IMPORTED_TARGET libssl>=3.0)
endif()
pkg_check_modules(LMDB REQUIRED IMPORTED_TARGET lmdb>=0.9.24)
pkg_check_modules(JANSSON REQUIRED IMPORTED_TARGET jansson>=2.14)
pkg_check_modules(CYAML REQUIRED IMPORTED_TARGET libcyaml>=1.3)
pkg_check_modules(YAML REQUIRED IMPORTED_TARGET yaml-0.1)
pkg_check_modules(CRYPTO REQUIRED IMPORTED_TARGET libcrypto>=3.0)
pkg_check_modules(UTF8PROC REQUIRED IMPORTED_TARGET libutf8proc>=2.6)
pkg_check_modules(MXML REQUIRED IMPORTED_TARGET mxml>=3.1)
pkg_check_modules(HYPERSCAN REQUIRED IMPORTED_TARGET libhs>=5.4) # Vectorscan installs the same name
pkg_check_modules(CMOCKA REQUIRED IMPORTED_TARGET cmocka>=1.1.5)
find_program(PROTOC_C protoc-c REQUIRED)
# liblinear brings no pkg-config file. Training needs it, nothing that judges does.
find_path(LINEAR_INCLUDE_DIRECTORY linear.h REQUIRED)
find_library(LINEAR_LIBRARY linear REQUIRED)
add_library(Linear::linear UNKNOWN IMPORTED)
set_target_properties(Linear::linear PROPERTIES
  IMPORTED_LOCATION ${LINEAR_LIBRARY} INTERFACE_INCLUDE_DIRECTORIES ${LINEAR_INCLUDE_DIRECTORY})
