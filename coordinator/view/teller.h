#pragma once

#include <absl/time/time.h>

#include <map>
#include <string>
#include <vector>

#include "coordinator/core/state.h"
#include "coordinator/view/style.h"
#include "k3saga/v1/event.pb.h"

namespace k3saga::view {

// Tells a rollout's events as plain lines, one a change worth knowing: for pipes and logs, for `history ID`,
// and for what has to stay on the screen above a live view. Remembers what was asked for, so that an outcome
// can be told with its operation; so it has to hear every event, in order.
class Teller {
 public:
  struct Told {
    Line line;
    bool important = false;  // failures and commands: stays on screen above a live view
  };

  explicit Teller(absl::TimeZone zone) : zone_(zone) {}

  // `state` is the fold up to this event or a later one.
  std::vector<Told> Tell(const v1::Event& event, const core::State& state);

 private:
  struct Asked {
    std::string node;
    std::string words;
    bool quiet;  // one of very many: told only when it fails
  };

  std::vector<Told> TellIssued(const v1::OperationIssued& issued);
  std::vector<Told> TellSettled(const v1::OperationSettled& settled);

  absl::TimeZone zone_;
  std::map<uint64_t, Asked> asked_;
};

}  // namespace k3saga::view
