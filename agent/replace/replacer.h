#pragma once

#include <absl/status/status.h>

#include <chrono>
#include <stop_token>
#include <string>

#include "agent/replace/agent_host.h"
#include "agent/replace/record.h"
#include "common/host/clock.h"
#include "common/host/pause.h"

namespace k3saga::replace {

// What the process in the transient unit does with the attempt on record: keeps the program that is there,
// installs the new one, watches the service until it has served for a while; otherwise puts the old program
// back and starts that. Writes down how it ended. Every step may be done again: after a power cut the next
// start goes on with it.
//
// It holds the operation lock meanwhile, so that no operation's process is at work on the node.
struct Replacer {
  const RecordFile* record_file = nullptr;
  AgentHost* host = nullptr;
  const Clock* clock = nullptr;
  Pauser* pauser = nullptr;
  std::string node;
  std::string file;       // what was uploaded
  std::string lock_path;  // operations::ProcessLock

  std::chrono::milliseconds lock_patience{10'000};
  std::chrono::milliseconds serving_within{90'000};
  std::chrono::milliseconds steady_for{5'000};  // served without another process in between
  std::chrono::milliseconds look_every{250};

  // OK: settled, one way or the other (the record says which), or there was nothing to do. kAborted: `stop`;
  // the record stays RUNNING.
  absl::Status Run(const std::stop_token& stop);

 private:
  v1::ReplaceAgentReply Replace(v1::AgentReplacement& record, const std::stop_token& stop);
  // The service runs what lies on the disk, as another process than `before`, and goes on doing so.
  absl::Status AwaitService(uint32_t before, const std::stop_token& stop);
  v1::ReplaceAgentReply PutBack(v1::ReplaceAgentReply reply, v1::Reason why, const std::stop_token& stop);
};

}  // namespace k3saga::replace
