#pragma once

#include <sqlite3.h>

#include <cstdint>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

namespace k3saga {

// A disk whose power can be cut: what was synced is there afterwards, what was only written is there or not,
// sector by sector. From its birth to PowerOn it is what SQLite opens files on in this process (its default
// VFS); locks and shared memory stay those of the real one. One at a time, used by one thread.
class PowerCutDisk {
 public:
  explicit PowerCutDisk(uint64_t seed);
  ~PowerCutDisk();
  PowerCutDisk(const PowerCutDisk&) = delete;
  PowerCutDisk& operator=(const PowerCutDisk&) = delete;

  // Power fails in the middle of the n-th write, truncation, sync or deletion from now on; 1: the next one.
  void CutAt(uint64_t n) { cut_in_ = n; }
  bool cut() const { return cut_; }

  // The end of it: the real disk serves again, and holds what the cut left. Without one, power is cut now.
  // Every file has to be closed.
  void PowerOn();

 private:
  struct Change {
    bool truncates = false;
    uint64_t at = 0;  // offset, or the new size
    std::string bytes;
  };
  struct Content {
    std::string written;  // as everybody reads it
    std::string synced;
    std::vector<Change> unsynced;
    int open = 0;
  };
  struct File;  // what SQLite holds
  struct Vfs;

  // True when the power is gone, or goes with this step.
  bool Fails();
  void Lose();
  Content& Of(const std::string& path);
  static void Make(const Change& change, std::string& content);

  // The VFS's face.
  static int Open(sqlite3_vfs* vfs, const char* name, sqlite3_file* file, int flags, int* out_flags);
  static int Delete(sqlite3_vfs* vfs, const char* name, int sync_directory);
  static int Access(sqlite3_vfs* vfs, const char* name, int flags, int* result);
  static const sqlite3_io_methods* Methods();

  std::mt19937_64 random_;
  uint64_t cut_in_ = 0;  // 0: never
  bool cut_ = false;
  std::map<std::string, Content> contents_;
  sqlite3_vfs* const real_;
  std::unique_ptr<Vfs> vfs_;
};

// Plays `story` again and again, each time with a cut one step later, until it goes through whole; after each
// `check` looks at what is left.
template <typename Story, typename Check>
void AtEveryCut(Story story, Check check) {
  constexpr uint64_t kMostSteps = 100'000;
  for (uint64_t at = 1; at < kMostSteps; ++at) {
    PowerCutDisk disk(at);
    disk.CutAt(at);
    story();
    const bool whole = !disk.cut();
    disk.PowerOn();
    check();
    if (whole) return;
  }
}

}  // namespace k3saga
