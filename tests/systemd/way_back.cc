#include "tests/systemd/way_back.h"

#include <absl/strings/str_format.h>

#include <nlohmann/json.hpp>

#include "common/status_macros.h"
#include "tests/support/eventually.h"

namespace k3saga::hosts {
namespace {

using nlohmann::json;

constexpr char kNotes[] = "/api/v1/namespaces/default/configmaps";
constexpr std::chrono::minutes kWayBackDeadline{12};
// Nodes and pods of a datastore that went back in time: their controllers find a new leader first.
constexpr std::chrono::minutes kRest{3};

absl::StatusOr<bool> HasNote(const Cluster& cluster, const std::string& name) {
  K3SAGA_ASSIGN_OR_RETURN(const KubeReply reply, cluster.Ask("GET", absl::StrCat(kNotes, "/", name)));
  if (reply.code != 200 && reply.code != 404) {
    return absl::UnavailableError(absl::StrCat("note ", name, ": ", reply.code, " ", reply.body));
  }
  return reply.code == 200;
}

absl::StatusOr<std::map<std::string, size_t>> Members(const Cluster& cluster) {
  K3SAGA_ASSIGN_OR_RETURN(const ProcessResult result, cluster.RunK3saga({"nodes", "--output", "json"}));
  const json answer = json::parse(result.out, nullptr, /*allow_exceptions=*/false);
  if (!answer.contains("nodes")) {
    return absl::UnavailableError(absl::StrCat("k3saga nodes: ", result.Describe()));
  }
  std::map<std::string, size_t> members;
  for (const json& node : answer["nodes"]) {
    if (node.value("role", "") != "server") continue;
    const json etcd = node.value("/facts/etcd"_json_pointer, json::object());
    members[node.value("name", "")] =
        etcd.value("linearizable_read", false) ? etcd.value("members", json::array()).size() : 0;
  }
  return members;
}

std::vector<std::string> NotReady(const Cluster& cluster) {
  const absl::StatusOr<std::vector<KubeNode>> nodes = cluster.KubeNodes();
  if (!nodes.ok()) return cluster.nodes();
  std::vector<std::string> names;
  for (const KubeNode& node : *nodes) {
    if (!node.ready || node.unschedulable) names.push_back(node.name);
  }
  return names;
}

}  // namespace

absl::Status WriteNote(const Cluster& cluster, const std::string& name) {
  const json note = {{"apiVersion", "v1"}, {"kind", "ConfigMap"}, {"metadata", {{"name", name}}}};
  K3SAGA_ASSIGN_OR_RETURN(const KubeReply reply, cluster.Ask("POST", kNotes, note.dump()));
  if (reply.code == 201 || reply.code == 409) return absl::OkStatus();
  return absl::InternalError(absl::StrCat("note ", name, ": ", reply.code, " ", reply.body));
}

absl::StatusOr<WayBackReport> MeasureWayBack(Cluster& cluster, const std::string& to) {
  WayBackReport report;
  report.to = to;
  report.servers = cluster.servers().size();
  K3SAGA_RETURN_IF_ERROR(WriteNote(cluster, "after"));
  K3SAGA_ASSIGN_OR_RETURN(report.pods_expected, cluster.ReadyPods());
  std::map<std::string, std::string> before;
  for (const std::string& name : cluster.nodes()) {
    K3SAGA_ASSIGN_OR_RETURN(before[name], cluster.Configuration(name));
  }

  Background command(cluster.K3saga({"rollback", "--yes", "--accept-data-loss"}),
                     cluster.hosts().folder() + "/rollback.log");
  const absl::StatusOr<Background::Ended> ended = command.Wait(kWayBackDeadline);
  report.log = command.Log();
  if (!ended.ok()) {
    return absl::DeadlineExceededError(absl::StrCat(std::string(ended.status().message()), "\n", report.log));
  }
  report.exit_code = ended->exit_code;
  report.seconds = ended->seconds;

  (void)testing::Eventually(
      [&] {
        report.not_ready = NotReady(cluster);
        report.pods = cluster.ReadyPods().value_or(0);
        return report.not_ready.empty() && report.pods == report.pods_expected;
      },
      kRest);
  K3SAGA_ASSIGN_OR_RETURN(report.note_before, HasNote(cluster, "before"));
  K3SAGA_ASSIGN_OR_RETURN(report.note_after, HasNote(cluster, "after"));
  K3SAGA_ASSIGN_OR_RETURN(report.members, Members(cluster));
  for (const std::string& name : cluster.nodes()) {
    report.versions[name] = cluster.RunningVersion(name).value_or("unknown");
    if (cluster.Configuration(name).value_or("") != before[name]) report.changed.push_back(name);
  }
  return report;
}

std::vector<std::string> Shortcomings(const WayBackReport& report) {
  std::vector<std::string> found;
  const auto expect = [&](bool good, std::string what) {
    if (!good) found.push_back(std::move(what));
  };
  expect(report.exit_code == 0, absl::StrCat("k3saga exited ", report.exit_code));
  expect(report.note_before, "what was written before the snapshot is gone");
  expect(!report.note_after, "what was written after the snapshot is there");
  expect(report.not_ready.empty(),
         absl::StrCat("not ready, or cordoned: ", absl::StrJoin(report.not_ready, " ")));
  expect(report.changed.empty(),
         absl::StrCat("configuration changed on ", absl::StrJoin(report.changed, " ")));
  expect(report.pods == report.pods_expected,
         absl::StrCat(report.pods, " of ", report.pods_expected, " pods are ready"));
  expect(report.members.size() == report.servers, "not every server answers");
  for (const auto& [name, members] : report.members) {
    expect(members == report.servers, absl::StrCat(name, " lists ", members, " etcd members"));
  }
  for (const auto& [name, version] : report.versions) {
    expect(version == report.to, absl::StrCat(name, " runs ", version));
  }
  return found;
}

std::string Print(const WayBackReport& report) {
  std::string text =
      absl::StrFormat("way back to %s with the datastore, exit code %d\n", report.to, report.exit_code);
  absl::StrAppendFormat(&text, "  the command took                  %7.1f s\n", report.seconds);
  absl::StrAppend(&text, "  written before the snapshot: ", report.note_before ? "there" : "gone",
                  "; written after it: ", report.note_after ? "there" : "gone", "\n");
  for (const auto& [name, version] : report.versions) {
    const auto members = report.members.find(name);
    absl::StrAppendFormat(
        &text, "    %-8s runs %s%s\n", name, version,
        members == report.members.end() ? "" : absl::StrCat(", etcd lists ", members->second, " members"));
  }
  absl::StrAppendFormat(&text, "  ready pods                        %5d of %d\n", report.pods,
                        report.pods_expected);
  for (const std::string& shortcoming : Shortcomings(report)) {
    absl::StrAppend(&text, "  SHORTCOMING: ", shortcoming, "\n");
  }
  return text;
}

}  // namespace k3saga::hosts
