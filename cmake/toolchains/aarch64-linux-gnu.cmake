# arm64 packages built on amd64 with Debian's own cross compiler and multiarch libraries (docs/install.md says how).
# Code generators (protoc, grpc_cpp_plugin) run on this machine and stay native.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)
set(CMAKE_LIBRARY_ARCHITECTURE aarch64-linux-gnu)
set(CMAKE_STRIP aarch64-linux-gnu-strip)
set(ENV{PKG_CONFIG_LIBDIR} /usr/lib/aarch64-linux-gnu/pkgconfig:/usr/share/pkgconfig)

# With an emulator ctest can run what was built.
find_program(K3SAGA_EMULATOR qemu-aarch64-static)
if(K3SAGA_EMULATOR)
  set(CMAKE_CROSSCOMPILING_EMULATOR ${K3SAGA_EMULATOR})
endif()
