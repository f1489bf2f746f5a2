#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "coordinator/core/state.h"
#include "coordinator/journal/journal.h"
#include "k3saga/v1/facts.pb.h"

namespace k3saga::driver {

// Whether this machine may simply go on with a rollout of its journal. nullopt: nobody else was there since.
// Otherwise who holds the cluster, since when and from where (CLUSTER_HELD), and what can be done: the
// agents' claims show a higher epoch than the journal, or the journal was last written on another machine.
std::optional<v1::Reason> WhoElseHolds(const core::State& state, const std::vector<v1::NodeFacts>& facts,
                                       std::string_view my_host);

// "user@host:pid" -> "host"
std::string_view HostOf(std::string_view holder);

// Writes down that a rollout of this journal was taken over and is no concern of this machine any more: it
// ends here as STOPPED with `reason`. No agent is asked.
absl::Status EndHere(journal::Journal& journal, std::string_view rollout, const v1::Reason& reason,
                     int64_t now_unix_ms);

}  // namespace k3saga::driver
