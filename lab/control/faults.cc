#include "lab/control/faults.h"

#include <absl/strings/match.h>
#include <signal.h>

#include "common/status_macros.h"
#include "lab/base/files.h"
#include "lab/base/network.h"
#include "lab/base/processes.h"
#include "lab/control/cluster_client.h"
#include "lab/control/scaffold.h"
#include "lab/control/up.h"
#include "lab/k3s/release_file.h"
#include "lab/k3s/velero.h"

namespace k3saga::lab {
namespace {

constexpr int kCrashAfterMillis = 300;
constexpr int kSlowStartMillis = 20'000;
constexpr std::chrono::seconds kPodDeadline{10};
constexpr int kAgentPort = 7440;
constexpr std::chrono::seconds kAgentGone{1};
constexpr std::chrono::seconds kAgentBack{5};
constexpr char kOtherVersion[] = "v1.30.9+k3s1";

absl::StatusOr<LabNode> RequireNode(const Lab& lab, const std::string& name) {
  const LabNode* node = lab.FindNode(name);
  if (node == nullptr) return absl::InvalidArgumentError(absl::StrCat("the lab has no node ", name));
  return *node;
}

absl::Status UnknownKind(const std::string& kind, const std::string& expected) {
  return absl::InvalidArgumentError(absl::StrCat("unknown fault ", kind, "; expected ", expected));
}

// The faults that a simulated k3s has in it, of a release or of a node. Null for an unknown kind.
json BehaviourOf(const std::string& kind, int64_t millis) {
  if (kind == "good") return json::object();
  if (kind == "never-ready") return {{"never_ready", true}};
  if (kind == "crash") return {{"crash_at_start_ms", millis > 0 ? millis : kCrashAfterMillis}};
  if (kind == "slow") return {{"start_ms", millis > 0 ? millis : kSlowStartMillis}};
  if (kind == "reset-fails") return {{"reset_fails", true}};
  if (kind == "reset-hangs") return {{"reset_hangs", true}};
  if (kind == "newer-credentials") return {{"newer_credentials", true}};
  if (kind == "node-not-ready") return {{"node_not_ready", true}};
  return nullptr;
}

std::string UnitOf(const LabNode& node, const std::string& what) {
  if (what == "agent") return "k3saga-agent.service";
  return node.server ? "k3s.service" : "k3s-agent.service";
}

absl::Status IgnoreAbsent(const absl::Status& status) {
  return absl::IsAlreadyExists(status) || absl::StrContains(status.message(), "NotFound") ? absl::OkStatus()
                                                                                          : status;
}

absl::Status PlaceVelero(const Lab& lab, const std::string& kind) {
  ClusterClient client(lab);
  for (const json& definition : VeleroDefinitions()) {
    K3SAGA_RETURN_IF_ERROR(IgnoreAbsent(
        client.Call("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", definition).status()));
  }
  const std::string locations = "/apis/velero.io/v1/namespaces/velero/backupstoragelocations";
  K3SAGA_RETURN_IF_ERROR(IgnoreAbsent(client.Call("DELETE", locations + "/default").status()));
  return client.Call("POST", locations, VeleroStorage(kind)).status();
}

}  // namespace

absl::Status SetReleaseFault(const Lab& lab, const std::string& version, const std::string& kind) {
  const Layout layout{lab.dir};
  const std::filesystem::path binary = layout.Releases() / version / BinaryFileName();
  // Always from a good one: faults do not pile up.
  K3SAGA_ASSIGN_OR_RETURN(const std::filesystem::path program, FindProgram("k3saga-lab-k3s"));
  ReleaseInfo info{kind == "wrong-version" ? kOtherVersion : version, json::object()};
  if (json behaviour = BehaviourOf(kind, 0); !behaviour.is_null()) info.faults = std::move(behaviour);
  K3SAGA_RETURN_IF_ERROR(WriteRelease(program, layout.Releases(), version, info));
  if (!BehaviourOf(kind, 0).is_null() || kind == "wrong-version") return absl::OkStatus();
  K3SAGA_ASSIGN_OR_RETURN(std::string contents, ReadFile(binary));
  if (kind == "corrupt") {
    contents[contents.size() / 2] ^= 0x55;
  } else if (kind == "cut") {
    contents.resize(contents.size() / 2);
  } else if (kind == "missing") {
    std::filesystem::remove(binary);
    return absl::OkStatus();
  } else {
    return UnknownKind(kind, "good, never-ready, crash, slow, wrong-version, corrupt, cut or missing");
  }
  return WriteFile(binary, contents, 0755);  // the checksum stays that of the good one
}

absl::Status SetDownloadFault(const Lab& lab, const std::string& kind) {
  for (const char* known : {"good", "slow", "cut", "corrupt", "error"}) {
    if (kind == known) return WriteFile(Layout{lab.dir}.ReleaseServerFault(), json{{"fault", kind}}.dump());
  }
  return UnknownKind(kind, "good, slow, cut, corrupt or error");
}

absl::Status SetNodeFault(const Lab& lab, const std::string& node, const std::string& kind,
                          const std::string& version, int64_t millis) {
  K3SAGA_RETURN_IF_ERROR(RequireNode(lab, node).status());
  json fault = BehaviourOf(kind, millis);
  if (kind == "overtaken") fault = {{"crash_when_overtaken_ms", millis > 0 ? millis : 2000}};
  if (fault.is_null())
    return UnknownKind(
        kind,
        "good, never-ready, node-not-ready, crash, slow, overtaken, reset-fails, reset-hangs or "
        "newer-credentials");
  if (!version.empty()) fault["version"] = version;
  return WriteFile(Layout{lab.dir}.Node(node) / "fault.json", fault.dump());
}

absl::Status SetInstallerFault(const Lab& lab, const std::string& node, const std::string& step, int times) {
  K3SAGA_RETURN_IF_ERROR(RequireNode(lab, node).status());
  const std::filesystem::path file = Layout{lab.dir}.Node(node) / "installer-fault";
  if (step == "none") {
    std::error_code ignored;
    std::filesystem::remove(file, ignored);
    return absl::OkStatus();
  }
  for (const char* known : {"start", "halfway", "written"}) {
    if (step == known) return WriteFile(file, absl::StrCat(step, " ", times, "\n"));
  }
  return UnknownKind(step, "start, halfway, written or none");
}

absl::Status BlockDrain(const Lab& lab, const std::string& node, bool clear) {
  K3SAGA_RETURN_IF_ERROR(RequireNode(lab, node).status());
  ClusterClient client(lab);
  const std::string name = "pinned-" + node;
  const std::string budgets = "/apis/policy/v1/namespaces/default/poddisruptionbudgets";
  const std::string sets = "/apis/apps/v1/namespaces/default/replicasets";
  const std::string pods = "/api/v1/namespaces/default/pods";
  if (clear) {
    K3SAGA_RETURN_IF_ERROR(IgnoreAbsent(client.Call("DELETE", budgets + "/" + name).status()));
    K3SAGA_RETURN_IF_ERROR(IgnoreAbsent(client.Call("DELETE", sets + "/" + name).status()));
    K3SAGA_ASSIGN_OR_RETURN(json left, client.Call("GET", pods + "?labelSelector=app%3D" + name));
    for (const json& pod : left["items"]) {
      const json now = {{"gracePeriodSeconds", 0}};
      K3SAGA_RETURN_IF_ERROR(IgnoreAbsent(client.Call("DELETE", pods + "/" + NameOf(pod), now).status()));
    }
    return absl::OkStatus();
  }
  const json labels = {{"app", name}};
  const json selector = {{"matchLabels", labels}};
  const json pod_spec = {{"nodeSelector", {{"kubernetes.io/hostname", node}}},
                         {"containers", {{{"name", "app"}, {"image", "lab/app"}}}}};
  const json set = {{"metadata", {{"name", name}, {"labels", labels}}},
                    {"spec",
                     {{"replicas", 1},
                      {"selector", selector},
                      {"template", {{"metadata", {{"labels", labels}}}, {"spec", pod_spec}}}}}};
  const json budget = {{"metadata", {{"name", name}}},
                       {"spec", {{"maxUnavailable", 0}, {"selector", selector}}}};
  K3SAGA_RETURN_IF_ERROR(IgnoreAbsent(client.Call("POST", budgets, budget).status()));
  K3SAGA_RETURN_IF_ERROR(IgnoreAbsent(client.Call("POST", sets, set).status()));
  const bool runs = WaitUntil(
      [&] {
        auto stored = client.Call("GET", budgets + "/" + name);
        return stored.ok() && NumberAt(*stored, {"status", "currentHealthy"}) == 1;
      },
      kPodDeadline, std::chrono::milliseconds(100));
  return runs ? absl::OkStatus()
              : absl::DeadlineExceededError(
                    absl::StrCat("the pod ", name, " does not run; is ", node, " cordoned?"));
}

absl::Status SetVelero(const Lab& lab, const std::string& kind) {
  for (const char* known : {"good", "fails", "hangs", "restores-fail"}) {
    if (kind == known) return PlaceVelero(lab, kind);
  }
  return UnknownKind(kind, "good, fails, hangs or restores-fail");
}

absl::Status SignalProcess(const Lab& lab, const std::string& node, const std::string& what,
                           const std::string& action) {
  K3SAGA_ASSIGN_OR_RETURN(const LabNode found, RequireNode(lab, node));
  const int number = action == "kill"     ? SIGKILL
                     : action == "pause"  ? SIGSTOP
                     : action == "resume" ? SIGCONT
                                          : 0;
  if (number == 0) return UnknownKind(action, "kill, pause or resume");
  if (what != "k3s" && what != "agent" && what != "etcd" && what != "operation") {
    return UnknownKind(what, "k3s, agent, etcd or operation");
  }
  json request = {{"lab", "signal"}, {"node", node}, {"unit", UnitOf(found, what)}, {"signal", number}};
  if (what == "etcd") request["child"] = "etcd";
  if (what == "operation") request["unit"] = "k3saga-operation-*";
  K3SAGA_ASSIGN_OR_RETURN(json reply, AskDaemon(lab, request));
  if (reply.value("code", 1) == 0) return absl::OkStatus();
  return absl::NotFoundError(absl::StrCat("no ", what, " runs on ", node));
}

absl::Status SetEnvironment(const Lab& lab, const std::string& node,
                            const std::vector<std::string>& variables, bool keep) {
  K3SAGA_ASSIGN_OR_RETURN(const LabNode found, RequireNode(lab, node));
  const std::filesystem::path dir = Layout{lab.dir}.Node(node);
  const std::string text = absl::StrJoin(variables, "\n") + "\n";
  K3SAGA_RETURN_IF_ERROR(WriteFile(dir / "manager.env", keep ? text : ""));
  K3SAGA_RETURN_IF_ERROR(WriteFile(dir / "agent-once.env", keep ? "" : text));
  const std::vector<std::string> restart = {"restart", "--no-block", UnitOf(found, "agent")};
  K3SAGA_RETURN_IF_ERROR(
      AskDaemon(lab, {{"node", node}, {"program", "systemctl"}, {"arguments", restart}}).status());
  // The old one lets go of its port within moments. A variable may well kill the new one at once: not our
  // error.
  (void)WaitUntil([&] { return !CanConnect(found.address, kAgentPort); }, kAgentGone);
  (void)WaitUntil([&] { return CanConnect(found.address, kAgentPort); }, kAgentBack);
  return absl::OkStatus();
}

absl::Status Reboot(const Lab& lab, const std::string& node) {
  K3SAGA_RETURN_IF_ERROR(RequireNode(lab, node).status());
  return AskDaemon(lab, {{"node", node}, {"program", "systemctl"}, {"arguments", {"reboot"}}}).status();
}

}  // namespace k3saga::lab
