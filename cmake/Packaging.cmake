# Debian packages, one a component, and one tarball of everything: `cmake --build --preset release --target packages`
# leaves them in build/release/packages.
set(CPACK_PACKAGE_NAME k3saga)
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "")  # each package has its own
set(CPACK_PACKAGE_VENDOR k3saga)
set(CPACK_PACKAGE_CONTACT "The k3saga authors <maintainers@k3saga.example>")
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
set(CPACK_PACKAGE_DIRECTORY ${PROJECT_BINARY_DIR}/packages)
set(CPACK_RESOURCE_FILE_LICENSE ${PROJECT_SOURCE_DIR}/LICENSE)
set(CPACK_STRIP_FILES ON)
# Absolute destinations (see InstallPaths.cmake) need a staging root.
set(CPACK_SET_DESTDIR ON)
set(CPACK_INCLUDE_TOPLEVEL_DIRECTORY OFF)
set(CPACK_INSTALL_PREFIX ${CMAKE_INSTALL_PREFIX})
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS
  OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
# Packages hold what is packaged, and building them does not build the tests.
set(CMAKE_SKIP_INSTALL_ALL_DEPENDENCY ON)
set(CPACK_COMPONENTS_ALL agent coordinator)
if(K3SAGA_BUILD_LAB)
  list(APPEND CPACK_COMPONENTS_ALL lab)
endif()

if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|amd64)$")
  set(debian_architecture amd64)
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "^(aarch64|arm64)$")
  set(debian_architecture arm64)
else()
  set(debian_architecture ${CMAKE_SYSTEM_PROCESSOR})
endif()

set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_PACKAGE_ARCHITECTURE ${debian_architecture})
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_COMPRESSION_TYPE xz)
set(CPACK_DEBIAN_PACKAGE_SECTION admin)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
if(CMAKE_CROSSCOMPILING)
  # dpkg-shlibdeps finds the other architecture's libraries where Debian's multiarch puts them.
  set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS_PRIVATE_DIRS /usr/lib/${CMAKE_LIBRARY_ARCHITECTURE})
endif()

# k3saga_debian(COMPONENT NAME SYNOPSIS DESCRIPTION): scripts and conffiles are taken from systemd/debian/COMPONENT.*
macro(k3saga_debian component name synopsis description)
  string(TOUPPER ${component} upper)
  set(CPACK_DEBIAN_${upper}_PACKAGE_NAME ${name})
  set(CPACK_DEBIAN_${upper}_DESCRIPTION "${synopsis}\n${description}")
  set(CPACK_DEBIAN_${upper}_PACKAGE_CONTROL_EXTRA)
  foreach(kind conffiles postinst prerm postrm)
    if(EXISTS ${PROJECT_SOURCE_DIR}/systemd/debian/${component}/${kind})
      list(APPEND CPACK_DEBIAN_${upper}_PACKAGE_CONTROL_EXTRA ${PROJECT_SOURCE_DIR}/systemd/debian/${component}/${kind})
    endif()
  endforeach()
endmacro()
k3saga_debian(agent k3saga-agent "upgrades k3s on this node when its coordinator asks"
"One runs on every node of a k3s cluster. It stages and verifies k3s releases,
runs k3s's installer with everything this node was installed with, watches k3s
become healthy again and puts back what it replaced when that fails. It serves
only coordinators of its own cluster's certificate authority.")
k3saga_debian(coordinator k3saga "upgrades a whole k3s cluster with one command"
"Takes a k3s cluster to another release as a durable saga: back up, servers one
at a time with etcd's quorum kept, workers in parallel, and a way back when
something fails. Needs k3saga-agent on every node; runs anywhere that reaches
them.")
k3saga_debian(lab k3saga-lab "k3s cluster on one machine to try k3saga on"
"Starts real k3saga agents for nodes that run a simulated k3s over real etcd,
with faults on demand. For trying k3saga and for its tests.")
set(CPACK_DEBIAN_LAB_PACKAGE_DEPENDS "k3saga (= ${PROJECT_VERSION}), k3saga-agent (= ${PROJECT_VERSION}), etcd-server, etcd-client")
# Neither has to run: a container gets the user and its folder too.
set(CPACK_DEBIAN_COORDINATOR_PACKAGE_DEPENDS "systemd | systemd-standalone-sysusers, systemd | systemd-standalone-tmpfiles")
set(CPACK_DEBIAN_AGENT_PACKAGE_DEPENDS "init-system-helpers (>= 1.52), systemd")
set(CPACK_DEBIAN_AGENT_PACKAGE_RECOMMENDS "ca-certificates")

set(CPACK_GENERATOR "DEB;TGZ")
set(CPACK_ARCHIVE_COMPONENT_INSTALL OFF)
set(CPACK_PACKAGE_FILE_NAME "k3saga-${PROJECT_VERSION}-linux-${debian_architecture}")
include(CPack)

get_property(packaged GLOBAL PROPERTY K3SAGA_PACKAGED)
add_custom_target(packages
  COMMAND ${CMAKE_COMMAND} -E rm -rf ${CPACK_PACKAGE_DIRECTORY}
  COMMAND ${CMAKE_CPACK_COMMAND} --config ${PROJECT_BINARY_DIR}/CPackConfig.cmake
  DEPENDS documents ${packaged}
  COMMENT "Packages in ${CPACK_PACKAGE_DIRECTORY}" VERBATIM USES_TERMINAL)
