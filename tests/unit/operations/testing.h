#pragma once

#include <stdlib.h>

#include <atomic>
#include <filesystem>
#include <string>
#include <string_view>

#include "common/host/clock.h"
#include "k3saga/v1/operation.pb.h"

namespace k3saga::operations {

// A folder of the test's own, gone with it.
class TempFolder {
 public:
  TempFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "k3saga-operations-XXXXXX").string();
    path_ = mkdtemp(pattern.data());
  }
  ~TempFolder() { std::filesystem::remove_all(path_); }
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;

  const std::string& path() const { return path_; }
  std::string operator/(std::string_view name) const { return path_ + "/" + std::string(name); }

 private:
  std::string path_;
};

// Time stands still unless the test moves it.
class FakeClock final : public Clock {
 public:
  std::chrono::milliseconds Steady() const override { return std::chrono::milliseconds(steady_ms.load()); }
  int64_t WallUnixMillis() const override { return wall_ms.load(); }
  void Pass(std::chrono::milliseconds time) {
    steady_ms += time.count();
    wall_ms += time.count();
  }

  std::atomic<int64_t> steady_ms{1'000'000};
  std::atomic<int64_t> wall_ms{1'700'000'000'000};
};

inline v1::OperationId MakeId(uint64_t sequence, std::string_view rollout = "r1") {
  v1::OperationId id;
  id.set_rollout(std::string(rollout));
  id.set_sequence(sequence);
  id.set_attempt(1);
  return id;
}

inline v1::Authority MakeAuthority(uint64_t epoch = 1, std::string_view rollout = "r1",
                                   std::string_view holder = "ada@laptop:1") {
  v1::Authority authority;
  authority.set_rollout(std::string(rollout));
  authority.set_epoch(epoch);
  authority.set_holder(std::string(holder));
  return authority;
}

}  // namespace k3saga::operations
