#include "coordinator/journal/journal.h"

#include <algorithm>

#include "common/status_macros.h"

namespace k3saga::journal {

absl::StatusOr<std::vector<RolloutSummary>> FindUnfinished(const Journal& journal, std::string_view cluster) {
  K3SAGA_ASSIGN_OR_RETURN(std::vector<RolloutSummary> rollouts, journal.List());
  rollouts.erase(std::remove_if(rollouts.begin(), rollouts.end(),
                                [&](const RolloutSummary& rollout) {
                                  return rollout.result != v1::RolloutEnded::RESULT_UNSPECIFIED ||
                                         (!cluster.empty() && rollout.cluster != cluster);
                                }),
                 rollouts.end());
  return rollouts;
}

RolloutSummary Summarize(const std::vector<v1::Event>& events) {
  RolloutSummary summary;
  summary.events = events.size();
  for (const v1::Event& event : events) {
    summary.last_event_unix_ms = event.unix_ms();
    switch (event.body_case()) {
      case v1::Event::kCreated:
        summary.rollout = event.created().rollout();
        summary.cluster = event.created().plan().cluster();
        summary.kind = event.created().plan().kind();
        summary.from_version = event.created().plan().from_version();
        summary.to_version = event.created().plan().to_version();
        summary.holder = event.created().holder();
        summary.epoch = event.created().epoch();
        summary.created_unix_ms = event.unix_ms();
        break;
      case v1::Event::kResumed:
        summary.holder = event.resumed().holder();
        summary.epoch = std::max<uint64_t>(summary.epoch, event.resumed().epoch());
        summary.result = v1::RolloutEnded::RESULT_UNSPECIFIED;
        break;
      case v1::Event::kAdopted:
        summary.holder = event.adopted().holder();
        summary.epoch = std::max<uint64_t>(summary.epoch, event.adopted().epoch());
        break;
      case v1::Event::kEnded:
        summary.result = event.ended().result();
        break;
      default:
        break;
    }
  }
  return summary;
}

}  // namespace k3saga::journal
