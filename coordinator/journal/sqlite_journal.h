#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/sqlite/database.h"
#include "coordinator/journal/journal.h"
#include "coordinator/journal/writer_lock.h"

namespace k3saga::journal {

// The journal in one SQLite file of the user's state folder: WAL, synchronous=FULL (read back and checked),
// one writer by an flock beside it ("<path>.lock"), any number of readers at the same time.
//
// A file that is damaged, foreign, or of a newer k3saga is refused and left as it is. An older one is brought
// forward by the writer; a reader says that a writer has to. Used by one thread at a time.
class SqliteJournal final : public Journal {
 public:
  // Creates file and folder (0700) when they are missing. kFailedPrecondition: another process writes (who,
  // since when), or the file is newer, foreign; kDataLoss: damaged.
  static absl::StatusOr<std::unique_ptr<SqliteJournal>> OpenToWrite(std::string_view path, const Holder& me);
  // kNotFound when there is no journal yet. Works while another process writes, and after it died.
  static absl::StatusOr<std::unique_ptr<SqliteJournal>> OpenToRead(std::string_view path);
  // Who writes, or wrote last, the journal at `path`.
  static absl::StatusOr<std::optional<Holder>> WhoWrites(std::string_view path);

  absl::Status Append(std::string_view rollout, uint64_t after,
                      const std::vector<v1::Event>& events) override;
  absl::StatusOr<std::vector<v1::Event>> Read(std::string_view rollout) const override;
  absl::StatusOr<std::vector<RolloutSummary>> List() const override;

  // Tells readers where the rollout that this process runs listens. Writers only.
  absl::Status Announce(std::string_view socket);

 private:
  SqliteJournal(sqlite::Database database, std::optional<WriterLock> lock);

  absl::StatusOr<uint64_t> CountEvents(std::string_view rollout) const;
  absl::Status InsertAll(std::string_view rollout, uint64_t after, const std::vector<v1::Event>& events);

  mutable sqlite::Database database_;
  std::optional<WriterLock> lock_;  // writers only
};

}  // namespace k3saga::journal
