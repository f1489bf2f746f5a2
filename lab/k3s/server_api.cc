#include "lab/k3s/server_api.h"

#include <absl/strings/escaping.h>
#include <absl/strings/match.h>

#include "lab/base/files.h"

namespace k3saga::lab {
namespace {

HttpResponse Json(int code, const json& body) { return {code, body.dump(), "application/json"}; }
HttpResponse Json(const ApiResponse& response) { return Json(response.code, response.body); }

// The secret of "Authorization: Basic base64(user:secret)".
std::string BasicSecret(const std::string& authorization) {
  std::string decoded;
  if (!absl::StartsWith(authorization, "Basic ") || !absl::Base64Unescape(authorization.substr(6), &decoded))
    return "";
  return TokenSecret(decoded);
}

}  // namespace

HttpResponse ServerApi::Handle(const HttpRequest& request) {
  if (request.path == "/ping") return {200, "pong"};
  if (request.path == "/cacerts") return {200, files_.server_ca.certificate};
  if (absl::StartsWith(request.path, "/v1-k3s/")) return Supervisor(request);
  const Stage stage = stage_;
  if (stage <= Stage::kStarting) return {503, "starting\n"};
  if (request.user.empty()) return Json(Failure(401, "Unauthorized", "Unauthorized"));
  if (stage == Stage::kNoRoutes) return {404, "404 page not found\n"};
  if (request.path == "/livez" || request.path == "/healthz" || request.path == "/readyz")
    return Health(request);
  if (request.group != "system:masters" && request.group != "system:nodes") {
    return Json(Failure(403, "Forbidden", absl::StrCat("User \"", request.user, "\" cannot do this")));
  }
  if (request.path == "/version") {
    const std::string& version = instance_.release.version;
    return Json(200, {{"major", "1"},
                      {"minor", version.substr(3, 2)},
                      {"gitVersion", version},
                      {"platform", "linux/amd64"}});
  }
  if (request.path == "/metrics") return {200, ReadFile(instance_.layout().ApiMetrics()).value_or("")};
  return Json(api_.Handle({request.method, request.path, request.query, request.content_type, request.body}));
}

bool ServerApi::DatastoreAnswers() {
  const absl::Status read = store_.Get("/registry/health").status();
  return read.ok() || absl::IsNotFound(read);
}

HttpResponse ServerApi::Health(const HttpRequest& request) {
  const bool datastore = DatastoreAnswers();
  const bool hooks = stage_ == Stage::kReady || request.path == "/livez";
  const bool healthy = datastore && hooks;
  if (healthy && request.query.count("verbose") == 0) return {200, "ok"};
  const std::string text = absl::StrCat(
      "[+]ping ok\n[+]log ok\n", datastore ? "[+]etcd ok\n" : "[-]etcd failed: reason withheld\n",
      "[+]poststarthook/start-apiextensions-controllers ok\n",
      hooks ? "[+]poststarthook/rbac/bootstrap-roles ok\n"
            : "[-]poststarthook/rbac/bootstrap-roles failed: reason withheld\n",
      request.path.substr(1), healthy ? " check passed\n" : " check failed\n");
  return {healthy ? 200 : 500, text};
}

HttpResponse ServerApi::Supervisor(const HttpRequest& request) {
  if (BasicSecret(request.authorization) != files_.token_secret) {
    return Json(Failure(401, "Unauthorized", "not authorized"));
  }
  if (request.path == "/v1-k3s/server-bootstrap") {
    auto bootstrap = ReadBootstrap(instance_);
    if (!bootstrap.ok()) return {500, std::string(bootstrap.status().message())};
    return Json(200, *bootstrap);
  }
  auto node = request.query.find("node");
  if (request.path == "/v1-k3s/client-kubelet" && node != request.query.end()) {
    auto pair = IssueKubelet(files_, node->second);
    if (!pair.ok()) return {500, std::string(pair.status().message())};
    return Json(200, {{"certificate", pair->certificate}, {"key", pair->key}});
  }
  return {404, "404 page not found\n"};
}

}  // namespace k3saga::lab
