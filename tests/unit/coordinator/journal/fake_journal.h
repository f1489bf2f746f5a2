#pragma once

#include <map>
#include <string>
#include <vector>

#include "coordinator/journal/journal.h"

namespace k3saga::journal {

// A journal in memory that can be told to fail.
class FakeJournal final : public Journal {
 public:
  std::map<std::string, std::vector<v1::Event>> rollouts;
  int commits = 0;
  absl::Status next_commit;  // not OK: the next Append fails with it

  absl::Status Append(std::string_view rollout, uint64_t after,
                      const std::vector<v1::Event>& events) override {
    if (!next_commit.ok()) return std::exchange(next_commit, absl::OkStatus());
    std::vector<v1::Event>& log = rollouts[std::string(rollout)];
    if (log.size() != after) return absl::AbortedError("somebody else appended");
    log.insert(log.end(), events.begin(), events.end());
    ++commits;
    return absl::OkStatus();
  }

  absl::StatusOr<std::vector<v1::Event>> Read(std::string_view rollout) const override {
    const auto found = rollouts.find(std::string(rollout));
    if (found == rollouts.end()) return absl::NotFoundError("no such rollout");
    return found->second;
  }

  absl::StatusOr<std::vector<RolloutSummary>> List() const override {
    std::vector<RolloutSummary> list;
    for (auto it = rollouts.rbegin(); it != rollouts.rend(); ++it) list.push_back(Summarize(it->second));
    return list;
  }
};

}  // namespace k3saga::journal
