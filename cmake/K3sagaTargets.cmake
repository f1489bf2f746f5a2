# How every library, program and test of this project is built. Two precompiled headers keep the build lean on two cores:
# `light` (standard library, Abseil's status and strings) and `rpc` (gRPC besides).

add_library(k3saga_flags INTERFACE)
target_include_directories(k3saga_flags INTERFACE ${PROJECT_SOURCE_DIR} ${PROJECT_BINARY_DIR}/proto)
target_compile_definitions(k3saga_flags INTERFACE K3SAGA_VERSION="${PROJECT_VERSION}")
# -pthread everywhere: a precompiled header is only used where the same macros are set.
target_compile_options(k3saga_flags INTERFACE -pthread -Wall -Wextra -Werror -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual)

# Generated code and its headers are not ours to warn about.
function(k3saga_quiet target)
  target_compile_options(${target} PRIVATE -w)
endfunction()

file(MAKE_DIRECTORY ${PROJECT_BINARY_DIR}/pch)
file(WRITE ${PROJECT_BINARY_DIR}/pch/empty.cc "")

add_library(k3saga_pch_light STATIC ${PROJECT_BINARY_DIR}/pch/empty.cc)
target_link_libraries(k3saga_pch_light PUBLIC k3saga_flags absl::status absl::statusor absl::strings)
target_precompile_headers(k3saga_pch_light PRIVATE
  <algorithm> <cstdint> <functional> <map> <memory> <optional> <set> <string> <string_view> <utility> <vector>
  <absl/status/status.h> <absl/status/statusor.h> <absl/strings/str_cat.h> <absl/strings/str_join.h>
  <absl/strings/str_split.h>)

add_library(k3saga_pch_rpc STATIC ${PROJECT_BINARY_DIR}/pch/empty.cc)
target_link_libraries(k3saga_pch_rpc PUBLIC k3saga_flags absl::status absl::statusor absl::strings gRPC::grpc++)
target_precompile_headers(k3saga_pch_rpc PRIVATE
  <algorithm> <cstdint> <functional> <map> <memory> <mutex> <optional> <set> <string> <string_view> <thread> <utility> <vector>
  <absl/status/status.h> <absl/status/statusor.h> <absl/strings/str_cat.h> <absl/strings/str_join.h>
  <absl/strings/str_split.h> <grpcpp/grpcpp.h>)

# Tests spend their time waiting, not computing: compiled without optimising, a third of their build time is saved.
add_library(k3saga_test_flags INTERFACE)
target_link_libraries(k3saga_test_flags INTERFACE k3saga_flags)
target_compile_options(k3saga_test_flags INTERFACE -O0)

add_library(k3saga_pch_test STATIC ${PROJECT_BINARY_DIR}/pch/empty.cc)
target_link_libraries(k3saga_pch_test PUBLIC k3saga_test_flags absl::status absl::statusor absl::strings GTest::gtest)
target_precompile_headers(k3saga_pch_test PRIVATE
  <algorithm> <cstdint> <functional> <map> <memory> <optional> <set> <string> <string_view> <utility> <vector>
  <absl/status/status.h> <absl/status/statusor.h> <absl/strings/str_cat.h> <gtest/gtest.h> <gmock/gmock.h>)

# k3saga_library(NAME [RPC] SOURCES ... LINK ...)
function(k3saga_library name)
  cmake_parse_arguments(ARG "RPC" "" "SOURCES;LINK" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  target_link_libraries(${name} PUBLIC k3saga_flags absl::status absl::statusor absl::strings ${ARG_LINK})
  if(ARG_RPC)
    target_link_libraries(${name} PUBLIC gRPC::grpc++)
    target_precompile_headers(${name} REUSE_FROM k3saga_pch_rpc)
  else()
    target_precompile_headers(${name} REUSE_FROM k3saga_pch_light)
  endif()
endfunction()

# k3saga_program(NAME [RPC] SOURCES ... LINK ...): ends up in build/bin.
function(k3saga_program name)
  cmake_parse_arguments(ARG "RPC" "" "SOURCES;LINK" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bin)
  target_link_libraries(${name} PRIVATE k3saga_flags absl::status absl::statusor absl::strings ${ARG_LINK})
  if(ARG_RPC)
    target_link_libraries(${name} PRIVATE gRPC::grpc++)
    target_precompile_headers(${name} REUSE_FROM k3saga_pch_rpc)
  else()
    target_precompile_headers(${name} REUSE_FROM k3saga_pch_light)
  endif()
endfunction()

# k3saga_test(NAME [SERIAL] [TIMEOUT seconds] [LABELS ...] SOURCES ... LINK ...): one ctest entry, run in parallel with the others.
function(k3saga_test name)
  cmake_parse_arguments(ARG "SERIAL" "TIMEOUT" "SOURCES;LINK;LABELS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)
  target_link_libraries(${name} PRIVATE k3saga_test_flags ${ARG_LINK} GTest::gtest GTest::gmock GTest::gtest_main)
  target_precompile_headers(${name} REUSE_FROM k3saga_pch_test)
  add_test(NAME ${name} COMMAND ${name} WORKING_DIRECTORY ${PROJECT_BINARY_DIR})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 120)
  endif()
  set_tests_properties(${name} PROPERTIES TIMEOUT ${ARG_TIMEOUT} LABELS "${ARG_LABELS}")
  if(ARG_SERIAL)
    set_tests_properties(${name} PROPERTIES RUN_SERIAL TRUE)
  endif()
endfunction()
