#include "coordinator/core/adopt.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <map>

#include "common/protocol.h"
#include "common/reason.h"
#include "coordinator/core/way.h"

namespace k3saga::core {
namespace {

bool Answered(const v1::NodeFacts& facts) { return !facts.journal_id().empty(); }

using Operations = std::vector<const KeptOperation*>;

// What the agents' journals say of one rollout, oldest first.
struct Story {
  std::map<std::string, Operations> touches;  // by node: installs and put-backs
  std::map<std::string, Operations> cordons;  // by the node they were about: cordons and uncordons
  std::vector<v1::AdoptedBackup> backups;     // oldest first
};

bool Touches(const v1::OperationSpec& spec) { return spec.has_install() || spec.has_put_back(); }

bool Running(const KeptOperation& operation) {
  return operation.outcome.code() == v1::Outcome::CODE_UNSPECIFIED;
}

Story Read(const std::string& rollout, const std::vector<AgentReport>& reports) {
  Story story;
  std::vector<std::pair<const AgentReport*, const KeptOperation*>> all;
  for (const AgentReport& report : reports) {
    for (const KeptOperation& operation : report.operations) {
      if (operation.id.rollout() == rollout) all.emplace_back(&report, &operation);
    }
  }
  // The coordinator's numbers are the order of things, also where the agents' clocks are not.
  std::sort(all.begin(), all.end(),
            [](const auto& a, const auto& b) { return a.second->id.sequence() < b.second->id.sequence(); });
  for (const auto& [report, operation] : all) {
    const v1::OperationSpec& spec = operation->spec;
    if (Touches(spec)) story.touches[report->facts.name()].push_back(operation);
    if (spec.has_cordon()) story.cordons[spec.cordon().node()].push_back(operation);
    if (spec.has_uncordon()) story.cordons[spec.uncordon().node()].push_back(operation);
    if (spec.has_backup() && operation->outcome.code() == v1::Outcome::SUCCEEDED) {
      v1::AdoptedBackup& backup = story.backups.emplace_back();
      backup.set_node(report->facts.name());
      *backup.mutable_result() = operation->outcome.backup();
    }
  }
  return story;
}

const Operations& Of(const std::map<std::string, Operations>& by_node, const std::string& node) {
  static const Operations kNone;
  const auto found = by_node.find(node);
  return found == by_node.end() ? kNone : found->second;
}

// The last one that did something to the node, or may still; null when none did.
const KeptOperation* LastTouch(const Operations& touches) {
  const auto last = std::find_if(touches.rbegin(), touches.rend(), [](const KeptOperation* each) {
    return Running(*each) || each->outcome.node_state() != v1::Outcome::UNTOUCHED ||
           each->outcome.code() == v1::Outcome::SUCCEEDED;
  });
  return last == touches.rend() ? nullptr : *last;
}

const std::string& VersionOn(const v1::K3sFacts& k3s) {
  return k3s.running_version().empty() ? k3s.binary_version() : k3s.running_version();
}

// What runs counts; what was done says how it came to that.
v1::AdoptedNode::Found Judge(const v1::PlannedNode& planned, const v1::Plan& plan, const v1::NodeFacts& facts,
                             const KeptOperation* last) {
  if (!Answered(facts)) return v1::AdoptedNode::FOUND_UNKNOWN;
  if (last != nullptr && Running(*last)) return v1::AdoptedNode::FOUND_UNKNOWN;
  const bool broken = last != nullptr && last->outcome.code() != v1::Outcome::SUCCEEDED &&
                      last->outcome.node_state() != v1::Outcome::PUT_BACK;
  if (broken) return v1::AdoptedNode::BROKEN;
  const std::string& runs = VersionOn(facts.k3s());
  const std::string& target = planned.to_version().empty() ? plan.to_version() : planned.to_version();
  if (planned.at_target()) return runs == target ? v1::AdoptedNode::AS_PLANNED : v1::AdoptedNode::BROKEN;
  // With another binary in place the next start would bring something else.
  const std::string& placed = facts.k3s().binary_version();
  const bool half_way = !placed.empty() && placed != runs;
  if (runs == target) return half_way ? v1::AdoptedNode::BROKEN : v1::AdoptedNode::AT_TARGET;
  if (runs != planned.from_version()) return v1::AdoptedNode::BROKEN;
  if (last == nullptr) return v1::AdoptedNode::AS_PLANNED;
  return IsWayBack(plan) ? v1::AdoptedNode::BROKEN : v1::AdoptedNode::PUT_BACK;
}

// The first failure: what came after was the way back from it.
v1::Reason FailureIn(const Operations& touches) {
  for (const KeptOperation* each : touches) {
    if (each->outcome.code() == v1::Outcome::FAILED && each->outcome.has_reason())
      return each->outcome.reason();
  }
  return {};
}

v1::Reason FailureOfAServer(const v1::Plan& plan, const Story& story) {
  for (const v1::PlannedNode& planned : plan.nodes()) {
    v1::Reason reason = FailureIn(Of(story.touches, planned.name()));
    if (planned.role() != v1::ROLE_SERVER || reason.code() == v1::REASON_UNSPECIFIED) continue;
    if (reason.subject().empty()) reason.set_subject(planned.name());
    return reason;
  }
  return {};
}

v1::Reason WhyOf(v1::AdoptedNode::Found found, const v1::PlannedNode& planned, const v1::NodeFacts& facts,
                 const v1::Plan& plan, const Story& story) {
  if (found != v1::AdoptedNode::PUT_BACK && found != v1::AdoptedNode::BROKEN) return {};
  v1::Reason reason = FailureIn(Of(story.touches, planned.name()));
  if (reason.code() == v1::REASON_UNSPECIFIED && found == v1::AdoptedNode::PUT_BACK)
    reason = FailureOfAServer(plan, story);
  if (reason.code() != v1::REASON_UNSPECIFIED) return reason;
  if (found == v1::AdoptedNode::PUT_BACK)
    return MakeReason(v1::LOST_OPERATION, planned.name(), "it was put back; what for is not known any more");
  const std::string& runs = VersionOn(facts.k3s());
  return MakeReason(v1::WRONG_VERSION_RUNNING, planned.name(),
                    absl::StrCat("it runs ", runs.empty() ? "nothing" : runs, ", and nobody remembers why"),
                    "look at the node");
}

// The Node objects as a server's API shows them; null when none answered.
const v1::NodeFacts* WithNodes(const std::vector<AgentReport>& reports) {
  const auto found = std::find_if(reports.begin(), reports.end(),
                                  [](const AgentReport& each) { return each.facts.nodes_size() != 0; });
  return found == reports.end() ? nullptr : &found->facts;
}

bool CordonedByUs(const std::string& rollout, const v1::PlannedNode& planned, const v1::NodeFacts* api,
                  const Operations& cordons) {
  // One that was accepted may still be put on, or taken off, after this look.
  if (!cordons.empty() && Running(*cordons.back())) return true;
  if (api != nullptr) {
    return std::any_of(api->nodes().begin(), api->nodes().end(), [&](const v1::KubeNode& node) {
      return node.name() == planned.name() && node.cordoned_by() == rollout;
    });
  }
  // Without an API: whatever was asked last, and one that was not taken off is still there. The agent looks
  // at the annotation before it undoes one.
  if (cordons.empty()) return false;
  const KeptOperation& last = *cordons.back();
  return last.spec.has_uncordon() ? last.outcome.code() != v1::Outcome::SUCCEEDED
                                  : !last.outcome.cordon().cordoned_before();
}

bool PastReturn(const v1::Plan& plan, const v1::RolloutAdopted& adopted, const Story& story) {
  if (!plan.minor_step()) return false;
  std::map<std::string, v1::AdoptedNode::Found> found;
  for (const v1::AdoptedNode& node : adopted.nodes()) found[node.node()] = node.found();
  return std::all_of(plan.nodes().begin(), plan.nodes().end(), [&](const v1::PlannedNode& planned) {
    if (planned.role() != v1::ROLE_SERVER || planned.at_target()) return true;
    if (found[planned.name()] == v1::AdoptedNode::AT_TARGET) return true;
    const Operations& touches = Of(story.touches, planned.name());
    return std::any_of(touches.begin(), touches.end(), [](const KeptOperation* each) {
      return each->spec.has_install() && each->outcome.code() == v1::Outcome::SUCCEEDED;
    });
  });
}

const AgentReport* ReportOf(const std::vector<AgentReport>& reports, const std::string& node) {
  const auto found = std::find_if(reports.begin(), reports.end(),
                                  [&](const AgentReport& each) { return each.facts.name() == node; });
  return found == reports.end() ? nullptr : &*found;
}

void CheckNodes(const v1::Plan& plan, const std::vector<AgentReport>& reports,
                std::vector<v1::Reason>& refusals) {
  for (const v1::PlannedNode& planned : plan.nodes()) {
    const AgentReport* report = ReportOf(reports, planned.name());
    if (report == nullptr) {
      refusals.push_back(MakeReason(v1::NODE_MISSING_FROM_FILE, planned.name(),
                                    "the rollout's plan names it, the cluster file does not",
                                    "add it to the cluster file"));
    } else if (planned.role() == v1::ROLE_SERVER && !Answered(report->facts)) {
      refusals.push_back(MakeReason(v1::NODE_UNREACHABLE, planned.name(),
                                    "its agent did not answer, and every server's has to acknowledge whoever "
                                    "goes on with the rollout",
                                    "is k3saga-agent running there and reachable?"));
    } else if (Answered(report->facts) && !plan.cluster_id().empty() &&
               !report->facts.k3s().cluster_id().empty() &&
               report->facts.k3s().cluster_id() != plan.cluster_id()) {
      refusals.push_back(MakeReason(v1::DIFFERENT_CLUSTER, planned.name(),
                                    "it belongs to another cluster than when the rollout was planned"));
    }
  }
}

// By plan, or as the compensation of an upgrade.
bool BringsDatastoreBack(const v1::RolloutCreated& created, const std::vector<AgentReport>& reports) {
  if (created.plan().has_restore_from()) return true;
  return std::any_of(reports.begin(), reports.end(), [&](const AgentReport& report) {
    return std::any_of(report.operations.begin(), report.operations.end(), [&](const KeptOperation& each) {
      return each.id.rollout() == created.rollout() &&
             (each.spec.has_stop() || each.spec.has_restore_datastore() || each.spec.has_rejoin() ||
              each.spec.has_restart());
    });
  });
}

// Those that were touched in that order (the way back goes newest first), then the others.
void Order(const Story& story, v1::RolloutAdopted& adopted) {
  const auto when = [&](const v1::AdoptedNode& node) {
    const KeptOperation* last = LastTouch(Of(story.touches, node.node()));
    return last == nullptr ? UINT64_MAX : last->id.sequence();
  };
  std::stable_sort(adopted.mutable_nodes()->begin(), adopted.mutable_nodes()->end(),
                   [&](const v1::AdoptedNode& a, const v1::AdoptedNode& b) { return when(a) < when(b); });
}

}  // namespace

KeptRollout FindKept(const std::vector<v1::NodeFacts>& facts) {
  KeptRollout kept;
  const v1::NodeFacts* newest = nullptr;
  for (const v1::NodeFacts& node : facts) {
    const bool newer = newest == nullptr || node.claim().epoch() > newest->claim().epoch();
    // Some may have been released already: it had not ended while one is held.
    const bool held = !newer && node.claim().epoch() == newest->claim().epoch() && node.claim().active();
    if (newer || held) newest = &node;
  }
  if (newest == nullptr || std::none_of(facts.begin(), facts.end(), Answered)) {
    kept.refusals = {MakeReason(v1::NODE_UNREACHABLE, "", "no agent answered",
                                "are the agents running, and are their addresses right?")};
    return kept;
  }
  kept.claim = newest->claim();
  const auto keeper = std::find_if(facts.begin(), facts.end(), [&](const v1::NodeFacts& node) {
    return node.claim().rollout() == kept.claim.rollout() && !node.adoption().empty();
  });
  if (!kept.claim.active() || keeper == facts.end()) {
    kept.refusals = {MakeReason(v1::CLAIM_MISSING, "", "no agent keeps a rollout that has not ended",
                                "`k3saga history` lists the rollouts of this machine")};
    return kept;
  }
  if (!kept.created.ParseFromString(keeper->adoption())) {
    kept.refusals = {MakeReason(v1::LOCAL_FAILURE, keeper->name(), "what its agent keeps cannot be read")};
  } else if (kept.created.protocol() > kProtocol) {
    kept.refusals = {MakeReason(v1::AGENT_VERSION_UNSUPPORTED, kept.created.rollout(),
                                absl::StrCat("it was begun by k3saga ", kept.created.program_version(),
                                             ", which is newer than this one"),
                                "use that version")};
  }
  return kept;
}

Adoption Adopt(const v1::RolloutCreated& created, const std::vector<AgentReport>& reports,
               const std::string& holder, uint64_t epoch) {
  Adoption adoption;
  const v1::Plan& plan = created.plan();
  CheckNodes(plan, reports, adoption.refusals);
  if (!adoption.refusals.empty()) return adoption;

  const Story story = Read(created.rollout(), reports);
  const v1::NodeFacts* api = WithNodes(reports);
  v1::RolloutAdopted& adopted = adoption.adopted;
  adopted.set_holder(holder);
  adopted.set_epoch(epoch);
  for (const v1::PlannedNode& planned : plan.nodes()) {
    const v1::NodeFacts& facts = ReportOf(reports, planned.name())->facts;
    const Operations& touches = Of(story.touches, planned.name());
    v1::AdoptedNode& node = *adopted.add_nodes();
    node.set_node(planned.name());
    node.set_found(Judge(planned, plan, facts, LastTouch(touches)));
    node.set_cordoned_by_us(CordonedByUs(created.rollout(), planned, api, Of(story.cordons, planned.name())));
    node.set_staged(facts.k3s().staged_version() == plan.to_version());
    node.set_journal_id(facts.journal_id());
    if (v1::Reason why = WhyOf(node.found(), planned, facts, plan, story);
        why.code() != v1::REASON_UNSPECIFIED)
      *node.mutable_reason() = std::move(why);
  }
  for (const v1::AdoptedBackup& backup : story.backups) *adopted.add_backups() = backup;
  adopted.set_past_return(!IsWayBack(plan) && PastReturn(plan, adopted, story));
  if (BringsDatastoreBack(created, reports)) {
    *adopted.mutable_ends() =
        MakeReason(v1::LOST_OPERATION, "",
                   "the datastore was on its way back, and where that stood was in the lost journal only",
                   "the cluster is free again: `k3saga backups`, then `k3saga restore --backup ID`, which "
                   "also works with servers down");
  }
  Order(story, adopted);
  return adoption;
}

}  // namespace k3saga::core
