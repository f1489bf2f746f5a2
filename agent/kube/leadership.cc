#include "agent/kube/leadership.h"

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <sys/utsname.h>

#include <algorithm>

#include "common/status_macros.h"

namespace k3saga::kube {
namespace {

using std::chrono::milliseconds;

constexpr char kLeases[] = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases";
// Those that run inside k3s, and no other: a pod on the host's network has the host's name too, and goes on
// while k3s is away.
constexpr const char* kInsideK3s[] = {"kube-controller-manager", "kube-scheduler", "cloud-controller-manager",
                                      "k3s-cloud-controller-manager"};
constexpr milliseconds kOneCall{1000};

bool RunsInsideK3s(std::string_view lease) {
  return std::find(std::begin(kInsideK3s), std::end(kInsideK3s), lease) != std::end(kInsideK3s);
}

// Of the endpoints of "kubernetes": who serves the API, under which address.
std::vector<std::string> ServersIn(const Json& endpoints) {
  std::vector<std::string> servers;
  for (const Json& subset : ListAt(endpoints, {"subsets"})) {
    for (const Json& port : ListAt(subset, {"ports"})) {
      for (const Json& address : ListAt(subset, {"addresses"})) {
        const std::string ip = TextAt(address, {"ip"});
        const bool v6 = absl::StrContains(ip, ":");
        servers.push_back(
            absl::StrCat("https://", v6 ? "[" : "", ip, v6 ? "]:" : ":", NumberAt(port, {"port"}, 6443)));
      }
    }
  }
  return servers;
}

absl::Status GiveUp(const Leadership::Held& held, Api& api, milliseconds timeout) {
  const std::string path = absl::StrCat(kLeases, "/", Escape(held.lease));
  K3SAGA_ASSIGN_OR_RETURN(const Answer lease, api.SendOnce({.path = path}, timeout));
  if (!lease.ok()) return ErrorOf(lease, "GET " + path);
  if (TextAt(lease.json, {"spec", "holderIdentity"}) != held.holder) return absl::OkStatus();
  const Json patch = {
      {"metadata", {{"resourceVersion", TextAt(lease.json, {"metadata", "resourceVersion"})}}},
      {"spec", {{"holderIdentity", ""}, {"leaseDurationSeconds", 1}}}};
  K3SAGA_ASSIGN_OR_RETURN(
      const Answer given,
      api.SendOnce(
          {.method = "PATCH", .path = path, .content_type = "application/merge-patch+json", .body = patch},
          timeout));
  // 409: somebody was faster, which is as good.
  return given.ok() || given.status == 409 ? absl::OkStatus() : ErrorOf(given, "PATCH " + path);
}

}  // namespace

bool LeadsControllers(const Leadership& leadership) {
  return std::any_of(leadership.held.begin(), leadership.held.end(),
                     [](const Leadership::Held& held) { return held.lease == kInsideK3s[0]; });
}

std::string HostOfLeaders() {
  utsname machine{};
  uname(&machine);
  return machine.nodename;
}

absl::StatusOr<Leadership> ReadLeadership(Api& api, std::string_view host, const Patience& patience) {
  Leadership leadership;
  K3SAGA_ASSIGN_OR_RETURN(const Json::array_t leases, api.List(kLeases, patience));
  const std::string prefix = absl::StrCat(std::string(host), "_");
  for (const Json& lease : leases) {
    const std::string name = TextAt(lease, {"metadata", "name"});
    const std::string holder = TextAt(lease, {"spec", "holderIdentity"});
    if (RunsInsideK3s(name) && absl::StartsWith(holder, prefix)) leadership.held.push_back({name, holder});
  }
  if (leadership.held.empty()) return leadership;
  K3SAGA_ASSIGN_OR_RETURN(const Answer endpoints,
                          api.Get("/api/v1/namespaces/default/endpoints/kubernetes", patience));
  leadership.servers = ServersIn(endpoints.json);
  return leadership;
}

absl::Status GiveBack(const Leadership& leadership, HttpClient& http, const Clock& clock, Pauser& pauser,
                      const Patience& patience) {
  const milliseconds end = clock.Steady() + patience.timeout;
  absl::Status status = absl::UnavailableError("no server is known that could be told");
  for (const std::string& server : leadership.servers) {
    Api api(server, http, clock, pauser);
    status = absl::OkStatus();
    for (const Leadership::Held& held : leadership.held) {
      const milliseconds left = end - clock.Steady();
      if (left <= milliseconds(0) || patience.stop.stop_requested()) {
        return absl::DeadlineExceededError("no server took it in time");
      }
      status = GiveUp(held, api, std::min(left, kOneCall));
      if (!status.ok()) break;
    }
    if (status.ok()) return status;
  }
  return status;
}

}  // namespace k3saga::kube
