#include "coordinator/driver/adopting.h"

#include <absl/strings/str_cat.h>

#include <utility>

#include "common/reason.h"
#include "coordinator/core/state.h"

namespace k3saga::driver {
namespace {

v1::RunRequest ClaimRequest(const Adopting::Job& job, bool server) {
  v1::RunRequest request;
  v1::Authority& authority = *request.mutable_authority();
  authority.set_rollout(job.created.rollout());
  authority.set_epoch(job.epoch);
  authority.set_holder(job.holder);
  // The first name under its epoch; the rollout goes on under another epoch and so with other names.
  request.mutable_id()->set_rollout(job.created.rollout());
  request.mutable_id()->set_sequence(core::FirstSequence(job.epoch));
  request.mutable_id()->set_attempt(1);
  v1::ClaimSpec& claim = *request.mutable_spec()->mutable_claim();
  claim.set_holder(job.holder);
  if (server) claim.set_rollout_created(job.created.SerializeAsString());
  return request;
}

}  // namespace

Adopting::Adopting(fleet::Fleet& fleet, Job job, std::function<void(Result)> done)
    : fleet_(fleet), job_(std::move(job)), done_(std::move(done)) {
  open_ = static_cast<size_t>(job_.created.plan().nodes_size());
  for (const v1::PlannedNode& node : job_.created.plan().nodes())
    Claim(node.name(), node.role() == v1::ROLE_SERVER);
}

void Adopting::Claim(const std::string& node, bool server) {
  fleet::RunEvents events;
  events.accepted = [](const v1::RunReply::Accepted&) {};
  events.progress = [](const v1::Progress&) {};
  events.done = [this, node, server](const absl::StatusOr<v1::Outcome>& outcome) {
    Claimed(node, server, outcome);
  };
  calls_.push_back(fleet_.Run(node, ClaimRequest(job_, server), job_.timeout, std::move(events)));
}

// A worker whose agent is away is dealt with when it is its turn.
void Adopting::Claimed(const std::string& node, bool server, const absl::StatusOr<v1::Outcome>& outcome) {
  if (server && !outcome.ok()) {
    result_.refusals.push_back(
        MakeReason(v1::NODE_UNREACHABLE, node,
                   absl::StrCat("every server's agent has to acknowledge whoever goes on with the rollout: ",
                                std::string(outcome.status().message())),
                   "is k3saga-agent running there and reachable?"));
  } else if (server && outcome->code() != v1::Outcome::SUCCEEDED) {
    result_.refusals.push_back(outcome->reason());
  }
  OneLess();
}

void Adopting::OneLess() {
  if (--open_ > 0) return;
  if (!std::exchange(reporting_, true) && result_.refusals.empty()) return AskForReports();
  // `done` may destroy this.
  const auto done = std::move(done_);
  done(std::move(result_));
}

void Adopting::AskForReports() {
  open_ = job_.nodes.size();
  result_.reports.resize(job_.nodes.size());
  v1::GetFactsRequest request;
  request.set_for_adoption(true);
  for (size_t i = 0; i < job_.nodes.size(); ++i) {
    result_.reports[i].facts.set_name(job_.nodes[i]);
    calls_.push_back(
        fleet_.GetFacts(job_.nodes[i], request, job_.timeout, [this, i](absl::StatusOr<v1::NodeFacts> facts) {
          if (!facts.ok()) return OneLess();
          result_.reports[i].facts = *std::move(facts);
          // Ours, not what an agent calls itself.
          result_.reports[i].facts.set_name(job_.nodes[i]);
          AskForOperations(i);
        }));
  }
}

void Adopting::AskForOperations(size_t at) {
  calls_.push_back(fleet_.ListOperations(
      job_.nodes[at], {}, job_.timeout, [this, at](const absl::StatusOr<v1::ListOperationsReply>& reply) {
        core::AgentReport& report = result_.reports[at];
        if (reply.ok()) {
          for (const v1::OperationRecord& each : reply->operations())
            report.operations.push_back({each.id(), each.spec(), each.outcome()});
        } else {
          report.facts.clear_journal_id();  // half an answer is none
        }
        OneLess();
      }));
}

}  // namespace k3saga::driver
