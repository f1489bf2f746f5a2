#pragma once

#include <string>

#include "k3saga/v1/policy.pb.h"
#include "k3saga/v1/reason.pb.h"

namespace k3saga::gate {

// Which rollout asks, and which node it would take next.
struct Question {
  std::string rollout;
  std::string node;
};

struct Answer {
  bool open = false;
  v1::Reason reason;  // why it is closed; EXTERNAL_GATE_CLOSED
};

// Asks the user's gate once: Prometheus for alerts, then the command (exit 0 opens; it sees this process's
// environment and K3SAGA_ROLLOUT, K3SAGA_NODE). Open when all that is configured says so; what cannot be
// asked is closed. Blocks for at most the policy's timeout a question: not for a loop's thread.
Answer Ask(const v1::ExternalGate& policy, const Question& question);

// Whether there is anything to ask.
bool IsConfigured(const v1::ExternalGate& policy);

}  // namespace k3saga::gate
