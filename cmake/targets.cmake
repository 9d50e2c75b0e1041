# What every target of ours shares: one INTERFACE target for warnings, hardening and sanitizers.
add_library(desg_options INTERFACE)
target_compile_features(desg_options INTERFACE c_std_17)
target_compile_definitions(desg_options INTERFACE _GNU_SOURCE DESG_VERSION="${PROJECT_VERSION}")
target_compile_options(desg_options INTERFACE
  -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wcast-align
  -Wwrite-strings -Wundef -Wformat=2 -Wvla -Wimplicit-fallthrough
  -fstack-protector-strong -fPIE -fno-strict-aliasing)
target_link_options(desg_options INTERFACE -pie -Wl,-z,relro,-z,now)
set(CMAKE_C_FLAGS_RELWITHDEBINFO "-O2 -g") # asserts stay on
set(CMAKE_C_EXTENSIONS ON)
if(DESG_SANITIZE)
  target_compile_options(desg_options INTERFACE -fsanitize=${DESG_SANITIZE} -fno-sanitize-recover=undefined -fno-omit-frame-pointer)
  target_link_options(desg_options INTERFACE -fsanitize=${DESG_SANITIZE})
else()
  target_compile_definitions(desg_options INTERFACE $<$<CONFIG:RelWithDebInfo>:_FORTIFY_SOURCE=2>)
endif()
if(DESG_FUZZ)
  target_compile_options(desg_options INTERFACE -fsanitize=fuzzer-no-link)
  target_link_options(desg_options INTERFACE -fsanitize=fuzzer-no-link)
endif()

# desg_library(NAME SOURCES a.c … [PUBLIC targets…] [PRIVATE targets…])
# Includes of our own headers start at lib/ ("journal/journal.h") or at services/ for a service's modules.
function(desg_library name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;PUBLIC;PRIVATE")
  add_library(${name} STATIC ${arg_SOURCES})
  target_include_directories(${name} PUBLIC ${PROJECT_SOURCE_DIR}/lib ${PROJECT_SOURCE_DIR}/services)
  target_link_libraries(${name} PUBLIC ${arg_PUBLIC} PRIVATE desg_options ${arg_PRIVATE})
endfunction()

# desg_program(NAME SOURCES main.c LINK targets…): installed to sbin (bin for the command line)
function(desg_program name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;LINK")
  add_executable(${name} ${arg_SOURCES})
  target_link_libraries(${name} PRIVATE desg_options ${arg_LINK})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bin)
  install(TARGETS ${name} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endfunction()

# desg_test(NAME SOURCES test_x.c LINK targets… [TIMEOUT seconds]): one cmocka program
function(desg_test name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "TIMEOUT" "SOURCES;LINK")
  add_executable(${name} ${arg_SOURCES})
  target_link_libraries(${name} PRIVATE desg_options PkgConfig::CMOCKA ${arg_LINK})
  add_test(NAME ${name} COMMAND ${name})
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 300) # longer than a test's own patience, which says what it waited for
  endif()
  set_tests_properties(${name} PROPERTIES TIMEOUT ${arg_TIMEOUT} LABELS unit)
endfunction()

# desg_fuzzer(NAME SOURCES fuzz_x.c LINK targets… CORPUS dir): with DESG_FUZZ a libFuzzer program; otherwise the same
# entry point with a small driver that replays the corpus, so that every build runs it.
function(desg_fuzzer name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "CORPUS" "SOURCES;LINK")
  if(DESG_FUZZ)
    add_executable(${name} ${arg_SOURCES})
    target_link_options(${name} PRIVATE -fsanitize=fuzzer)
    add_test(NAME ${name} COMMAND ${name} -runs=0 ${arg_CORPUS})
  else()
    add_executable(${name} ${arg_SOURCES} ${PROJECT_SOURCE_DIR}/tests/fuzz/replay_corpus.c)
    add_test(NAME ${name} COMMAND ${name} ${arg_CORPUS})
  endif()
  target_link_libraries(${name} PRIVATE desg_options ${arg_LINK})
  set_tests_properties(${name} PROPERTIES TIMEOUT 120 LABELS fuzz)
endfunction()
