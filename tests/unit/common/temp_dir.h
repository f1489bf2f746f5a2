#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>

#include <string>

#include "common/host/files.h"

namespace k3saga {

// A folder of a test's own, removed with everything in it.
class TempDir {
 public:
  TempDir() {
    std::string pattern = JoinPath(::testing::TempDir(), "k3saga.XXXXXX");
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
    EXPECT_TRUE(MakeDirectories(DirName(path), 0755).ok());
    EXPECT_TRUE(WriteFileDurably(path, content, {.mode = mode}).ok());
    return path;
  }

 private:
  std::string path_;
};

}  // namespace k3saga
