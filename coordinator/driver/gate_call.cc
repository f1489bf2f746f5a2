#include "coordinator/driver/gate_call.h"

#include <utility>

namespace k3saga::driver {

GateCall::GateCall(Loop& loop, const AskGate& ask, const v1::ExternalGate& policy, gate::Question question,
                   Done done)
    : alive_(std::make_shared<bool>(true)) {
  thread_ = std::thread(
      [&loop, ask, policy, question = std::move(question), done = std::move(done), alive = alive_] {
        gate::Answer answer = ask(policy, question);
        loop.Post([done, alive, answer = std::move(answer)] {
          if (*alive) done(answer);
        });
      });
}

GateCall::~GateCall() {
  *alive_ = false;
  thread_.join();
}

}  // namespace k3saga::driver
