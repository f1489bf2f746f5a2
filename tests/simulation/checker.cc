#include "tests/simulation/checker.h"

#include <absl/strings/str_cat.h>

#include <algorithm>

#include "coordinator/core/planner.h"
#include "tests/simulation/world.h"

namespace k3saga::simulation {
namespace {

// What a probe round may at most be behind: what changed in this time could not be known.
constexpr int64_t kBlindMs = 4000;
// Of every so many histories, one is folded a second time while it happens.
constexpr uint64_t kSample = 16;

using Verb = v1::OperationSpec::VerbCase;

uint64_t NameOf(const v1::OperationId& id) { return id.sequence() << 8 | id.attempt(); }

}  // namespace

Checker::Checker(World& world) : world_(world), book_(world.scenario.nodes.size()) {}

void Checker::Violate(std::string what) {
  if (violation_.empty()) violation_ = std::move(what);
}

int Checker::IndexOf(const std::string& name) const {
  const auto& nodes = world_.scenario.created.plan().nodes();
  for (int i = 0; i < nodes.size(); ++i) {
    if (nodes.Get(i).name() == name) return i;
  }
  return -1;
}

void Checker::OnCommitted(const Coordinator& by, const std::vector<v1::Event>& log) {
  for (const v1::Event& event : log) {
    world_.Tell([&] { return event.ShortDebugString(); });
    if (event.has_issued()) {
      committed_[event.issued().sequence()] = {event.issued().spec().verb_case(),
                                               IndexOf(event.issued().asked_of())};
    }
    if (&by == &world_.current()) Note(by, event);
  }
  if (world_.scenario.seed % kSample == 0) JudgeShown(by, log);
}

void Checker::Note(const Coordinator& by, const v1::Event& event) {
  switch (event.body_case()) {
    case v1::Event::kCommand:
      if (event.command().command() == v1::CommandReceived::PAUSE) paused_ = true;
      if (event.command().command() == v1::CommandReceived::RESUME) paused_ = false;
      if (event.command().command() == v1::CommandReceived::ABORT) aborting_ = true;
      return;
    case v1::Event::kResumed:
      paused_ = false;
      return;
    case v1::Event::kAdopted:
      return NoteAdopted(event.adopted());
    case v1::Event::kIssued:
      return NoteIssued(by, event.issued());
    case v1::Event::kNodeFinished: {
      const int node = IndexOf(event.node_finished().node());
      Book& book = book_[static_cast<size_t>(node)];
      const v1::NodeFinished::Result result = event.node_finished().result();
      if (!world_.scenario.nodes[static_cast<size_t>(node)].server && !book.finished) {
        in_flight_ -= book.begun ? 1 : 0;
        upgraded_ += result == v1::NodeFinished::UPGRADED || result == v1::NodeFinished::RETURNED ? 1 : 0;
        failed_ += result == v1::NodeFinished::FAILED || result == v1::NodeFinished::PUT_BACK ? 1 : 0;
      }
      book.finished = true;
      book.result = result;
      return;
    }
    case v1::Event::kEnded:
      return JudgeEnd(by, event.ended());
    default:
      return;
  }
}

// Counted from anew: what nodes came to before is known by what they run only.
void Checker::NoteAdopted(const v1::RolloutAdopted& adopted) {
  paused_ = aborting_ = false;
  upgraded_ = failed_ = in_flight_ = 0;
  for (const v1::AdoptedNode& found : adopted.nodes()) {
    const int node = IndexOf(found.node());
    Book& book = book_[static_cast<size_t>(node)];
    book = {};
    const bool unknown = found.found() == v1::AdoptedNode::FOUND_UNKNOWN;
    book.begun = found.cordoned_by_us() ||
                 (unknown ? !found.journal_id().empty() : found.found() != v1::AdoptedNode::AS_PLANNED);
    if (book.begun && !world_.scenario.nodes[static_cast<size_t>(node)].server) ++in_flight_;
  }
}

void Checker::NoteIssued(const Coordinator& by, const v1::OperationIssued& issued) {
  const Verb verb = issued.spec().verb_case();
  const int node = IndexOf(issued.node());
  Book& book = book_[static_cast<size_t>(node)];
  const Scenario& scenario = world_.scenario;
  const bool by_binaries = scenario.way_back() && !scenario.created.plan().has_restore_from();
  const bool takes = verb == Verb::kInstall || (verb == Verb::kPutBack && by_binaries);
  if (verb == Verb::kStop && paused_ &&
      std::all_of(world_.cluster.machines.begin(), world_.cluster.machines.begin() + world_.cluster.servers,
                  [](const Machine& each) { return !each.stopped; }) &&
      !stopping_) {
    Violate("servers were to be stopped while the rollout was paused");
  }
  stopping_ = stopping_ || verb == Verb::kStop;
  if (verb == Verb::kRejoin) JudgeRejoin(node);
  if ((verb == Verb::kCordon || verb == Verb::kDrain || takes) && !book.begun) {
    JudgeTaken(node);
    book.begun = true;
    in_flight_ += world_.scenario.nodes[static_cast<size_t>(node)].server ? 0 : 1;
  }
  const bool server = world_.scenario.nodes[static_cast<size_t>(node)].server;
  if (!server || (verb != Verb::kInstall && verb != Verb::kPutBack)) return;
  JudgeTouch(node, takes);
  for (int i = 0; i < world_.cluster.servers && !lost_journals_; ++i) {
    if (world_.agents[static_cast<size_t>(i)]->fence().claim.epoch() >= by.state().epoch) continue;
    Violate("a touch was decided before every server acknowledged the epoch");
  }
}

bool Checker::ServersMayCrash() const {
  const auto& counts = world_.scenario.faults.counts;
  return world_.scenario.crashes_while_mixed || counts[static_cast<size_t>(Fault::kServerCrashes)] != 0 ||
         counts[static_cast<size_t>(Fault::kNodeRebooted)] != 0;
}

// A peer is to join: are those that did before it well, as far as it could be known?
void Checker::JudgeRejoin(int node) {
  const int64_t now = world_.schedule.now();
  for (int i = 0; i < world_.cluster.servers; ++i) {
    const Machine& other = world_.cluster.machines[static_cast<size_t>(i)];
    if (i == node || !world_.cluster.Member(i) || other.ready || now - other.unready_since <= kBlindMs)
      continue;
    Violate(absl::StrCat("server ", node + 1, " was to join while server ", i + 1, " was not ready"));
  }
}

void Checker::OnReset(int node) {
  if (lost_journals_ || taken_over_) return;
  for (int i = 0; i < world_.cluster.servers; ++i) {
    const Machine& other = world_.cluster.machines[static_cast<size_t>(i)];
    if (i != node && (other.up || !other.stopped)) {
      Violate(absl::StrCat("the datastore was reset on server ", node + 1, " while server ", i + 1, " ran"));
    }
  }
}

void Checker::OnJoin(int node) {
  if (lost_journals_ || taken_over_) return;
  if (world_.cluster.generation == 0 || !world_.cluster.verified) {
    Violate(absl::StrCat("server ", node + 1, " was to join before the server that was reset was verified"));
  }
}

void Checker::OnServerStart(int node) {
  if (world_.cluster.machines[static_cast<size_t>(node)].file != Release::kOld || lost_journals_) return;
  const auto& machines = world_.cluster.machines;
  for (size_t i = static_cast<size_t>(world_.cluster.servers); i < machines.size(); ++i) {
    if (machines[i].file == Release::kNew && machines[i].up)
      Violate("a worker is newer than a restored server");
  }
}

// A node is taken: was it allowed to take another one?
void Checker::JudgeTaken(int node) {
  if (paused_) Violate("a node was taken while the rollout was paused");
  if (aborting_) Violate("a node was taken although the user aborted");
  // Whoever goes back does not ask it: what it is about may be why.
  const bool closed = !world_.scenario.way_back() && world_.GateClosed() &&
                      world_.schedule.now() - world_.gate_closed_since > kBlindMs;
  const bool server = world_.scenario.nodes[static_cast<size_t>(node)].server;
  // A server that crashes until it is moved goes next all the same.
  if (closed && !(server && ServersMayCrash())) Violate("a node was taken while the user's gate was closed");
  if (server) return;
  const v1::WorkerPolicy& policy = world_.scenario.created.plan().policies().workers();
  const auto workers = static_cast<uint32_t>(book_.size()) - static_cast<uint32_t>(world_.cluster.servers);
  const uint32_t canaries = std::min(policy.canary(), workers);
  if (upgraded_ < canaries && upgraded_ + in_flight_ >= canaries)
    Violate("a worker was taken before the canaries");
  const uint32_t budget = policy.on_failure() == v1::ON_FAILURE_STOP ? 0 : policy.failure_budget().value();
  if (failed_ > budget) Violate("a worker was taken although the failure budget was spent");
}

// A server is about to be touched: what did the cluster look like, as far as it could be known?
void Checker::JudgeTouch(int node, bool forward) {
  const Machine& touched = world_.cluster.machines[static_cast<size_t>(node)];
  if (!touched.up || !touched.ready) return;
  if (!forward) {
    if (!QuorumIsOurs(node)) Violate("a put-back was decided that gives up quorum");
    return;
  }
  for (int other = 0; other < world_.cluster.servers; ++other) {
    if (other != node) JudgeOthers(node, other);
  }
}

void Checker::JudgeOthers(int node, int other) {
  const int64_t now = world_.schedule.now();
  const Machine& machine = world_.cluster.machines[static_cast<size_t>(other)];
  const std::string pair =
      absl::StrCat("server ", node + 1, " was to be touched while server ", other + 1, " ");
  if (machine.alarm && now - machine.alarm_since > kBlindMs) Violate(pair + "raised an alarm");
  if (!machine.ready) {
    if (now - machine.unready_since > kBlindMs) Violate(pair + "was not ready");
    return;
  }
  const Scenario& scenario = world_.scenario;
  const Release as_found = scenario.way_back() ? Release::kNew : Release::kOld;
  if (ServersMayCrash() && machine.running == as_found)
    return;  // the one that crashes until it is moved goes next
  const int64_t settle =
      1000 * static_cast<int64_t>(scenario.created.plan().policies().servers().settle_seconds());
  const bool blind = scenario.faults.Happened(Fault::kStaleHealth) && now - machine.ready_since <= kBlindMs;
  if (now - machine.ready_since < settle && !blind) Violate(pair + "had not settled");
}

// Without this server a quorum is left, or what is missing went away too lately to be known, or was agreed
// to.
bool Checker::QuorumIsOurs(int node) const {
  const Cluster& cluster = world_.cluster;
  if (!cluster.etcd() || cluster.servers <= 2 || !cluster.EtcdUp(node) || cluster.QuorumWithout(node))
    return true;
  const int64_t now = world_.schedule.now();
  return std::any_of(cluster.machines.begin(), cluster.machines.begin() + cluster.servers,
                     [&](const Machine& each) {
                       const bool just_left = !each.up && now - each.down_since <= kBlindMs;
                       return just_left || (!each.ready && now - each.unready_since <= kBlindMs);
                     });
}

void Checker::OnAccepted(int node, const RunMessage& message, bool still_running) {
  const auto verb = static_cast<int>(message.spec->verb_case());
  const auto found = committed_.find(message.id.sequence());
  const bool fences = message.spec->has_claim() && fencing_.count(message.id.sequence()) != 0;
  if (!fences && (found == committed_.end() || found->second != std::pair(verb, node))) {
    Violate("an agent was asked for an operation that no journal has");
  }
  if (still_running) Violate("an operation that was running was started a second time");
  if (!accepted_.insert({node, NameOf(message.id)}).second) Violate("an operation was started twice");

  const bool touches = message.spec->has_install() || message.spec->has_put_back();
  if (!touches || !world_.scenario.nodes[static_cast<size_t>(node)].server || lost_journals_) return;
  for (int i = 0; i < world_.cluster.servers; ++i) {
    const uint64_t epoch = world_.agents[static_cast<size_t>(i)]->fence().claim.epoch();
    if (epoch < message.authority.epoch())
      Violate("a server was touched before every server acknowledged the epoch");
  }
  const uint64_t own = world_.agents[static_cast<size_t>(node)]->fence().claim.epoch();
  if (own > message.authority.epoch()) Violate("a coordinator that was taken over touched a server");
}

void Checker::JudgeLimit(int node) {
  const Machine& taken = world_.cluster.machines[static_cast<size_t>(node)];
  const Release as_found = world_.scenario.way_back() ? Release::kNew : Release::kOld;
  // Nobody started it since; when it was put back, we did.
  const auto still_away = [](const Machine& machine) { return machine.fate.away && machine.pid == 1; };
  if (taken.server || taken.ours || taken_over_) return;
  // Was down before, and was not up since, or came up by itself while we worked on it: costs nothing.
  const bool never_up = taken.ready_since < 0;
  if (taken.fate.away && (taken.running == as_found || never_up || taken.rebooted)) return;
  const uint32_t limit =
      std::max(1u, world_.scenario.created.plan().policies().workers().max_unavailable().value());
  uint32_t unavailable = 1;
  std::string who;
  for (size_t i = 0; i < world_.cluster.machines.size(); ++i) {
    const Machine& other = world_.cluster.machines[i];
    if (other.server || static_cast<int>(i) == node) continue;
    if (!other.ours && other.touched_by == 0 && !still_away(other)) continue;
    ++unavailable;
    absl::StrAppend(&who, " w", i + 1, other.ours ? " cordoned" : "",
                    other.touched_by != 0 ? " touched" : "");
  }
  if (unavailable > limit)
    Violate(absl::StrCat(unavailable, " workers were unavailable; the limit is ", limit, ":", who));
}

void Checker::OnBegin(int node, const operations::Record& record) {
  // A server cut off from us may still listen to the coordinator that was taken over.
  if (record.authority.epoch() < world_.current().state().epoch && taken_over_) others_cordoned_ = true;
  JudgeLimit(node);
  // Its Node may be awaited while the next one goes, but not while its pods are kept away (unless taking our
  // cordon back was tried until that was given up).
  if (!world_.scenario.created.plan().policies().servers().drain().enabled()) return;
  const auto& machines = world_.cluster.machines;
  for (int i = 0; i < world_.cluster.servers; ++i) {
    const Machine& other = machines[static_cast<size_t>(i)];
    const auto& nodes = world_.current().state().nodes;  // empty: it has not read its journal yet
    const bool given_up = !nodes.empty() && nodes[static_cast<size_t>(i)].finished();
    const bool two = machines[static_cast<size_t>(node)].server && i != node && other.ours && !given_up;
    if (two && !taken_over_) Violate("two servers were kept from workloads at once");
  }
}

void Checker::OnStop(int node, const operations::Record& record) {
  const Cluster& cluster = world_.cluster;
  const v1::Policies& policies = world_.scenario.created.plan().policies();
  const bool forward = record.verb == operations::Verb::kInstall && !record.turned;
  const Machine& machine = cluster.machines[static_cast<size_t>(node)];
  if (forward && policies.backup().enabled() && !backed_up_) Violate("a node was touched before the backup");
  if (forward && machine.file == Release::kNew && !took_effect_.insert({node, NameOf(record.id)}).second &&
      machine.running == Release::kOld && machine.up) {
    Violate("an install took effect twice");
  }
  if (!machine.server) {
    // Before the datastore comes back workers go back all at once.
    if (!policies.workers().cordon() && !world_.current().state().restores) JudgeLimit(node);
    for (int i = 0; i < cluster.servers && machine.file == Release::kNew; ++i) {
      const Machine& server = cluster.machines[static_cast<size_t>(i)];
      if (server.running == Release::kOld && server.file == Release::kOld)
        Violate("a worker is newer than a server");
    }
    return;
  }
  if (world_.scenario.way_back()) OnServerStart(node);
  const bool remedy = world_.scenario.created.plan().remedies_size() != 0;
  if (forward && remedy && !cluster.remedied) Violate("a server was touched without the step's remedy");
  for (int i = 0; i < cluster.servers; ++i) {
    const Machine& other = cluster.machines[static_cast<size_t>(i)];
    if (i != node && other.touched_by != 0) {
      Violate(absl::StrCat("servers ", i + 1, " and ", node + 1, " were touched at once, by operations ",
                           other.touched_by, " and ", record.id.sequence()));
    }
  }
  if (!record.turned && !QuorumIsOurs(node)) Violate("we gave up etcd's quorum");
}

void Checker::OnJournalLost(int node) {
  lost_journals_ = true;
  for (auto each = accepted_.begin(); each != accepted_.end();) {
    each = each->first == node ? accepted_.erase(each) : std::next(each);
  }
}

void Checker::JudgeEnd(const Coordinator& by, const v1::RolloutEnded& ended) {
  if (ended.result() != v1::RolloutEnded::SUCCEEDED && ended.reason().code() == v1::REASON_UNSPECIFIED) {
    Violate("the rollout ended without a reason");
  }
  const Release goal = world_.scenario.way_back() ? Release::kOld : Release::kNew;
  const auto& machines = world_.cluster.machines;
  for (size_t i = 0; i < machines.size(); ++i) {
    const Machine& machine = machines[i];
    const std::string who =
        absl::StrCat("node ", world_.scenario.created.plan().nodes(static_cast<int>(i)).name(), " ");
    if (ended.result() == v1::RolloutEnded::SUCCEEDED && (machine.file != goal || machine.running != goal)) {
      Violate(who + "does not run its target although the rollout succeeded");
    }
    const bool ended_well =
        ended.result() == v1::RolloutEnded::SUCCEEDED || ended.result() == v1::RolloutEnded::COMPENSATED;
    if (ended_well && machine.server && machine.data != world_.cluster.generation) {
      Violate(who + "is not a member although the rollout says that all is well");
    }
    if (ended.result() == v1::RolloutEnded::COMPENSATED && machine.server && !machine.fate.at_target &&
        (machine.file != Release::kOld || machine.running != Release::kOld)) {
      Violate(who + "was not put back although the rollout says compensated");
    }
    if (machine.fate.cordoned && (!machine.unschedulable || machine.ours))
      Violate(who + "lost the user's cordon");
  }
  const bool nothing_wrong =
      world_.scenario.faults.Quiet() && !aborting_ &&
      std::none_of(machines.begin(), machines.end(), [](const Machine& machine) {
        return machine.fate.bad_release || machine.fate.bad_installer || machine.fate.stuck_drain;
      });
  if (nothing_wrong && ended.result() != v1::RolloutEnded::SUCCEEDED) {
    Violate("the rollout did not succeed although nothing went wrong");
  }
  JudgeRemedies(by);
  JudgeCordons(by);
  JudgeReplay(by);
}

// What stood while versions were mixed is gone, however the rollout ended.
void Checker::JudgeRemedies(const Coordinator& by) {
  if (!world_.cluster.remedied || by.state().fenced || lost_journals_) return;
  const core::RemedyState& remedy = by.state().remedy;
  if (!remedy.given_up) Violate("the step's remedy stayed behind");
}

// None of ours stays on a healthy node.
void Checker::JudgeCordons(const Coordinator& by) {
  if (by.state().fenced || lost_journals_ || others_cordoned_) return;
  for (size_t i = 0; i < book_.size(); ++i) {
    const Machine& machine = world_.cluster.machines[i];
    const core::NodeState& node = by.state().nodes[i];
    const bool given_up = node.attempts[Verb::kUncordon] != 0;  // the API was away for all attempts
    if (!machine.ours || !machine.ready || given_up || book_[i].result == v1::NodeFinished::FAILED) continue;
    Violate("a cordon of ours stayed on healthy node " + node.name());
  }
}

namespace {

bool SameToLookAt(const core::State& a, const core::State& b) {
  bool same = a.events == b.events && a.result == b.result && a.step == b.step && a.epoch == b.epoch &&
              a.next_sequence == b.next_sequence && a.steps.size() == b.steps.size() &&
              a.paused == b.paused && a.held.size() == b.held.size() &&
              a.open_operations.size() == b.open_operations.size();
  for (size_t i = 0; same && i < a.nodes.size(); ++i) {
    const core::NodeState& one = a.nodes[i];
    const core::NodeState& other = b.nodes[i];
    same = one.result == other.result && one.fate == other.fate && one.cordon == other.cordon &&
           one.installs == other.installs && one.reason.code() == other.reason.code() &&
           core::PhaseOf(one) == core::PhaseOf(other);
  }
  return same;
}

}  // namespace

// What the user is shown equals what the journal holds: at the end, from its first event.
void Checker::JudgeReplay(const Coordinator& by) {
  core::State replayed;
  for (const v1::Event& event : by.journal()) {
    const absl::Status applied = core::Apply(event, replayed);
    if (!applied.ok()) return Violate("the journal does not fold: " + std::string(applied.message()));
  }
  if (!SameToLookAt(replayed, by.state())) Violate("what is shown is not what the journal holds");
}

// The same after every commit, as another process would read it.
void Checker::JudgeShown(const Coordinator& by, const std::vector<v1::Event>& log) {
  if (&by != &world_.current()) return;
  if (std::exchange(shown_of_, &by) != &by) shown_ = {};
  for (const v1::Event& event : log) {
    const absl::Status applied = core::Apply(event, shown_);
    if (!applied.ok()) return Violate("the journal does not fold: " + std::string(applied.message()));
  }
  if (!SameToLookAt(shown_, by.state())) Violate("what is shown is not what the journal holds");
}

}  // namespace k3saga::simulation
