#pragma once

#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "common/tls/identity.h"
#include "k3saga/v1/agent.grpc.pb.h"
#include "lab/base/layout.h"
#include "tests/support/lab_cluster.h"

namespace k3saga::testing {

// Verbs asked of a lab's agents directly, without a coordinator between: as one rollout, one sequence number
// a call. Thread-safe but for Run itself being one call at a time.
class AgentCalls {
 public:
  explicit AgentCalls(const LabCluster& lab);

  // To the operation's outcome; UNKNOWN when there was none in time.
  v1::Outcome Run(const std::string& node, const v1::OperationSpec& spec);
  v1::NodeFacts Facts(const std::string& node);
  // The newest operation of that node's agent.
  std::optional<v1::OperationRecord> Last(const std::string& node);

  // "https://127.x.y.z:6443"
  std::string ApiUrl(const std::string& node) const;

 private:
  v1::Agent::Stub& StubOf(const std::string& node);

  lab::Lab lab_;
  tls::Identity identity_;
  uint64_t sequence_ = 0;
  std::map<std::string, std::unique_ptr<v1::Agent::Stub>> stubs_;
};

}  // namespace k3saga::testing
