#pragma once

#include <absl/status/statusor.h>

#include <optional>
#include <string>

#include "agent/node/host_paths.h"
#include "k3saga/v1/agent.pb.h"

namespace k3saga::replace {

// The last attempt, durable: written by the service that begins it and by the process that does it, one after
// the other.
class RecordFile {
 public:
  explicit RecordFile(const node::StatePaths& state);

  // None yet, or one that cannot be read any more: nullopt.
  std::optional<v1::AgentReplacement> Load() const;
  absl::Status Save(const v1::AgentReplacement& record) const;

  const std::string& previous() const { return previous_; }  // the program as it was before

 private:
  const std::string folder_;
  const std::string file_;
  const std::string previous_;
};

}  // namespace k3saga::replace
