#pragma once

#include <absl/status/statusor.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "k3saga/v1/agent.pb.h"

namespace k3saga::service {

// What the gRPC service asks of the rest of the agent, beside operations. The real ones stand in
// node_reader.h and transfers.h; thread-safe.

// Reads the node; changes nothing. May take seconds.
class Reader {
 public:
  virtual ~Reader() = default;
  // Never an error: what could not be read is said in the facts.
  virtual v1::NodeFacts Facts(const v1::GetFactsRequest& request) = 0;
  virtual v1::ServerProof Prove(const v1::ProbeRequest& request) = 0;
};

// Files that come from the coordinator, and backups that go there. Every name is checked behind this
// interface.
class Transfers {
 public:
  virtual ~Transfers() = default;
  virtual absl::StatusOr<v1::BeginUploadReply> BeginUpload(std::string_view sha256, uint64_t bytes) = 0;
  virtual absl::Status Append(std::string_view sha256, uint64_t offset, std::string_view data) = 0;
  // kUnavailable when fewer bytes came than were announced: the sender is gone, what is here stays.
  virtual absl::StatusOr<uint64_t> FinishUpload(std::string_view sha256, std::string_view version,
                                                std::string_view file_name) = 0;
  // Where a backup's file lies on this node.
  virtual absl::StatusOr<std::string> BackupFile(std::string_view backup_id, std::string_view file_name) = 0;
  // All of it, against its manifest; kNotFound.
  virtual absl::StatusOr<v1::VerifyBackupReply> VerifyBackup(std::string_view backup_id) = 0;
};

// The agent itself, replaced by another version. Thread-safe.
class Replacing {
 public:
  virtual ~Replacing() = default;
  // Never an error: a refusal is a reply.
  virtual v1::ReplaceAgentReply Replace(const v1::ReplaceAgentRequest& request) = 0;
};

}  // namespace k3saga::service
