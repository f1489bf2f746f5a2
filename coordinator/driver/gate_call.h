#pragma once

#include <functional>
#include <memory>
#include <thread>

#include "common/host/loop.h"
#include "coordinator/fleet/fleet.h"
#include "coordinator/gate/external_gate.h"

namespace k3saga::driver {

// Blocks; called beside the loop. gate::Ask, or a test's own.
using AskGate = std::function<gate::Answer(const v1::ExternalGate&, const gate::Question&)>;

// One question to the user's gate, on a thread of its own. `done` runs on the loop's thread, never after this
// was destroyed; destroying waits for the question to end, which its timeout bounds.
class GateCall final : public fleet::Call {
 public:
  using Done = std::function<void(gate::Answer)>;

  GateCall(Loop& loop, const AskGate& ask, const v1::ExternalGate& policy, gate::Question question,
           Done done);
  ~GateCall() override;

 private:
  std::shared_ptr<bool> alive_;
  std::thread thread_;
};

}  // namespace k3saga::driver
