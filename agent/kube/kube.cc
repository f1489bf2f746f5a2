#include "agent/kube/kube.h"

#include <absl/strings/ascii.h>
#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <absl/strings/str_split.h>
#include <sys/stat.h>

#include <algorithm>
#include <mutex>
#include <utility>

#include "agent/kube/api.h"
#include "agent/kube/components.h"
#include "agent/kube/deprecated.h"
#include "agent/kube/drainer.h"
#include "agent/kube/http.h"
#include "agent/kube/kubeconfig.h"
#include "agent/kube/manifests.h"
#include "agent/kube/nodes.h"
#include "agent/kube/objects.h"
#include "agent/kube/obstacles.h"
#include "agent/kube/velero.h"
#include "common/reason.h"
#include "common/status_macros.h"

namespace k3saga::kube {
namespace {

using std::chrono::milliseconds;

constexpr int kObjectsLookedAt = 500;
constexpr size_t kObjectsNamed = 5;

// The checks that a /readyz body shows as failing: "[-]etcd failed: reason withheld".
std::string FailingChecks(const std::string& body) {
  std::vector<std::string> failing;
  for (const absl::string_view line : absl::StrSplit(body, '\n')) {
    if (absl::StartsWith(line, "[-]")) {
      const absl::string_view name = line.substr(3);
      failing.emplace_back(name.substr(0, name.find(' ')));
    }
  }
  return absl::StrJoin(failing, ", ");
}

// The identity of a file's content: another one when it was written again.
struct FileStamp {
  dev_t device = 0;
  ino_t inode = 0;
  off_t size = 0;
  int64_t modified_ns = 0;
  bool operator==(const FileStamp&) const = default;
};

FileStamp StampOf(const std::string& path) {
  struct stat info {};
  if (stat(path.c_str(), &info) != 0) {
    return {};
  }
  return {.device = info.st_dev,
          .inode = info.st_ino,
          .size = info.st_size,
          .modified_ns = info.st_mtim.tv_sec * int64_t{1'000'000'000} + info.st_mtim.tv_nsec};
}

// One kubeconfig's connections.
struct Session {
  Session(Kubeconfig config, const Clock& clock, Pauser& pauser)
      : http({.ca_pem = config.ca_pem,
              .certificate_pem = config.client_certificate_pem,
              .key_pem = config.client_key_pem,
              .bearer_token = config.token}),
        api(config.server, http, clock, pauser) {}
  HttpClient http;
  Api api;
};

class KubeClient final : public Kube {
 public:
  KubeClient(KubeconfigPath kubeconfig, const Clock& clock, Pauser& pauser)
      : kubeconfig_(std::move(kubeconfig)), clock_(clock), pauser_(pauser) {}

  absl::Status Ready(milliseconds timeout) override {
    const auto session = Open();
    if (!session.ok()) {
      return NotReady(session.status().message());
    }
    Api::Request request;
    request.path = "/readyz?verbose";
    const auto answer = (*session)->api.SendOnce(request, timeout);
    if (!answer.ok()) {
      return NotReady(answer.status().message());
    }
    if (answer->status == 200) {
      return absl::OkStatus();
    }
    const std::string failing = FailingChecks(answer->body);
    return NotReady(absl::StrCat("/readyz answers ", answer->status, ": ",
                                 failing.empty() ? MessageOf(*answer) : "failing: " + failing));
  }

  absl::StatusOr<std::string> ServerVersion(milliseconds timeout) override {
    K3SAGA_ASSIGN_OR_RETURN(const auto session, Open());
    K3SAGA_ASSIGN_OR_RETURN(const Answer answer,
                            session->api.Get("/version", {.timeout = timeout, .stop = {}}));
    return TextAt(answer.json, {"gitVersion"});
  }

  absl::StatusOr<std::vector<v1::KubeNode>> Nodes(const Patience& patience) override {
    K3SAGA_ASSIGN_OR_RETURN(const auto session, Open());
    return kube::Nodes(session->api, clock_, pauser_).All(patience);
  }

  absl::StatusOr<v1::CordonResult> Cordon(std::string_view node, std::string_view rollout,
                                          const Patience& patience) override {
    K3SAGA_ASSIGN_OR_RETURN(const auto session, Open());
    return kube::Nodes(session->api, clock_, pauser_).Cordon(node, rollout, patience);
  }

  absl::Status Uncordon(std::string_view node, std::string_view rollout, const Patience& patience) override {
    K3SAGA_ASSIGN_OR_RETURN(const auto session, Open());
    return kube::Nodes(session->api, clock_, pauser_).Uncordon(node, rollout, patience);
  }

  absl::Status AwaitNode(const AwaitedNode& awaited, const std::function<void(const std::string&)>& said,
                         const Patience& patience) override {
    K3SAGA_ASSIGN_OR_RETURN(const auto session, Open());
    return kube::Nodes(session->api, clock_, pauser_).Await(awaited, said, patience);
  }

  absl::StatusOr<v1::DrainResult> Drain(std::string_view node, const v1::DrainPolicy& policy,
                                        const std::function<void(const DrainState&)>& observe,
                                        const Patience& patience) override {
    K3SAGA_ASSIGN_OR_RETURN(const auto session, Open());
    return Drainer({.api = &session->api, .clock = &clock_, .pauser = &pauser_, .observe = observe},
                   std::string(node), policy, patience)
        .Run();
  }

  absl::StatusOr<std::vector<v1::DrainObstacle>> DrainObstacles(const v1::DrainPolicy& policy,
                                                                const Patience& patience) override {
    K3SAGA_ASSIGN_OR_RETURN(const auto session, Open());
    std::string path = "/api/v1/pods";
    if (!policy.pod_selector().empty()) {
      absl::StrAppend(&path, "?labelSelector=", Escape(policy.pod_selector()));
    }
    K3SAGA_ASSIGN_OR_RETURN(const Json::array_t pod_objects, session->api.List(path, patience));
    K3SAGA_ASSIGN_OR_RETURN(const std::string version, BudgetVersion(session->api, patience));
    K3SAGA_ASSIGN_OR_RETURN(
        const Json::array_t budget_objects,
        session->api.List(absl::StrCat("/apis/policy/", version, "/poddisruptionbudgets"), patience));
    std::vector<Pod> pods;
    std::transform(pod_objects.begin(), pod_objects.end(), std::back_inserter(pods), &PodOf);
    std::vector<Budget> budgets;
    for (const Json& object : budget_objects) {
      budgets.push_back(BudgetOf(object, version != "v1"));
    }
    return FindObstacles(pods, budgets, policy);
  }

  absl::Status ApplyManifest(const std::string& manifest, std::string_view rollout,
                             const Patience& patience) override {
    K3SAGA_ASSIGN_OR_RETURN(const auto session, Open());
    return Manifests(session->api).Apply(manifest, rollout, patience);
  }

  absl::Status RemoveManifest(const std::string& manifest, std::string_view rollout,
                              const Patience& patience) override {
    K3SAGA_ASSIGN_OR_RETURN(const auto session, Open());
    return Manifests(session->api).Remove(manifest, rollout, patience);
  }

  absl::StatusOr<std::string> VeleroBackup(const VeleroBackupRequest& request,
                                           const std::function<void(const std::string&)>& said,
                                           const Patience& patience) override {
    K3SAGA_ASSIGN_OR_RETURN(const auto session, Open());
    return Velero(session->api, clock_, pauser_).Backup(request, said, patience);
  }

  absl::Status VeleroRestore(const VeleroRestoreRequest& request,
                             const std::function<void(const std::string&)>& said,
                             const Patience& patience) override {
    K3SAGA_ASSIGN_OR_RETURN(const auto session, Open());
    return Velero(session->api, clock_, pauser_).Restore(request, said, patience);
  }

  absl::StatusOr<std::vector<v1::PackagedComponent>> PackagedComponents(const Patience& patience) override {
    K3SAGA_ASSIGN_OR_RETURN(const auto session, Open());
    static constexpr struct {
      const char* path;
      v1::PackagedComponent (*read)(const Json&);
    } kKinds[] = {{"/apis/apps/v1/namespaces/kube-system/deployments", &DeploymentOf},
                  {"/apis/apps/v1/namespaces/kube-system/daemonsets", &DaemonSetOf},
                  {"/apis/batch/v1/namespaces/kube-system/jobs", &HelmJobOf}};
    std::vector<v1::PackagedComponent> components;
    for (const auto& kind : kKinds) {
      K3SAGA_ASSIGN_OR_RETURN(const Json::array_t objects, session->api.List(kind.path, patience));
      for (const Json& object : objects) {
        if (IsPackaged(object)) components.push_back(kind.read(object));
      }
    }
    return components;
  }

  absl::StatusOr<std::vector<v1::DeprecatedApi>> DeprecatedApis(const Patience& patience) override {
    K3SAGA_ASSIGN_OR_RETURN(const auto session, Open());
    K3SAGA_ASSIGN_OR_RETURN(const Answer metrics, session->api.Get("/metrics", patience));
    std::vector<v1::DeprecatedApi> apis = DeprecatedIn(metrics.body);
    for (v1::DeprecatedApi& api : apis) {
      // One page: names to look at, not a census. The API may be switched off by now.
      const auto page = session->api.Get(absl::StrCat(PathOf(api), "?limit=", kObjectsLookedAt), patience);
      if (!page.ok()) continue;
      for (std::string& object : WrittenThrough(api, ListAt(page->json, {"items"}), kObjectsNamed)) {
        api.add_objects(std::move(object));
      }
    }
    return apis;
  }

  absl::StatusOr<Leadership> LeadershipOf(std::string_view host, const Patience& patience) override {
    K3SAGA_ASSIGN_OR_RETURN(const auto session, Open());
    return ReadLeadership(session->api, host, patience);
  }

  absl::Status GiveBackLeadership(const Leadership& leadership, const Patience& patience) override {
    K3SAGA_ASSIGN_OR_RETURN(const auto session, Open());
    return GiveBack(leadership, session->http, clock_, pauser_, patience);
  }

  void Rest() override {
    const std::lock_guard lock(mutex_);
    if (session_ != nullptr) {
      session_->http.Rest();
    }
  }

 private:
  // `detail` as absl hands it out.
  static absl::Status NotReady(absl::string_view detail) {
    return ReasonError(MakeReason(v1::API_NOT_READY, "", std::string(detail)),
                       absl::StatusCode::kUnavailable);
  }

  absl::StatusOr<std::shared_ptr<Session>> Open() {
    const std::string path = kubeconfig_();
    if (path.empty()) {
      return absl::FailedPreconditionError("this node has no kubeconfig: it is no k3s server");
    }
    const FileStamp stamp = StampOf(path);
    const std::lock_guard lock(mutex_);
    if (session_ == nullptr || path != path_ || !(stamp == stamp_)) {
      K3SAGA_ASSIGN_OR_RETURN(Kubeconfig config, LoadKubeconfig(path));
      session_ = std::make_shared<Session>(std::move(config), clock_, pauser_);
      path_ = path;
      stamp_ = stamp;
    }
    return session_;
  }

  const KubeconfigPath kubeconfig_;
  const Clock& clock_;
  Pauser& pauser_;
  std::mutex mutex_;
  std::shared_ptr<Session> session_;  // mutex_; calls under way keep theirs
  std::string path_;                  // mutex_
  FileStamp stamp_;                   // mutex_
};

}  // namespace

std::unique_ptr<Kube> MakeKube(KubeconfigPath kubeconfig, const Clock& clock, Pauser& pauser) {
  return std::make_unique<KubeClient>(std::move(kubeconfig), clock, pauser);
}

}  // namespace k3saga::kube
