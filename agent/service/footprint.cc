#include "agent/service/footprint.h"

#include <malloc.h>
#include <sys/mman.h>

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <string>

namespace k3saga::service {
namespace {

struct Mapping {
  uintptr_t begin = 0;
  uintptr_t end = 0;
  bool of_file = false;
  bool writable = false;
};

// "55d0-55e0 r-xp 00000000 fe:01 1234   /usr/bin/k3saga-agent"; false for any other line.
bool ParseMapping(const std::string& line, Mapping* mapping) {
  unsigned long begin = 0, end = 0, inode = 0;
  char rights[5] = "";
  if (std::sscanf(line.c_str(), "%lx-%lx %4s %*s %*s %lu", &begin, &end, rights, &inode) != 4) return false;
  *mapping = {begin, end, inode != 0, std::strchr(rights, 'w') != nullptr};
  return true;
}

}  // namespace

void GiveMemoryBack() {
  malloc_trim(0);
  // Only what nothing was ever written to: dropping it loses nothing. Relocated constants are read-only too,
  // but the kernel counts them as anonymous, so they stay.
  std::ifstream maps("/proc/self/smaps");
  Mapping mapping;
  std::string line;
  while (std::getline(maps, line)) {
    if (ParseMapping(line, &mapping)) continue;
    if (line.rfind("Anonymous:", 0) != 0) continue;
    unsigned long anonymous = 1;
    std::sscanf(line.c_str(), "Anonymous: %lu", &anonymous);
    if (!mapping.of_file || mapping.writable || anonymous != 0) continue;
    madvise(reinterpret_cast<void*>(mapping.begin), mapping.end - mapping.begin, MADV_DONTNEED);
  }
}

}  // namespace k3saga::service
