#include "tests/support/power_cut_disk.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <new>

namespace k3saga {

struct PowerCutDisk::Vfs : sqlite3_vfs {
  PowerCutDisk* disk;
};

// Behind it, in the same memory, stands the real file.
struct PowerCutDisk::File {
  sqlite3_file base;
  PowerCutDisk* disk;
  std::string* path;  // null: a temporary file
  sqlite3_file* real;

  Content& content() const { return disk->Of(*path); }
  static File& From(sqlite3_file* file) { return *reinterpret_cast<File*>(file); }
  static sqlite3_file* Real(sqlite3_file* file) { return From(file).real; }
};

namespace {

constexpr uint64_t kSectorBytes = 512;

std::string ReadAll(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

}  // namespace

PowerCutDisk::PowerCutDisk(uint64_t seed)
    : random_(seed), real_(sqlite3_vfs_find(nullptr)), vfs_(std::make_unique<Vfs>()) {
  static_cast<sqlite3_vfs&>(*vfs_) = *real_;
  vfs_->disk = this;
  vfs_->pNext = nullptr;
  vfs_->zName = "power-cut";
  vfs_->szOsFile = static_cast<int>(sizeof(File)) + real_->szOsFile;
  vfs_->xOpen = Open;
  vfs_->xDelete = Delete;
  vfs_->xAccess = Access;
  sqlite3_vfs_register(vfs_.get(), 1);
}

PowerCutDisk::~PowerCutDisk() { PowerOn(); }

void PowerCutDisk::PowerOn() {
  if (!cut_) Lose();
  sqlite3_vfs_unregister(vfs_.get());
  sqlite3_vfs_register(real_, 1);
  for (const auto& [path, content] : contents_) {
    if (content.open != 0) std::abort();  // a test that forgot to close its journal
    std::ofstream(path, std::ios::binary | std::ios::trunc) << content.synced;
  }
  contents_.clear();
}

bool PowerCutDisk::Fails() {
  if (!cut_ && cut_in_ != 0 && --cut_in_ == 0) Lose();
  return cut_;
}

void PowerCutDisk::Lose() {
  cut_ = true;
  for (auto& [path, content] : contents_) {
    for (const Change& change : content.unsynced) {
      if (change.truncates) {
        if (random_() % 2 == 0) Make(change, content.synced);
        continue;
      }
      for (uint64_t from = 0; from < change.bytes.size();) {
        const uint64_t until = (change.at + from) / kSectorBytes * kSectorBytes + kSectorBytes - change.at;
        if (random_() % 2 == 0) {
          Make({false, change.at + from, change.bytes.substr(from, until - from)}, content.synced);
        }
        from = until;
      }
    }
    content.unsynced.clear();
  }
}

PowerCutDisk::Content& PowerCutDisk::Of(const std::string& path) {
  const auto [found, is_new] = contents_.try_emplace(path);
  if (is_new) found->second.written = found->second.synced = ReadAll(path);
  return found->second;
}

void PowerCutDisk::Make(const Change& change, std::string& content) {
  if (change.truncates) return content.resize(change.at);
  content.resize(std::max<size_t>(content.size(), change.at + change.bytes.size()));
  content.replace(change.at, change.bytes.size(), change.bytes);
}

int PowerCutDisk::Open(sqlite3_vfs* vfs, const char* name, sqlite3_file* file, int flags, int* out_flags) {
  PowerCutDisk& disk = *static_cast<Vfs*>(vfs)->disk;
  File& ours = *new (file) File{{nullptr}, &disk, nullptr, nullptr};
  ours.real = reinterpret_cast<sqlite3_file*>(&ours + 1);
  if (disk.cut_ || name == nullptr) return SQLITE_CANTOPEN;
  const int result = disk.real_->xOpen(disk.real_, name, ours.real, flags, out_flags);
  if (result != SQLITE_OK) return result;
  ours.path = new std::string(name);
  ++ours.content().open;
  ours.base.pMethods = Methods();
  return SQLITE_OK;
}

int PowerCutDisk::Delete(sqlite3_vfs* vfs, const char* name, int sync_directory) {
  PowerCutDisk& disk = *static_cast<Vfs*>(vfs)->disk;
  if (disk.Fails()) return SQLITE_IOERR_DELETE;
  disk.contents_.erase(name);
  return disk.real_->xDelete(disk.real_, name, sync_directory);
}

int PowerCutDisk::Access(sqlite3_vfs* vfs, const char* name, int flags, int* result) {
  PowerCutDisk& disk = *static_cast<Vfs*>(vfs)->disk;
  // The real one takes an empty file for a missing one, and what we hold back is not in it.
  const auto content = disk.contents_.find(name);
  if (flags != SQLITE_ACCESS_EXISTS || content == disk.contents_.end()) {
    return disk.real_->xAccess(disk.real_, name, flags, result);
  }
  *result = content->second.written.empty() ? 0 : 1;
  return SQLITE_OK;
}

// Version 2: shared memory for the write-ahead log, no mapped reads.
const sqlite3_io_methods* PowerCutDisk::Methods() {
  static const sqlite3_io_methods kMethods = [] {
    sqlite3_io_methods methods{};
    methods.iVersion = 2;
    methods.xClose = [](sqlite3_file* file) {
      File& ours = File::From(file);
      if (const auto content = ours.disk->contents_.find(*ours.path); content != ours.disk->contents_.end())
        --content->second.open;
      delete ours.path;
      return ours.real->pMethods->xClose(ours.real);
    };
    methods.xRead = [](sqlite3_file* file, void* to, int amount, sqlite3_int64 at) {
      const File& ours = File::From(file);
      if (ours.disk->cut_) return SQLITE_IOERR_READ;
      const std::string& content = ours.content().written;
      const auto wanted = static_cast<size_t>(amount);
      const auto from = std::min(static_cast<size_t>(at), content.size());
      const size_t there = std::min(wanted, content.size() - from);
      std::memcpy(to, content.data() + from, there);
      std::memset(static_cast<char*>(to) + there, 0, wanted - there);
      return there == wanted ? SQLITE_OK : SQLITE_IOERR_SHORT_READ;
    };
    methods.xWrite = [](sqlite3_file* file, const void* bytes, int amount, sqlite3_int64 at) {
      const File& ours = File::From(file);
      if (ours.disk->cut_) return SQLITE_IOERR_WRITE;
      Content& content = ours.content();
      content.unsynced.push_back({false, static_cast<uint64_t>(at),
                                  std::string(static_cast<const char*>(bytes), static_cast<size_t>(amount))});
      Make(content.unsynced.back(), content.written);
      return ours.disk->Fails() ? SQLITE_IOERR_WRITE : SQLITE_OK;
    };
    methods.xTruncate = [](sqlite3_file* file, sqlite3_int64 size) {
      const File& ours = File::From(file);
      if (ours.disk->cut_) return SQLITE_IOERR_TRUNCATE;
      Content& content = ours.content();
      content.unsynced.push_back({true, static_cast<uint64_t>(size), {}});
      Make(content.unsynced.back(), content.written);
      return ours.disk->Fails() ? SQLITE_IOERR_TRUNCATE : SQLITE_OK;
    };
    methods.xSync = [](sqlite3_file* file, int) {
      const File& ours = File::From(file);
      if (ours.disk->Fails()) return SQLITE_IOERR_FSYNC;
      Content& content = ours.content();
      content.synced = content.written;
      content.unsynced.clear();
      return SQLITE_OK;
    };
    methods.xFileSize = [](sqlite3_file* file, sqlite3_int64* size) {
      *size = static_cast<sqlite3_int64>(File::From(file).content().written.size());
      return SQLITE_OK;
    };
    methods.xLock = [](sqlite3_file* file, int level) {
      sqlite3_file* real = File::Real(file);
      return real->pMethods->xLock(real, level);
    };
    methods.xUnlock = [](sqlite3_file* file, int level) {
      sqlite3_file* real = File::Real(file);
      return real->pMethods->xUnlock(real, level);
    };
    methods.xCheckReservedLock = [](sqlite3_file* file, int* result) {
      sqlite3_file* real = File::Real(file);
      return real->pMethods->xCheckReservedLock(real, result);
    };
    methods.xFileControl = [](sqlite3_file* file, int what, void* argument) {
      sqlite3_file* real = File::Real(file);
      return real->pMethods->xFileControl(real, what, argument);
    };
    methods.xSectorSize = [](sqlite3_file*) { return static_cast<int>(kSectorBytes); };
    methods.xDeviceCharacteristics = [](sqlite3_file* file) {
      sqlite3_file* real = File::Real(file);
      return real->pMethods->xDeviceCharacteristics(real);
    };
    methods.xShmMap = [](sqlite3_file* file, int page, int bytes, int extend, void volatile** memory) {
      sqlite3_file* real = File::Real(file);
      return real->pMethods->xShmMap(real, page, bytes, extend, memory);
    };
    methods.xShmLock = [](sqlite3_file* file, int offset, int n, int flags) {
      sqlite3_file* real = File::Real(file);
      return real->pMethods->xShmLock(real, offset, n, flags);
    };
    methods.xShmBarrier = [](sqlite3_file* file) {
      sqlite3_file* real = File::Real(file);
      real->pMethods->xShmBarrier(real);
    };
    methods.xShmUnmap = [](sqlite3_file* file, int remove) {
      sqlite3_file* real = File::Real(file);
      return real->pMethods->xShmUnmap(real, remove);
    };
    return methods;
  }();
  return &kMethods;
}

}  // namespace k3saga
