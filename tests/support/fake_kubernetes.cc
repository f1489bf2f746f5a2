#include "tests/support/fake_kubernetes.h"

#include <absl/strings/escaping.h>
#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_split.h>
#include <absl/time/time.h>
#include <httplib.h>

#include <algorithm>

#include "tests/support/eventually.h"

namespace k3saga::testing {
namespace {

std::string Base64(const std::string& text) { return absl::Base64Escape(text); }

std::string Parameter(const std::multimap<std::string, std::string>& query, const std::string& key) {
  const auto found = query.find(key);
  return found == query.end() ? "" : found->second;
}

template <typename Map>
nlohmann::json ValuesOf(const Map& map) {
  nlohmann::json values = nlohmann::json::array();
  for (const auto& [key, value] : map) {
    values.push_back(value);
  }
  return values;
}

}  // namespace

struct FakeKubernetes::Server {
  Server(const std::string& certificate, const std::string& key, const std::string& client_ca)
      : http(certificate.c_str(), key.c_str(), client_ca.c_str()) {}
  httplib::SSLServer http;
};

FakeKubernetes::FakeKubernetes(FakeTime& time) : time_(time) {
  TestAuthority server_ca("k3s-server-ca");
  TestAuthority client_ca("k3s-client-ca");
  const TestCertificate serving = server_ca.Issue({"k3s"}, {"127.0.0.1"});
  const TestCertificate admin = client_ca.Issue({"system:admin", "system:masters"});
  server_ = std::make_unique<Server>(dir_.Write("serving.crt", serving.certificate_pem),
                                     dir_.Write("serving.key", serving.key_pem, 0600),
                                     dir_.Write("client-ca.crt", client_ca.certificate_pem()));
  const auto handle = [this](const httplib::Request& from, httplib::Response& to) {
    Request request{.method = from.method,
                    .path = from.path,
                    .query = {from.params.begin(), from.params.end()},
                    .body = Json::parse(from.body, nullptr, false),
                    .content_type = from.get_header_value("Content-Type")};
    const std::lock_guard lock(mutex_);
    const Response response = Handle(request);
    to.status = response.status;
    to.set_header("Date",
                  absl::FormatTime("%a, %d %b %Y %H:%M:%S GMT", absl::FromUnixMillis(time_.WallUnixMillis()),
                                   absl::UTCTimeZone()));
    if (response.retry_after != 0) {
      to.set_header("Retry-After", std::to_string(response.retry_after));
    }
    to.set_content(response.text.empty() ? response.body.dump() : response.text,
                   response.text.empty() ? "application/json" : "text/plain");
  };
  server_->http.Get(".*", handle).Post(".*", handle).Patch(".*", handle).Delete(".*", handle);
  server_->http.set_keep_alive_max_count(100'000);
  server_->http.set_tcp_nodelay(true);
  port_ = server_->http.bind_to_any_port("127.0.0.1");
  thread_ = std::thread([this] { server_->http.listen_after_bind(); });
  Eventually([this] { return server_->http.is_running(); });  // before that it cannot be stopped
  dir_.Write(
      "k3s.yaml",
      absl::StrCat("apiVersion: v1\nkind: Config\ncurrent-context: default\nclusters:\n- name: default\n  "
                   "cluster:\n    server: ",
                   Url(), "\n    certificate-authority-data: ", Base64(server_ca.certificate_pem()),
                   "\ncontexts:\n- name: default\n  context: {cluster: default, user: default}\n"
                   "users:\n- name: default\n  user:\n    client-certificate-data: ",
                   Base64(admin.certificate_pem), "\n    client-key-data: ", Base64(admin.key_pem), "\n"));
}

FakeKubernetes::~FakeKubernetes() {
  server_->http.stop();
  thread_.join();
}

std::string FakeKubernetes::Url() const { return absl::StrCat("https://127.0.0.1:", port_); }

std::string FakeKubernetes::Now() const {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%E6SZ", absl::FromUnixMillis(time_.WallUnixMillis()),
                          absl::UTCTimeZone());
}

nlohmann::json& FakeKubernetes::AddNode(const std::string& name, const std::string& kubelet_version) {
  const std::lock_guard lock(mutex_);
  RenewLease(name);
  return nodes_[name] = {
             {"metadata",
              {{"name", name},
               {"resourceVersion", std::to_string(version_++)},
               {"labels", Json::object()},
               {"annotations", {{"user/note", "keep me"}}}}},
             {"spec", Json::object()},
             {"status",
              {{"nodeInfo", {{"kubeletVersion", kubelet_version}}},
               {"addresses", {{{"type", "InternalIP"}, {"address", "10.0.0.1"}}}},
               {"conditions", {{{"type", "Ready"}, {"status", "True"}, {"lastHeartbeatTime", Now()}}}}}}};
}

nlohmann::json& FakeKubernetes::AddPod(const std::string& name_space, const std::string& name,
                                       const std::string& node) {
  const std::lock_guard lock(mutex_);
  return pods_[name_space + "/" + name] = {
             {"metadata",
              {{"namespace", name_space},
               {"name", name},
               {"uid", absl::StrCat("uid-", uid_++)},
               {"labels", {{"app", "web"}}},
               {"ownerReferences", {{{"kind", "ReplicaSet"}, {"uid", "rs-1"}, {"controller", true}}}}}},
             {"spec", {{"nodeName", node}}},
             {"status", {{"phase", "Running"}}}};
}

nlohmann::json& FakeKubernetes::AddBudget(const std::string& name_space, const std::string& name,
                                          const std::string& app, int allowed) {
  const std::lock_guard lock(mutex_);
  return budgets_[name_space + "/" + name] = {
             {"metadata", {{"namespace", name_space}, {"name", name}}},
             {"spec", {{"minAvailable", 3}, {"selector", {{"matchLabels", {{"app", app}}}}}}},
             {"status",
              {{"disruptionsAllowed", allowed}, {"desiredHealthy", 3}, {"expectedPods", 3 + allowed}}}};
}

void FakeKubernetes::RenewLease(const std::string& node) {
  const std::lock_guard lock(mutex_);
  leases_[node] = {{"metadata", {{"name", node}}}, {"spec", {{"renewTime", Now()}}}};
}

nlohmann::json FakeKubernetes::Node(const std::string& name) {
  const std::lock_guard lock(mutex_);
  const auto found = nodes_.find(name);
  return found == nodes_.end() ? Json() : found->second;
}

nlohmann::json FakeKubernetes::Pod(const std::string& name_space, const std::string& name) {
  const std::lock_guard lock(mutex_);
  PassTime();
  const auto found = pods_.find(name_space + "/" + name);
  return found == pods_.end() ? Json() : found->second;
}

std::vector<FakeKubernetes::Seen> FakeKubernetes::Log(const std::string& method,
                                                      const std::string& path_part) {
  const std::lock_guard lock(mutex_);
  std::vector<Seen> matching;
  std::copy_if(log_.begin(), log_.end(), std::back_inserter(matching), [&](const Seen& seen) {
    return seen.method == method && absl::StrContains(seen.path, path_part);
  });
  return matching;
}

void FakeKubernetes::Fail(const std::string& path_part, int status, int count) {
  const std::lock_guard lock(mutex_);
  failures_.emplace_back(path_part, status, count);
}

FakeKubernetes::Response FakeKubernetes::Status(int code, const std::string& message) {
  return {.status = code,
          .body = {{"kind", "Status"},
                   {"apiVersion", "v1"},
                   {"status", "Failure"},
                   {"code", code},
                   {"message", message}}};
}

void FakeKubernetes::PassTime() {
  for (auto due = gone_at_.begin(); due != gone_at_.end();) {
    if (due->second > time_.Steady()) {
      ++due;
      continue;
    }
    const Json pod = pods_[due->first];
    pods_.erase(due->first);
    due = gone_at_.erase(due);
    if (pod_gone) {
      pod_gone(pod);
    }
  }
}

FakeKubernetes::Response FakeKubernetes::Handle(const Request& request) {
  if (before) {
    before(request.method, request.path);
  }
  PassTime();
  log_.push_back(
      {.method = request.method, .path = request.path, .body = request.body, .at = time_.Steady()});
  for (auto& [part, status, count] : failures_) {
    if (count > 0 && absl::StrContains(request.path, part)) {
      --count;
      return Status(status, "told to fail");
    }
  }
  const std::vector<std::string> path = absl::StrSplit(request.path, '/', absl::SkipEmpty());
  if (request.path == "/readyz") {
    return ready ? Response{.text = "[+]ping ok\nreadyz check passed\n"}
                 : Response{.status = 500,
                            .text = "[+]ping ok\n[-]etcd failed: reason withheld\nreadyz check failed\n"};
  }
  if (request.path == "/version") {
    return {.body = {{"gitVersion", "v1.31.4+k3s1"}}};
  }
  if (request.path == "/api/v1") {
    return {.body = {{"resources",
                      {{{"name", "pods"}, {"kind", "Pod"}},
                       {{"name", "pods/eviction"},
                        {"group", "policy"},
                        {"version", policy_version},
                        {"kind", "Eviction"}}}}}};
  }
  if (request.path == "/apis/policy") {
    return {.body = {{"versions", {{{"version", policy_version}}}}}};
  }
  if (request.path == "/api/v1/nodes") {
    return List(ValuesOf(nodes_), request);
  }
  if (path.size() == 4 && path[2] == "nodes") {
    return HandleNode(request, path[3]);
  }
  if (request.path == "/api/v1/pods") {
    return List(ValuesOf(pods_), request);
  }
  if (request.path == "/apis/policy/" + policy_version + "/poddisruptionbudgets") {
    return List(ValuesOf(budgets_), request);
  }
  if (absl::StartsWith(request.path, "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases")) {
    if (path.size() == 6) {
      return List(ValuesOf(leases_), request);
    }
    const auto lease = leases_.find(path.back());
    return lease == leases_.end() ? Status(404, "no such lease") : Response{.body = lease->second};
  }
  if (path.size() == 7 && path[6] == "eviction" && request.method == "POST") {
    return HandleEviction(request, path[3], path[5]);
  }
  if (path.size() == 6 && path[4] == "pods" && request.method == "DELETE") {
    return HandleDelete(request, path[3], path[5]);
  }
  return HandleObject(request);
}

void FakeKubernetes::AddKind(const std::string& api, const std::string& plural, const std::string& kind,
                             bool namespaced) {
  const std::lock_guard lock(mutex_);
  kinds_[api].push_back({{"name", plural}, {"kind", kind}, {"namespaced", namespaced}});
  kinds_[api].push_back({{"name", plural + "/status"}, {"kind", kind}, {"namespaced", namespaced}});
}

void FakeKubernetes::PutObject(const std::string& path, const Json& object) {
  const std::lock_guard lock(mutex_);
  if (object.is_null()) {
    objects_.erase(path);
  } else {
    objects_[path] = object;
  }
}

nlohmann::json FakeKubernetes::Object(const std::string& path) {
  const std::lock_guard lock(mutex_);
  const auto found = objects_.find(path);
  return found == objects_.end() ? Json() : found->second;
}

FakeKubernetes::Response FakeKubernetes::CreateObject(const Request& request) {
  Json object = request.body;
  const std::string path = request.path + "/" + object["metadata"]["name"].get<std::string>();
  if (objects_.contains(path)) return Status(409, "it already exists");
  object["metadata"]["uid"] = absl::StrCat("uid-", uid_++);
  object["metadata"]["resourceVersion"] = std::to_string(version_++);
  objects_[path] = object;
  return {.status = 201, .body = object};
}

FakeKubernetes::Response FakeKubernetes::HandleObject(const Request& request) {
  if (const auto api = kinds_.find(request.path); api != kinds_.end()) {
    return {.body = {{"resources", api->second}}};
  }
  const bool known = std::any_of(kinds_.begin(), kinds_.end(), [&](const auto& api) {
    return absl::StartsWith(request.path, api.first + "/");
  });
  if (!known) return Status(404, "the server could not find the requested resource");
  if (request.method == "POST") return CreateObject(request);
  const auto found = objects_.find(request.path);
  if (found != objects_.end()) {
    Json& object = found->second;
    if (request.method == "PATCH") {
      const Json wanted = request.body.value(Json::json_pointer("/metadata/resourceVersion"), Json());
      if (wanted.is_string() && wanted != object["metadata"]["resourceVersion"]) {
        return Status(409, "the object has been modified");
      }
      object.merge_patch(request.body);
    }
    if (request.method != "DELETE") return {.body = object};
    if (request.body["preconditions"]["uid"] != object["metadata"]["uid"]) {
      return Status(409, "the UID in the precondition does not match the UID in record");
    }
    objects_.erase(found);
    return {.body = {{"kind", "Status"}, {"status", "Success"}}};
  }
  // A list over all namespaces, "/apis/G/V/PLURAL", or of one, "/apis/G/V/namespaces/NS/PLURAL".
  const std::vector<std::string> path = absl::StrSplit(request.path, '/', absl::SkipEmpty());
  if (request.method != "GET" || (path.size() != 4 && path.size() != 6)) return Status(404, "not found");
  const std::string among = path.size() == 4 ? "/" + path[3] + "/" : request.path + "/";
  Json items = Json::array();
  for (const auto& [each, object] : objects_) {
    if (absl::StrContains(each, among)) items.push_back(object);
  }
  return List(items, request);
}

FakeKubernetes::Response FakeKubernetes::HandleNode(const Request& request, const std::string& name) {
  const auto found = nodes_.find(name);
  if (found == nodes_.end()) {
    return Status(404, absl::StrCat("nodes \"", name, "\" not found"));
  }
  Json& node = found->second;
  if (request.method == "GET") {
    return {.body = node};
  }
  if (request.content_type != "application/merge-patch+json") {
    return Status(415, "the body of the request was in an unknown format");
  }
  const Json& wanted = request.body["metadata"]["resourceVersion"];
  if (wanted.is_string() && wanted != node["metadata"]["resourceVersion"]) {
    return Status(
        409, "the object has been modified; please apply your changes to the latest version and try again");
  }
  node.merge_patch(request.body);
  node["metadata"]["resourceVersion"] = std::to_string(version_++);
  return {.body = node};
}

FakeKubernetes::Response FakeKubernetes::HandleEviction(const Request& request, const std::string& name_space,
                                                        const std::string& name) {
  const auto found = pods_.find(name_space + "/" + name);
  if (found == pods_.end()) {
    return Status(404, absl::StrCat("pods \"", name, "\" not found"));
  }
  if (request.body["apiVersion"] != "policy/" + policy_version) {
    return Status(400, "no kind Eviction is registered for that version");
  }
  Json& pod = found->second;
  if (request.body["deleteOptions"]["preconditions"]["uid"] != pod["metadata"]["uid"]) {
    return Status(409, "the UID in the precondition does not match the UID in record");
  }
  std::vector<Json*> covering;
  for (auto& [key, budget] : budgets_) {
    if (budget["metadata"]["namespace"] == name_space &&
        budget["spec"]["selector"]["matchLabels"]["app"] == pod["metadata"]["labels"]["app"]) {
      covering.push_back(&budget);
    }
  }
  if (covering.size() > 1) {
    return Status(
        500,
        "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.");
  }
  if (!covering.empty()) {
    Json& budget = *covering[0];
    if (budget["status"]["disruptionsAllowed"] <= 0) {
      Response refused = Status(429, "Cannot evict pod as it would violate the pod's disruption budget.");
      refused.retry_after = retry_after;
      refused.body["details"]["causes"] = {
          {{"reason", "DisruptionBudget"},
           {"message", absl::StrCat("The disruption budget ", budget["metadata"]["name"].get<std::string>(),
                                    " needs 3 healthy pods and has 3 currently")}}};
      return refused;
    }
    budget["status"]["disruptionsAllowed"] = budget["status"]["disruptionsAllowed"].get<int>() - 1;
  }
  Terminate(pod);
  return {.status = 201, .body = {{"kind", "Status"}, {"status", "Success"}}};
}

FakeKubernetes::Response FakeKubernetes::HandleDelete(const Request& request, const std::string& name_space,
                                                      const std::string& name) {
  const auto found = pods_.find(name_space + "/" + name);
  if (found == pods_.end()) {
    return Status(404, "not found");
  }
  if (request.body["preconditions"]["uid"] != found->second["metadata"]["uid"]) {
    return Status(409, "the UID in the precondition does not match the UID in record");
  }
  Terminate(found->second);
  return {.body = found->second};
}

void FakeKubernetes::Terminate(Json& pod) {
  pod["metadata"]["deletionTimestamp"] = Now();
  gone_at_.emplace(
      pod["metadata"]["namespace"].get<std::string>() + "/" + pod["metadata"]["name"].get<std::string>(),
      time_.Steady() + termination);
}

bool FakeKubernetes::Selected(const Json& object, const Request& request) {
  const std::string field = Parameter(request.query, "fieldSelector");
  if (!field.empty() && field != "spec.nodeName=" + object["spec"].value("nodeName", "")) {
    return false;
  }
  const std::string label = Parameter(request.query, "labelSelector");
  if (label.empty()) {
    return true;
  }
  const std::pair<std::string, std::string> wanted = absl::StrSplit(label, absl::MaxSplits('=', 1));
  return object["metadata"]["labels"].value(wanted.first, "") == wanted.second;
}

FakeKubernetes::Response FakeKubernetes::List(const Json& items, const Request& request) const {
  const std::string limit = Parameter(request.query, "limit");
  const std::string from = Parameter(request.query, "continue");
  const size_t first = from.empty() ? 0 : std::stoul(from);
  const size_t page =
      std::min<size_t>(limit.empty() ? SIZE_MAX : std::stoul(limit), static_cast<size_t>(largest_page));
  Json selected = Json::array();
  for (const Json& item : items) {
    if (Selected(item, request)) {
      selected.push_back(item);
    }
  }
  Json list = {{"kind", "List"}, {"metadata", Json::object()}, {"items", Json::array()}};
  for (size_t i = first; i < selected.size() && i < first + page; ++i) {
    list["items"].push_back(selected[i]);
  }
  if (first + page < selected.size()) {
    list["metadata"]["continue"] = std::to_string(first + page);
  }
  return {.body = list};
}

}  // namespace k3saga::testing
