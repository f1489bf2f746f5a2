#pragma once

#include <absl/status/statusor.h>

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "coordinator/driver/operation_follower.h"
#include "coordinator/driver/release_cache.h"
#include "coordinator/driver/release_files.h"
#include "coordinator/fleet/fleet.h"

namespace k3saga::driver {

// Brings files to the agents, of a release or of a backup, over the channels that are there anyway, a few
// nodes at a time: our network and processor are shared by all of them. What an agent has is not sent again;
// what breaks goes on where it was, until the job's deadline; what an agent refuses ends the job at once.
// Loop's thread.
class FilePush {
 public:
  static constexpr size_t kNodesAtATime = 8;

  struct Job {
    std::string node;
    std::string architecture;  // "": every architecture's files
    v1::Authority authority;
    std::chrono::milliseconds deadline;  // from now, waiting for a place included
    std::function<void(const v1::Progress&)> progress;
    std::function<void(absl::Status)> done;
  };

  using List = std::function<absl::StatusOr<std::vector<PushedFile>>(const FetchMoved&)>;

  // `list` reads and hashes the files, having fetched them where that is needed, in a thread of its own when
  // the first job comes. Its failure is the answer to every job that waits; the next one lists anew.
  FilePush(OperationFollower::Edge edge, List list);
  ~FilePush();
  FilePush(const FilePush&) = delete;
  FilePush& operator=(const FilePush&) = delete;

  // Dropping the handle gives up. The push outlives its handles.
  [[nodiscard]] fleet::CallHandle Push(Job job);

 private:
  class Running;

  void ListFiles();
  void ReportFetch(const std::string& file, uint32_t percent);
  void AnswerAll(const absl::Status& status);
  void StartWaiting();

  const OperationFollower::Edge edge_;
  const List list_;
  std::jthread lister_;
  bool listing_ = false;
  std::unique_ptr<absl::StatusOr<std::vector<PushedFile>>> files_;  // null: not listed yet
  std::deque<Running*> waiting_;
  size_t active_ = 0;
  std::shared_ptr<FilePush*> self_;  // for what the lister posts
};

}  // namespace k3saga::driver
