# Where things go on a Debian node. Packages are the way to install, so the default prefix is theirs; all paths are absolute
# because /etc, the unit folder, tmpfiles.d and sysusers.d do not lie below the prefix.
if(CMAKE_INSTALL_PREFIX_INITIALIZED_TO_DEFAULT)
  set(CMAKE_INSTALL_PREFIX /usr CACHE PATH "Install prefix" FORCE)
endif()
include(GNUInstallDirs)
# Not /lib, which is a link on every merged system: unpacking a tarball with a folder of that name would replace the link.
set(K3SAGA_SYSTEMD_UNIT_DIR /usr/lib/systemd/system CACHE PATH "Folder for systemd units")
set(K3SAGA_TMPFILES_DIR /usr/lib/tmpfiles.d CACHE PATH "Folder for tmpfiles.d")
set(K3SAGA_SYSUSERS_DIR /usr/lib/sysusers.d CACHE PATH "Folder for sysusers.d")
