#include "coordinator/driver/standing.h"

#include <absl/strings/str_cat.h>

#include "common/reason.h"
#include "common/status_macros.h"
#include "coordinator/core/claim.h"
#include "coordinator/core/saga.h"

namespace k3saga::driver {
namespace {

v1::Reason Held(const core::State& state, const std::string& detail, std::string_view remedy = "") {
  const std::string& rollout = state.rollout();
  const std::string usual =
      absl::StrCat("`k3saga resume ", rollout, " --take-over` takes it back; `k3saga abort ", rollout,
                   "` ends it for this machine");
  return MakeReason(v1::CLUSTER_HELD, state.plan().cluster(), detail, remedy.empty() ? usual : remedy);
}

}  // namespace

std::string_view HostOf(std::string_view holder) {
  const size_t at = holder.rfind('@');
  const size_t colon = holder.rfind(':');
  if (at == std::string_view::npos || colon == std::string_view::npos || colon < at) return "";
  return holder.substr(at + 1, colon - at - 1);
}

std::optional<v1::Reason> WhoElseHolds(const core::State& state, const std::vector<v1::NodeFacts>& facts,
                                       std::string_view my_host) {
  v1::Claim newest;
  for (const v1::NodeFacts& node : facts) {
    if (node.claim().epoch() > newest.epoch()) newest = node.claim();
  }
  const bool same = newest.rollout() == state.rollout();
  const std::string who = core::DescribeClaim(newest);
  const bool another = newest.epoch() == state.epoch && newest.holder() != state.holder;
  if (newest.epoch() > state.epoch || another) {
    if (same && newest.active())
      return Held(state, absl::StrCat("rollout ", state.rollout(), " was taken over by ", who));
    if (same)
      return Held(state, absl::StrCat("rollout ", state.rollout(), " was taken over, and ended, by ", who));
    if (newest.active()) {
      return Held(state, absl::StrCat("rollout ", newest.rollout(), " holds the cluster, by ", who),
                  absl::StrCat("wait until it has ended, or `k3saga abort ", state.rollout(), "`"));
    }
    return Held(state, absl::StrCat("rollout ", newest.rollout(), " was run since then, by ", who));
  }
  const std::string_view host = HostOf(state.holder);
  if (!host.empty() && host != my_host) {
    return Held(state, absl::StrCat("rollout ", state.rollout(), " is run on another machine, by ",
                                    newest.epoch() == state.epoch ? who : state.holder));
  }
  return std::nullopt;
}

absl::Status EndHere(journal::Journal& journal, std::string_view rollout, const v1::Reason& reason,
                     int64_t now_unix_ms) {
  K3SAGA_ASSIGN_OR_RETURN(const std::vector<v1::Event> events, journal.Read(rollout));
  core::State state;
  for (const v1::Event& event : events) K3SAGA_RETURN_IF_ERROR(core::Apply(event, state));
  v1::Event end;
  end.set_unix_ms(now_unix_ms);
  end.mutable_ended()->set_result(v1::RolloutEnded::STOPPED);
  *end.mutable_ended()->mutable_reason() = reason;
  K3SAGA_RETURN_IF_ERROR(core::Apply(end, state));
  return journal.Append(rollout, events.size(), {end});
}

}  // namespace k3saga::driver
