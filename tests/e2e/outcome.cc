#include "tests/e2e/outcome.h"

#include <gtest/gtest.h>

#include "common/host/files.h"

namespace k3saga::testing {

std::map<std::string, std::string> UnitsOf(const LabCluster& lab, const std::vector<std::string>& nodes) {
  std::map<std::string, std::string> files;
  for (const std::string& node : nodes) {
    for (const char* unit : {"k3s.service", "k3s-agent.service"}) {
      for (const char* suffix : {"", ".env"}) {
        const std::string path = lab.Path("nodes/" + node + "/root/etc/systemd/system/" + unit + suffix);
        if (auto content = ReadFile(path); content.ok()) files[path] = *content;
      }
    }
  }
  return files;
}

std::vector<std::string> Cordoned(LabCluster& lab) {
  std::vector<std::string> names;
  const nlohmann::json answer = lab.K3sagaJson({"nodes"});
  if (!answer.is_object()) return {"(no answer)"};
  for (const nlohmann::json& node : answer["nodes"]) {
    if (!node.contains("facts") || !node["facts"].contains("nodes")) continue;
    for (const nlohmann::json& seen : node["facts"]["nodes"]) {
      if (seen.value("unschedulable", false)) names.push_back(seen.value("name", ""));
    }
    return names;
  }
  return {"(no server)"};
}

int InstallerRuns(const LabCluster& lab, const std::string& node) {
  // The stand-in installer notes each of its runs, as it begins.
  auto log = ReadFile(lab.Path("nodes/" + node + "/journal/installer-runs"));
  return log.ok() ? static_cast<int>(std::count(log->begin(), log->end(), '\n')) - 1 : 0;
}

std::string StateOf(LabCluster& lab) {
  const nlohmann::json status = lab.K3sagaJson({"status"});
  return status.is_object() ? status.value("state", "") : "";
}

std::string HistoryOf(LabCluster& lab) {
  const nlohmann::json status = lab.K3sagaJson({"status"});
  return lab.K3saga({"history", status.is_object() ? status.value("rollout", "") : ""}).out;
}

std::map<std::string, size_t> MembersOf(LabCluster& lab) {
  std::map<std::string, size_t> members;
  const nlohmann::json answer = lab.K3sagaJson({"nodes"});
  for (const nlohmann::json& node : answer["nodes"]) {
    if (node["role"] != "server") continue;
    const nlohmann::json& etcd = node["facts"]["etcd"];
    members[node["name"]] = etcd.value("linearizable_read", false) ? etcd["members"].size() : 0;
  }
  return members;
}

std::string LeaderOf(LabCluster& lab) {
  const nlohmann::json answer = lab.K3sagaJson({"nodes"});
  for (const nlohmann::json& node : answer["nodes"]) {
    if (node["role"] != "server") continue;
    const nlohmann::json& etcd = node["facts"]["etcd"];
    if (etcd["member_id"] == etcd["leader_id"]) return node["name"];
  }
  return "";
}

void AppendToClusterFile(const LabCluster& lab, const std::string& text) {
  const std::string path = lab.Path("cluster.yaml");
  auto content = ReadFile(path);
  ASSERT_TRUE(content.ok()) << content.status();
  ASSERT_TRUE(WriteFileDurably(path, *content + text, {.mode = 0644}).ok());
}

std::map<std::string, int> InstallsIn(const std::vector<v1::Event>& events) {
  std::map<uint64_t, std::string> open;
  std::map<std::string, int> installs;
  for (const v1::Event& event : events) {
    if (event.has_issued() && event.issued().spec().has_install()) {
      open[event.issued().sequence()] = event.issued().node();
    }
    if (!event.has_settled() || event.settled().outcome().code() != v1::Outcome::SUCCEEDED) continue;
    if (auto found = open.find(event.settled().sequence()); found != open.end()) ++installs[found->second];
  }
  return installs;
}

bool Overlapped(const std::vector<v1::Event>& events, v1::OperationSpec::VerbCase verb) {
  std::map<uint64_t, bool> open;
  for (const v1::Event& event : events) {
    if (event.has_issued() && event.issued().spec().verb_case() == verb)
      open[event.issued().sequence()] = true;
    if (event.has_settled()) open.erase(event.settled().sequence());
    if (open.size() > 1) return true;
  }
  return false;
}

}  // namespace k3saga::testing
