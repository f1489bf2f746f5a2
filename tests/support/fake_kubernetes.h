#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/fake_time.h"
#include "tests/support/test_authority.h"
#include "tests/unit/common/temp_dir.h"

namespace k3saga::testing {

// A Kubernetes API over HTTPS with client certificates, as far as k3saga speaks with it, from objects in
// memory. Written from the API's documentation, not from our client. Time is the test's. Thread-safe through
// its methods; the callbacks run under its lock.
class FakeKubernetes {
 public:
  using Json = nlohmann::json;

  struct Seen {
    std::string method;
    std::string path;  // without the query
    Json body = {};
    std::chrono::milliseconds at;
  };

  explicit FakeKubernetes(FakeTime& time);
  ~FakeKubernetes();

  // A kubeconfig for it, as k3s writes one.
  std::string KubeconfigPath() const { return dir_ / "k3s.yaml"; }
  std::string Url() const;

  Json& AddNode(const std::string& name, const std::string& kubelet_version);
  // A running pod of a ReplicaSet; the caller may change it.
  Json& AddPod(const std::string& name_space, const std::string& name, const std::string& node);
  // Covers pods whose label "app" is `app`.
  Json& AddBudget(const std::string& name_space, const std::string& name, const std::string& app,
                  int allowed);
  // The node's heartbeat as of now.
  void RenewLease(const std::string& node);

  // A kind of a further API ("/apis/velero.io/v1"), whose objects are kept as they come.
  void AddKind(const std::string& api, const std::string& plural, const std::string& kind, bool namespaced);
  // An object of such a kind by its path; null removes it.
  void PutObject(const std::string& path, const Json& object);
  Json Object(const std::string& path);

  // A copy of an object; null when it is not there (any more).
  Json Node(const std::string& name);
  Json Pod(const std::string& name_space, const std::string& name);

  std::vector<Seen> Log(const std::string& method, const std::string& path_part);

  // The next `count` requests whose path contains `path_part` are answered with `status`.
  void Fail(const std::string& path_part, int status, int count);
  // Runs under the lock before each request is handled.
  std::function<void(const std::string& method, const std::string& path)> before;
  // Runs under the lock when a pod's time is over: a controller brings another one, say.
  std::function<void(const Json& pod)> pod_gone;

  std::string policy_version = "v1";
  int largest_page = 1000;
  int retry_after = 0;                          // seconds, with 429; 0: not said
  std::chrono::milliseconds termination{2000};  // between eviction and gone
  bool ready = true;

 private:
  struct Server;
  struct Request {
    std::string method, path;
    std::multimap<std::string, std::string> query;
    Json body = {};
    std::string content_type;
  };
  struct Response {
    int status = 200;
    Json body = {};
    std::string text = {};  // instead of body
    int retry_after = 0;
  };

  Response Handle(const Request& request);
  Response HandleNode(const Request& request, const std::string& name);
  Response HandleEviction(const Request& request, const std::string& name_space, const std::string& name);
  Response HandleDelete(const Request& request, const std::string& name_space, const std::string& name);
  Response HandleObject(const Request& request);
  Response CreateObject(const Request& request);
  Response List(const Json& items, const Request& request) const;
  void Terminate(Json& pod);
  void PassTime();
  std::string Now() const;
  static Response Status(int code, const std::string& message);
  static bool Selected(const Json& object, const Request& request);

  FakeTime& time_;
  TempDir dir_;
  std::recursive_mutex mutex_;
  std::map<std::string, Json> nodes_;
  std::map<std::string, Json> leases_;
  std::map<std::string, Json> pods_;     // by "namespace/name"
  std::map<std::string, Json> budgets_;  // the same
  std::map<std::string, Json> kinds_;    // resource lists by API
  std::map<std::string, Json> objects_;  // of those kinds, by path
  std::map<std::string, std::chrono::milliseconds> gone_at_;
  std::vector<Seen> log_;
  std::vector<std::tuple<std::string, int, int>> failures_;
  int version_ = 1;
  int uid_ = 1;
  int port_ = 0;
  std::unique_ptr<Server> server_;
  std::thread thread_;
};

}  // namespace k3saga::testing
