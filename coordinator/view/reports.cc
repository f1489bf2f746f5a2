#include "coordinator/view/reports.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include <algorithm>

#include "common/reason.h"
#include "coordinator/view/words.h"

namespace k3saga::view {
namespace {

Line Head(const std::vector<std::string>& titles) {
  Line head;
  for (const std::string& title : titles) head.push_back({title, Tone::kDim});
  return head;
}

// What this node, or another server, says about this node's object in Kubernetes.
const v1::KubeNode* FindKubeNode(const std::vector<NodeAnswer>& answers, const std::string& name) {
  for (const NodeAnswer& answer : answers) {
    if (!answer.facts.ok()) continue;
    for (const v1::KubeNode& node : answer.facts->nodes()) {
      if (node.name() == name) return &node;
    }
  }
  return nullptr;
}

Cell StateOf(const v1::KubeNode* node) {
  if (node == nullptr) return {"unknown", Tone::kWarning};
  std::string text = node->ready() ? "Ready" : "NotReady";
  if (node->unschedulable()) absl::StrAppend(&text, ", cordoned");
  return {text, !node->ready() ? Tone::kBad : node->unschedulable() ? Tone::kWarning : Tone::kGood};
}

std::string EtcdOf(const v1::NodeFacts& facts) {
  if (!facts.has_etcd()) return "-";
  const v1::EtcdFacts& etcd = facts.etcd();
  if (!etcd.error().empty()) return "unreachable";
  if (etcd.learner()) return "learner";
  return etcd.member_id() == etcd.leader_id() ? "leader" : "member";
}

Line NodeRowOf(const std::vector<NodeAnswer>& answers, const NodeAnswer& answer) {
  Line row = {{answer.name}, {RoleWord(answer.role), Tone::kDim}};
  if (!answer.facts.ok()) {
    for (Cell& cell :
         Line{{"unknown", Tone::kWarning}, StateOf(FindKubeNode(answers, answer.name)), {"-"}, {"-"}}) {
      row.push_back(std::move(cell));
    }
    row.push_back({std::string(answer.facts.status().message()), Tone::kBad});
    return row;
  }
  const v1::NodeFacts& facts = *answer.facts;
  const v1::K3sFacts& k3s = facts.k3s();
  row.push_back(k3s.running_version().empty() ? Cell{"not running", Tone::kBad}
                                              : Cell{k3s.running_version()});
  row.push_back(StateOf(FindKubeNode(answers, k3s.node_name().empty() ? answer.name : k3s.node_name())));
  row.push_back({EtcdOf(facts)});
  row.push_back({facts.agent_version()});
  std::vector<std::string> notes;
  if (!k3s.binary_version().empty() && !k3s.binary_is_running() && !k3s.running_version().empty()) {
    notes.push_back(absl::StrCat("file on disk is ", k3s.binary_version()));
  }
  if (!k3s.staged_version().empty()) notes.push_back(absl::StrCat("staged ", k3s.staged_version()));
  if (facts.claim().active()) notes.push_back(absl::StrCat("held by ", facts.claim().holder()));
  for (const v1::Reason& problem : facts.problems()) notes.push_back(Describe(problem));
  row.push_back({absl::StrJoin(notes, "; "), facts.problems_size() > 0 ? Tone::kWarning : Tone::kPlain});
  return row;
}

void AppendRow(std::vector<Line>* rows, const std::string& name, const std::string& value) {
  if (!value.empty()) rows->push_back({{absl::StrCat("  ", name), Tone::kDim}, {value}});
}

std::string YesNo(bool value) { return value ? "yes" : "no"; }

void AppendK3s(const v1::K3sFacts& k3s, std::vector<Line>* rows) {
  AppendRow(rows, "distribution", k3s.distribution().empty() ? "none found" : k3s.distribution());
  AppendRow(rows, "role", RoleWord(k3s.role()));
  AppendRow(rows, "unit", absl::StrCat(k3s.unit(), " (", k3s.active_state(), ")"));
  AppendRow(rows, "binary", absl::StrCat(k3s.binary(), " (", k3s.binary_version(), ")"));
  AppendRow(rows, "running",
            k3s.running_version().empty()
                ? "no"
                : absl::StrCat(k3s.running_version(), ", pid ", k3s.main_pid(),
                               k3s.binary_is_running() ? "" : ", not the file on disk"));
  if (k3s.role() == v1::ROLE_SERVER) {
    AppendRow(rows, "datastore", DatastoreWord(k3s.datastore()));
    AppendRow(rows, "runs",
              absl::StrCat("etcd ", YesNo(k3s.runs_etcd()), ", API server ", YesNo(k3s.runs_apiserver()),
                           ", kubelet ", YesNo(k3s.runs_kubelet())));
  }
  AppendRow(rows, "data", k3s.data_dir());
  AppendRow(rows, "staged", k3s.staged_version());
  AppendRow(rows, "free space", Bytes(k3s.free_bytes()));
}

size_t CountRole(const v1::Plan& plan, v1::Role role) {
  return static_cast<size_t>(
      std::count_if(plan.nodes().begin(), plan.nodes().end(),
                    [role](const v1::PlannedNode& node) { return node.role() == role; }));
}

// "s1, s2: cordon, drain": neighbours that go through the same are told in one line.
std::vector<std::string> GroupByActions(const std::vector<core::Wave::Node>& nodes) {
  std::vector<std::string> rows;
  for (size_t i = 0; i < nodes.size();) {
    std::vector<std::string> names;
    const std::vector<std::string>& actions = nodes[i].actions;
    for (; i < nodes.size() && nodes[i].actions == actions; ++i) {
      if (!nodes[i].name.empty()) names.push_back(nodes[i].name);
    }
    rows.push_back(
        absl::StrCat(absl::StrJoin(names, ", "), names.empty() ? "" : ": ", absl::StrJoin(actions, ", ")));
  }
  return rows;
}

std::string HowMany(uint32_t at_once, size_t nodes) {
  if (nodes < 2) return "";
  return at_once <= 1 ? "one at a time" : absl::StrCat(at_once, " at once");
}

}  // namespace

std::vector<Line> NodesPage(const std::vector<NodeAnswer>& answers) {
  std::vector<Line> rows = {Head({"NODE", "ROLE", "VERSION", "STATE", "ETCD", "AGENT", ""})};
  for (const NodeAnswer& answer : answers) rows.push_back(NodeRowOf(answers, answer));
  return AlignColumns(std::move(rows));
}

std::vector<Line> NodePage(const NodeAnswer& answer) {
  std::vector<Line> lines = {
      {{answer.name, Tone::kStrong}, {absl::StrCat("  agent at ", answer.agent), Tone::kDim}}};
  if (!answer.facts.ok()) {
    lines.push_back({{absl::StrCat("  ", std::string(answer.facts.status().message())), Tone::kBad}});
    return lines;
  }
  const v1::NodeFacts& facts = *answer.facts;
  std::vector<Line> rows;
  AppendRow(
      &rows, "system",
      absl::StrCat(facts.operating_system(), facts.operating_system().empty() ? "" : ", ",
                   facts.architecture(), ", kernel ", facts.kernel(), ", cgroup v", facts.cgroup_version()));
  AppendRow(&rows, "agent", absl::StrCat(facts.agent_version(), " (protocol ", facts.protocol(), ")"));
  AppendK3s(facts.k3s(), &rows);
  if (facts.has_etcd()) {
    AppendRow(&rows, "etcd",
              facts.etcd().error().empty()
                  ? absl::StrCat(EtcdOf(facts), " of ", facts.etcd().members_size(), ", version ",
                                 facts.etcd().version(), ", ", Bytes(facts.etcd().database_bytes()))
                  : facts.etcd().error());
  }
  if (facts.claim().active()) {
    AppendRow(&rows, "held by", absl::StrCat(facts.claim().holder(), ", rollout ", facts.claim().rollout()));
  }
  for (Line& row : AlignColumns(std::move(rows))) lines.push_back(std::move(row));
  if (facts.k3s().settings_size() > 0) {
    std::vector<Line> settings = {Head({"  SETTING", "VALUE", "READ FROM"})};
    for (const v1::Setting& setting : facts.k3s().settings()) {
      settings.push_back(
          {{absl::StrCat("  ", setting.key())}, {setting.value()}, {setting.source(), Tone::kDim}});
    }
    lines.push_back({});
    for (Line& row : AlignColumns(std::move(settings))) lines.push_back(std::move(row));
  }
  for (const v1::Reason& problem : facts.problems()) {
    lines.push_back({{"  problem  ", Tone::kWarning}, {Describe(problem)}});
  }
  return lines;
}

std::vector<Line> PlanPage(const v1::Plan& plan, const std::vector<core::Wave>& waves) {
  const std::string kind = plan.kind() == v1::Plan::UPGRADE ? "" : KindWord(plan.kind()) + " ";
  std::vector<Line> lines = {
      {{plan.cluster(), Tone::kStrong},
       {absl::StrCat("  ", kind, "from ", plan.from_version(), " to ", plan.to_version(), ": ",
                     Counted(CountRole(plan, v1::ROLE_SERVER), "server"), ", ",
                     Counted(CountRole(plan, v1::ROLE_WORKER), "worker"), ", datastore ",
                     DatastoreWord(plan.datastore()))}}};
  for (size_t i = 0; i < waves.size(); ++i) {
    const core::Wave& wave = waves[i];
    std::vector<std::string> how;
    if (!wave.how.empty()) {
      how.push_back(wave.how);
    } else if (std::string many = HowMany(wave.at_once, wave.nodes.size()); !many.empty()) {
      how.push_back(many);
    }
    lines.push_back({{absl::StrCat(i + 1, ". ", wave.title), Tone::kStrong},
                     {how.empty() ? "" : absl::StrCat("  (", absl::StrJoin(how, ", "), ")"), Tone::kDim}});
    for (const std::string& row : GroupByActions(wave.nodes)) lines.push_back({{absl::StrCat("   ", row)}});
  }
  if (plan.has_restore_from()) {
    const std::string taken = plan.restore_taken_unix_ms() == 0
                                  ? "it was taken"
                                  : DateAndTime(plan.restore_taken_unix_ms(), absl::LocalTimeZone());
    lines.push_back({{"Lost: ", Tone::kBad},
                     {absl::StrCat("everything written to the cluster since ", taken, " (backup ",
                                   plan.restore_from().id(), " on ", plan.restore_on(), ", ",
                                   Bytes(plan.restore_from().bytes()), "); the API is away meanwhile")}});
  }
  if (plan.later_hops_size() != 0) {
    lines.push_back(
        {{"Then ", Tone::kStrong},
         {absl::StrCat(absl::StrJoin(plan.later_hops(), ", "), ": each a rollout of its own, with its own ",
                       "backup and verification")}});
  }
  for (const v1::Reason& notice : plan.notices()) {
    lines.push_back({{"Note: ", Tone::kWarning}, {Describe(notice)}});
  }
  return lines;
}

std::vector<Line> RefusalPage(const std::vector<v1::Reason>& refusals) {
  std::vector<Line> lines = {
      {{refusals.size() == 1
            ? "Refused; nothing was touched. One thing is in the way:"
            : absl::StrCat("Refused; nothing was touched. ", refusals.size(), " things are in the way:"),
        Tone::kBad}}};
  for (const v1::Reason& refusal : refusals) lines.push_back({{"  - "}, {Describe(refusal)}});
  return lines;
}

std::vector<Line> HistoryPage(const std::vector<RolloutRow>& rows, const absl::TimeZone& zone) {
  if (rows.empty()) return {{{"No rollouts yet."}}};
  std::vector<Line> table = {Head({"ROLLOUT", "KIND", "BEGAN", "TOOK", "FROM", "TO", "STATE"})};
  for (const RolloutRow& row : rows) {
    const Tone tone = row.state == "succeeded"      ? Tone::kGood
                      : row.state == "not finished" ? Tone::kWarning
                                                    : Tone::kBad;
    table.push_back({{row.rollout},
                     {row.kind},
                     {DateAndTime(row.created_ms, zone)},
                     {Elapsed(row.last_ms - row.created_ms)},
                     {row.from},
                     {row.to},
                     {row.state, tone}});
  }
  return AlignColumns(std::move(table));
}

std::vector<Line> BackupsPage(const std::vector<BackupRow>& rows, const absl::TimeZone& zone) {
  if (rows.empty()) return {{{"No backups yet."}}};
  std::vector<Line> table = {Head({"BACKUP", "NODE", "TAKEN", "K3S", "SIZE", "WHERE"})};
  for (const BackupRow& row : rows) {
    std::vector<std::string> where;
    if (!row.on_node.empty()) where.push_back(absl::StrCat(row.node, ":", row.on_node));
    if (!row.copy.empty()) where.push_back(absl::StrCat("here:", row.copy));
    table.push_back({{row.id},
                     {row.node},
                     {DateAndTime(row.taken_ms, zone)},
                     {row.version},
                     {Bytes(row.bytes)},
                     {absl::StrJoin(where, ", ")}});
  }
  return AlignColumns(std::move(table));
}

}  // namespace k3saga::view
