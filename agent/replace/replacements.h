#pragma once

#include <cstdint>
#include <mutex>
#include <string>

#include "agent/node/systemd.h"
#include "agent/node/uploads.h"
#include "agent/operations/journal.h"
#include "agent/replace/agent_host.h"
#include "agent/replace/record.h"
#include "k3saga/v1/agent.pb.h"

namespace k3saga::replace {

inline constexpr char kReplaceUnit[] = "k3saga-agent-replace";

// The service's part: judges, begins an attempt in a transient unit (which survives the service it replaces),
// and says how it stands. The answer to the last question comes from the new agent: that is the proof that it
// serves. Thread-safe.
class Replacements {
 public:
  struct Parts {
    AgentHost* host = nullptr;
    node::Systemd* systemd = nullptr;
    node::UploadStore* uploads = nullptr;
    operations::Journal* journal = nullptr;
    const RecordFile* record_file = nullptr;
    std::string node;
    std::string program;
    std::string config;  // agent.yaml
    uint32_t service_pid = 0;
  };
  explicit Replacements(Parts parts) : parts_(std::move(parts)) {}

  v1::ReplaceAgentReply Ask(const v1::ReplaceAgentRequest& request);

 private:
  v1::ReplaceAgentReply Begin(const v1::ReplaceAgentRequest& request);
  v1::ReplaceAgentReply Follow(const v1::ReplaceAgentRequest& request);
  absl::StatusOr<Question> MakeQuestion(const v1::ReplaceAgentRequest& request, const std::string& file);
  absl::Status Launch();
  absl::StatusOr<bool> Runs();
  v1::ReplaceAgentReply Refuse(const absl::Status& status) const;

  const Parts parts_;
  std::mutex mutex_;
};

}  // namespace k3saga::replace
