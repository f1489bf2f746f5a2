#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "common/host/files.h"

namespace k3saga {

// A folder of a test's own, removed with everything in it.
class TempDir {
 public:
  TempDir() {
    std::string pattern = JoinPath(Parent(), "k3saga.XXXXXX");
    if (mkdtemp(pattern.data()) == nullptr) abort();
    path_ = pattern;
  }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  ~TempDir() { (void)RemoveTree(path_); }

  const std::string& path() const { return path_; }
  std::string operator/(std::string_view name) const { return JoinPath(path_, name); }

  // Writes a file and the folders above it; returns its path.
  std::string Write(std::string_view name, std::string_view content, mode_t mode = 0644) const {
    const std::string path = JoinPath(path_, name);
    std::filesystem::create_directories(DirName(path));
    // Not durably: tests write much and crash never. A new file, because the old one may be running.
    unlink(path.c_str());
    std::ofstream(path, std::ios::binary) << content;
    EXPECT_EQ(chmod(path.c_str(), mode), 0) << path;
    return path;
  }

 private:
  // In memory where programs may be run from there: what is tested syncs a lot, and a disk makes that slow.
  static std::string Parent() {
    constexpr uint64_t kEnough = 128ull << 20;
    struct statvfs info {};
    const bool in_memory = statvfs("/dev/shm", &info) == 0 && (info.f_flag & ST_NOEXEC) == 0 &&
                           info.f_bavail * info.f_frsize >= kEnough && access("/dev/shm", W_OK) == 0;
    return in_memory ? "/dev/shm" : ::testing::TempDir();
  }

  std::string path_;
};

}  // namespace k3saga
