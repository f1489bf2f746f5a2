#include "lab/k3s/kubelet.h"

#include "common/status_macros.h"

namespace k3saga::lab {
namespace {

constexpr int kKubeletPort = 10248;
constexpr int kBeatsPerStatus = 4;
constexpr int kQuickBeats = 8;
constexpr std::chrono::milliseconds kQuickPause{500};

absl::Status ToStatus(const ApiResponse& response, std::string_view what) {
  if (response.code / 100 == 2) return absl::OkStatus();
  return absl::UnavailableError(
      absl::StrCat(std::string(what), ": ", response.code, " ", TextAt(response.body, {"message"})));
}

// "k=v" flags of --node-label.
json ExtraLabels(const K3sOptions& options) {
  json labels = json::object();
  auto found = options.values.find("node-label");
  if (found == options.values.end()) return labels;
  for (const std::string& label : found->second) {
    const size_t equals = label.find('=');
    labels[label.substr(0, equals)] = equals == std::string::npos ? "" : label.substr(equals + 1);
  }
  return labels;
}

// What k3s keeps of its command line, secrets masked.
json MaskedArguments(const Instance& instance) {
  json arguments = json::array({instance.server ? "server" : "agent"});
  bool secret = false;
  for (const std::string& argument : instance.arguments) {
    arguments.push_back(secret ? "********" : argument);
    secret = argument == "--token" || argument == "-t" || argument == "--agent-token";
  }
  return arguments;
}

}  // namespace

json Kubelet::Status() const {
  const std::string now = FormatTime(NowMillis());
  const auto condition = [&now](const char* type, const char* status, const char* reason) {
    return json{{"type", type},
                {"status", status},
                {"reason", reason},
                {"lastHeartbeatTime", now},
                {"lastTransitionTime", now}};
  };
  const bool ready = !instance_.faults.value("node_not_ready", false);
  return {
      {"addresses",
       {{{"type", "InternalIP"}, {"address", instance_.node.address}},
        {{"type", "Hostname"}, {"address", instance_.NodeName()}}}},
      {"capacity", {{"cpu", "2"}, {"memory", "4Gi"}, {"pods", "110"}}},
      {"allocatable", {{"cpu", "2"}, {"memory", "4Gi"}, {"pods", "110"}}},
      {"conditions",
       {condition("MemoryPressure", "False", "KubeletHasSufficientMemory"),
        condition("DiskPressure", "False", "KubeletHasNoDiskPressure"),
        condition("PIDPressure", "False", "KubeletHasSufficientPID"),
        ready ? condition("Ready", "True", "KubeletReady") : condition("Ready", "False", "KubeletNotReady")}},
      {"nodeInfo",
       {{"kubeletVersion", instance_.release.version},
        {"kubeProxyVersion", instance_.release.version},
        {"containerRuntimeVersion", "containerd://lab"},
        {"osImage", "k3saga lab"},
        {"operatingSystem", "linux"},
        {"architecture", "amd64"}}}};
}

json Kubelet::NodeObject() const {
  const std::string name = instance_.NodeName();
  json labels = {{"kubernetes.io/hostname", name},
                 {"kubernetes.io/os", "linux"},
                 {"node.kubernetes.io/instance-type", "k3s"}};
  json annotations = {{"k3s.io/node-args", MaskedArguments(instance_).dump()},
                      {"k3s.io/internal-ip", instance_.node.address},
                      {"k3s.io/hostname", name}};
  labels.update(ExtraLabels(instance_.options));
  if (instance_.server) {
    for (const char* role : {"control-plane", "master"}) {
      labels[absl::StrCat("node-role.kubernetes.io/", role)] = "true";
    }
    if (instance_.lab.datastore == "etcd") labels["node-role.kubernetes.io/etcd"] = "true";
  }
  return {{"metadata", {{"name", name}, {"labels", labels}, {"annotations", annotations}}}};
}

absl::Status Kubelet::Register() {
  ApiRequest create{"POST", "/api/v1/nodes", {}, "application/json", NodeObject().dump()};
  ApiResponse created = api_(create);
  if (created.code == 409) {
    created = api_({"PATCH",
                    "/api/v1/nodes/" + instance_.NodeName(),
                    {},
                    "application/merge-patch+json",
                    NodeObject().dump()});
  }
  K3SAGA_RETURN_IF_ERROR(ToStatus(created, "registering the node"));
  K3SAGA_RETURN_IF_ERROR(Renew());
  return PostStatus();
}

absl::Status Kubelet::PostStatus() {
  // Merged by key, so that conditions of others stay.
  K3SAGA_RETURN_IF_ERROR(ToStatus(api_({"PATCH",
                                        "/api/v1/nodes/" + instance_.NodeName() + "/status",
                                        {},
                                        "application/strategic-merge-patch+json",
                                        json{{"status", Status()}}.dump()}),
                                  "the node's status"));
  status_due_ = false;
  return absl::OkStatus();
}

absl::Status Kubelet::Renew() {
  const std::string path = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases";
  const json lease = {{"metadata", {{"name", instance_.NodeName()}}},
                      {"spec",
                       {{"holderIdentity", instance_.NodeName()},
                        {"leaseDurationSeconds", 40},
                        {"renewTime", FormatMicroTime(NowMillis())}}}};
  ApiResponse renewed =
      api_({"PATCH", path + "/" + instance_.NodeName(), {}, "application/merge-patch+json", lease.dump()});
  if (renewed.code == 404) renewed = api_({"POST", path, {}, "application/json", lease.dump()});
  return ToStatus(renewed, "the node's lease");
}

std::chrono::milliseconds Kubelet::Pause() const {
  return beats_ < kQuickBeats ? kQuickPause : std::chrono::milliseconds(instance_.lab.timings.heartbeat_ms);
}

absl::Status Kubelet::Heartbeat() {
  absl::Status renewed = Renew();
  if (!renewed.ok()) {
    status_due_ = true;
    return renewed;
  }
  ++beats_;
  if (status_due_ || beats_ % kBeatsPerStatus == 0) return PostStatus();
  return absl::OkStatus();
}

absl::Status Kubelet::ServeHealth() {
  K3SAGA_ASSIGN_OR_RETURN(
      health_, HttpServer::Listen(instance_.LocalAddress(), kKubeletPort, 1, [](const HttpRequest& request) {
        return request.path == "/healthz" ? HttpResponse{200, "ok"} : HttpResponse{404, "not found\n"};
      }));
  return absl::OkStatus();
}

}  // namespace k3saga::lab
