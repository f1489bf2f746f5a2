#pragma once

#include <absl/status/statusor.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "k3saga/v1/agent.pb.h"

namespace k3saga::fleet {

// A call under way. Destroying it ends it as far as this side is concerned: none of its callbacks runs
// afterwards. An operation that the agent has accepted goes on regardless; Run with the same id attaches
// again.
class Call {
 public:
  virtual ~Call() = default;
};
using CallHandle = std::unique_ptr<Call>;

template <typename Reply>
using Done = std::function<void(absl::StatusOr<Reply>)>;

// What is heard of one Run, in this order: accepted at most once, progress any number of times, done exactly
// once. An error from `done` says that the stream broke, nothing about the operation.
struct RunEvents {
  std::function<void(const v1::RunReply::Accepted&)> accepted;
  std::function<void(const v1::Progress&)> progress;
  Done<v1::Outcome> done;
};

// A file of this machine for an agent's staging folder.
struct UploadFile {
  std::string path;
  std::string sha256;  // lower-case hex, of the whole file
  uint64_t bytes = 0;
  std::string release_version;  // "" for the installer
  std::string file_name;        // as the agent shall call it; a plain name
};

// A backup's file, to be written to `path` (created 0600, appended to from where an earlier try ended).
struct DownloadFile {
  std::string backup_id;
  std::string file_name;
  std::string path;
};

using Transferred = std::function<void(uint64_t bytes, uint64_t total)>;

// The agents as the coordinator sees them. Nodes are named as in the plan; an unknown name is kNotFound.
//
// Thread rule: called on the loop's thread; callbacks run there too, never from inside the call that takes
// them. Nothing is tried twice here: whoever asks knows whether and when to ask again. Every call ends by
// `timeout` at the latest, with kDeadlineExceeded. kUnavailable: the agent could not be reached.
class Fleet {
 public:
  virtual ~Fleet() = default;

  [[nodiscard]] virtual CallHandle GetFacts(const std::string& node, const v1::GetFactsRequest& request,
                                            std::chrono::milliseconds timeout, Done<v1::NodeFacts> done) = 0;
  [[nodiscard]] virtual CallHandle Probe(const std::string& node, const v1::ProbeRequest& request,
                                         std::chrono::milliseconds timeout, Done<v1::ServerProof> done) = 0;
  [[nodiscard]] virtual CallHandle Run(const std::string& node, const v1::RunRequest& request,
                                       std::chrono::milliseconds timeout, RunEvents events) = 0;
  [[nodiscard]] virtual CallHandle Cancel(const std::string& node, const v1::CancelRequest& request,
                                          std::chrono::milliseconds timeout, Done<v1::CancelReply> done) = 0;
  [[nodiscard]] virtual CallHandle ListOperations(const std::string& node,
                                                  const v1::ListOperationsRequest& request,
                                                  std::chrono::milliseconds timeout,
                                                  Done<v1::ListOperationsReply> done) = 0;
  [[nodiscard]] virtual CallHandle ReplaceAgent(const std::string& node,
                                                const v1::ReplaceAgentRequest& request,
                                                std::chrono::milliseconds timeout,
                                                Done<v1::ReplaceAgentReply> done) = 0;
  [[nodiscard]] virtual CallHandle VerifyBackup(const std::string& node,
                                                const v1::VerifyBackupRequest& request,
                                                std::chrono::milliseconds timeout,
                                                Done<v1::VerifyBackupReply> done) = 0;
  // Sends what the agent does not have yet. `moved` (may be null) hears of it chunk by chunk.
  [[nodiscard]] virtual CallHandle Upload(const std::string& node, const v1::Authority& authority,
                                          const UploadFile& file, std::chrono::milliseconds timeout,
                                          Transferred moved, Done<v1::UploadReply> done) = 0;
  // Reads the rest of the file; `done` tells its whole size.
  [[nodiscard]] virtual CallHandle Download(const std::string& node, const v1::Authority& authority,
                                            const DownloadFile& file, std::chrono::milliseconds timeout,
                                            Transferred moved, Done<uint64_t> done) = 0;
};

}  // namespace k3saga::fleet
