#include "lab/k3s/api.h"

#include <absl/strings/match.h>
#include <absl/strings/numbers.h>
#include <yaml-cpp/yaml.h>

#include "common/status_macros.h"
#include "lab/base/layout.h"
#include "lab/k3s/eviction.h"

namespace k3saga::lab {
namespace {

constexpr int64_t kDefaultGraceSeconds = 30;

// YAML (and so JSON) as apply patches are written.
json FromYaml(const YAML::Node& node) {
  switch (node.Type()) {
    case YAML::NodeType::Map: {
      json object = json::object();
      for (const auto& entry : node) object[entry.first.as<std::string>()] = FromYaml(entry.second);
      return object;
    }
    case YAML::NodeType::Sequence: {
      json list = json::array();
      for (const YAML::Node& item : node) list.push_back(FromYaml(item));
      return list;
    }
    case YAML::NodeType::Scalar: {
      if (node.Tag() == "!") return node.as<std::string>();  // it was quoted
      json value = json::parse(node.as<std::string>(), nullptr, /*allow_exceptions=*/false);
      return value.is_number() || value.is_boolean() ? value : json(node.as<std::string>());
    }
    default:
      return nullptr;
  }
}

absl::StatusOr<json> ParseBody(const ApiRequest& request) {
  if (request.body.empty()) return json::object();
  json body = json::parse(request.body, nullptr, /*allow_exceptions=*/false);
  if (!body.is_discarded()) return body;
  if (absl::StrContains(request.content_type, "yaml")) {
    try {
      return FromYaml(YAML::Load(request.body));
    } catch (const YAML::Exception& error) {
      return absl::InvalidArgumentError(error.what());
    }
  }
  return absl::InvalidArgumentError("the body of the request is neither JSON nor YAML");
}

std::string Query(const ApiRequest& request, const std::string& key) {
  auto found = request.query.find(key);
  return found == request.query.end() ? "" : found->second;
}

bool IsDryRun(const ApiRequest& request, const json& options) {
  const json& listed = ObjectAt(options, {"dryRun"});
  return Query(request, "dryRun") == "All" || (listed.is_array() && !listed.empty());
}

// The main resource keeps its status, .../status keeps everything else: each changes its own part.
void KeepOtherPart(const Resource& resource, bool status_only, const json& before, json& after) {
  if (!resource.has_status) return;
  if (status_only) {
    json merged = before;
    if (after.contains("status")) merged["status"] = after["status"];
    if (ObjectAt(after, {"metadata", "resourceVersion"}).is_string()) {
      merged["metadata"]["resourceVersion"] = after["metadata"]["resourceVersion"];
    }
    after = std::move(merged);
  } else if (before.contains("status")) {
    after["status"] = before["status"];
  } else {
    after.erase("status");
  }
}

void KeepIdentity(const json& before, json& after) {
  for (const char* key : {"uid", "creationTimestamp", "name", "namespace", "deletionTimestamp"}) {
    if (before["metadata"].contains(key)) after["metadata"][key] = before["metadata"][key];
  }
  after["kind"] = before["kind"];
  after["apiVersion"] = before["apiVersion"];
}

absl::Status ApplyPatchTo(json& object, const json& patch, const std::string& content_type) {
  if (absl::StrContains(content_type, "json-patch")) {
    try {
      object = object.patch(patch);
    } catch (const json::exception& error) {
      return absl::InvalidArgumentError(error.what());
    }
    return absl::OkStatus();
  }
  if (!patch.is_object()) return absl::InvalidArgumentError("the patch is not an object");
  if (absl::StrContains(content_type, "merge-patch+json") && !absl::StrContains(content_type, "strategic")) {
    object.merge_patch(patch);
  } else {
    StrategicMerge(object, patch);
  }
  return absl::OkStatus();
}

}  // namespace

ApiResponse Failure(int code, std::string_view reason, std::string_view message) {
  return {code,
          {{"kind", "Status"},
           {"apiVersion", "v1"},
           {"metadata", json::object()},
           {"status", "Failure"},
           {"message", std::string(message)},
           {"reason", std::string(reason)},
           {"code", code}}};
}

ApiResponse FailureOf(const absl::Status& error, const Resource& resource, std::string_view name) {
  const std::string what = absl::StrCat(resource.plural, resource.group.empty() ? "" : ".", resource.group,
                                        " \"", std::string(name), "\"");
  switch (error.code()) {
    case absl::StatusCode::kNotFound:
      return Failure(404, "NotFound", what + " not found");
    case absl::StatusCode::kAlreadyExists:
      return Failure(409, "AlreadyExists", what + " already exists");
    case absl::StatusCode::kAborted:
      return Failure(
          409, "Conflict",
          "Operation cannot be fulfilled on " + what +
              ": the object has been modified; please apply your changes to the latest version and "
              "try again");
    case absl::StatusCode::kInvalidArgument:
      return Failure(400, "BadRequest", std::string(error.message()));
    case absl::StatusCode::kDeadlineExceeded:
      return Failure(504, "Timeout", "etcdserver: request timed out");
    default:
      return Failure(500, "InternalError", "etcdserver: " + std::string(error.message()));
  }
}

absl::StatusOr<Resource> Api::FindResource(const ApiPath& path) {
  for (const Resource& known : BuiltInResources()) {
    if (known.group == path.group && known.version == path.version && known.plural == path.plural)
      return known;
  }
  K3SAGA_ASSIGN_OR_RETURN(json definition, objects_.Get(BuiltIn("customresourcedefinitions"), "",
                                                        absl::StrCat(path.plural, ".", path.group)));
  const json& versions = ObjectAt(definition, {"spec", "versions"});
  for (const json& version : versions.is_array() ? versions : json::array()) {
    if (TextAt(version, {"name"}) != path.version) continue;
    return Resource{path.group,
                    path.version,
                    path.plural,
                    TextAt(definition, {"spec", "names", "kind"}),
                    TextAt(definition, {"spec", "scope"}) != "Cluster",
                    !ObjectAt(version, {"subresources", "status"}).is_null()};
  }
  return absl::NotFoundError(path.plural);
}

ApiResponse Api::Handle(const ApiRequest& request) {
  const std::optional<ApiPath> path = ParseApiPath(request.path);
  if (!path.has_value()) return Failure(404, "NotFound", "the server could not find the requested resource");
  if (path->version.empty()) return DiscoverGroup(*path);
  if (path->plural.empty()) return Discover(*path);
  absl::StatusOr<Resource> resource = FindResource(*path);
  if (absl::IsNotFound(resource.status())) {
    return Failure(404, "NotFound", "the server could not find the requested resource");
  }
  if (!resource.ok()) return FailureOf(resource.status(), {}, path->plural);
  if (path->subresource == "eviction" && request.method == "POST") return Evict(*resource, *path, request);
  if (!path->subresource.empty() && path->subresource != "status") {
    return Failure(404, "NotFound", "the server could not find the requested resource");
  }
  if (path->name.empty()) {
    if (request.method == "GET") return List(*resource, *path, request);
    if (request.method == "POST") return Create(*resource, *path, request);
    return Failure(405, "MethodNotAllowed",
                   "the server does not allow this method on the requested resource");
  }
  if (request.method == "GET") {
    auto object = objects_.Get(*resource, path->name_space, path->name);
    if (!object.ok()) return FailureOf(object.status(), *resource, path->name);
    return {200, *std::move(object)};
  }
  if (request.method == "PUT") return Update(*resource, *path, request);
  if (request.method == "PATCH") return Patch(*resource, *path, request);
  if (request.method == "DELETE") return Delete(*resource, *path, request);
  return Failure(405, "MethodNotAllowed", "the server does not allow this method on the requested resource");
}

ApiResponse Api::DiscoverGroup(const ApiPath& path) {
  const auto& known = BuiltInResources();
  const auto found = std::find_if(known.begin(), known.end(),
                                  [&](const Resource& resource) { return resource.group == path.group; });
  if (found == known.end())
    return Failure(404, "NotFound", "the server could not find the requested resource");
  const json version = {{"groupVersion", found->group + "/" + found->version}, {"version", found->version}};
  return {200,
          {{"kind", "APIGroup"},
           {"apiVersion", "v1"},
           {"name", found->group},
           {"versions", {version}},
           {"preferredVersion", version}}};
}

ApiResponse Api::Discover(const ApiPath& path) {
  json resources = json::array();
  const auto add = [&](const std::string& plural, const std::string& kind, bool namespaced) {
    resources.push_back({{"name", plural},
                         {"singularName", ""},
                         {"kind", kind},
                         {"namespaced", namespaced},
                         {"verbs", {"create", "delete", "get", "list", "patch", "update"}}});
  };
  for (const Resource& known : BuiltInResources()) {
    if (known.group != path.group || known.version != path.version) continue;
    add(known.plural, known.kind, known.namespaced);
    if (known.has_status) add(known.plural + "/status", known.kind, known.namespaced);
    if (known.plural != "pods") continue;
    add("pods/eviction", "Eviction", true);
    resources.back()["group"] = "policy";
    resources.back()["version"] = "v1";
  }
  auto definitions = objects_.List(BuiltIn("customresourcedefinitions"));
  if (!definitions.ok()) return FailureOf(definitions.status(), BuiltIn("customresourcedefinitions"), "");
  for (const json& definition : *definitions) {
    if (TextAt(definition, {"spec", "group"}) != path.group) continue;
    add(TextAt(definition, {"spec", "names", "plural"}), TextAt(definition, {"spec", "names", "kind"}),
        TextAt(definition, {"spec", "scope"}) != "Cluster");
  }
  if (resources.empty()) return Failure(404, "NotFound", "the server could not find the requested resource");
  return {200,
          {{"kind", "APIResourceList"},
           {"apiVersion", "v1"},
           {"groupVersion", path.group.empty() ? path.version : path.group + "/" + path.version},
           {"resources", resources}}};
}

ApiResponse Api::List(const Resource& resource, const ApiPath& path, const ApiRequest& request) {
  int64_t limit = 0;
  if (!Query(request, "limit").empty() && !absl::SimpleAtoi(Query(request, "limit"), &limit)) {
    return Failure(400, "BadRequest", "limit is no number");
  }
  if (!Query(request, "watch").empty()) return Failure(400, "BadRequest", "the lab's API has no watch");
  auto page = objects_.ListPage(resource, path.name_space, Query(request, "continue"), limit);
  if (!page.ok()) return FailureOf(page.status(), resource, "");
  json items = json::array();
  for (json& item : page->items) {
    auto labels =
        MatchesLabelSelector(ObjectAt(item, {"metadata", "labels"}), Query(request, "labelSelector"));
    auto fields = MatchesFieldSelector(item, Query(request, "fieldSelector"));
    if (!labels.ok()) return FailureOf(labels.status(), resource, "");
    if (!fields.ok()) return FailureOf(fields.status(), resource, "");
    if (*labels && *fields) items.push_back(std::move(item));
  }
  json metadata = {{"resourceVersion", std::to_string(page->revision)}};
  if (!page->next.empty()) metadata["continue"] = page->next;
  return {200,
          {{"kind", resource.kind + "List"},
           {"apiVersion", resource.ApiVersion()},
           {"metadata", metadata},
           {"items", items}}};
}

ApiResponse Api::Create(const Resource& resource, const ApiPath& path, const ApiRequest& request) {
  absl::StatusOr<json> object = ParseBody(request);
  if (!object.ok()) return FailureOf(object.status(), resource, "");
  if (!path.name_space.empty()) (*object)["metadata"]["namespace"] = path.name_space;
  (*object)["metadata"]["generation"] = 1;
  auto created = objects_.Create(resource, *object);
  if (!created.ok()) return FailureOf(created.status(), resource, NameOf(*object));
  return {201, *std::move(created)};
}

ApiResponse Api::Update(const Resource& resource, const ApiPath& path, const ApiRequest& request) {
  absl::StatusOr<json> wanted = ParseBody(request);
  if (!wanted.ok()) return FailureOf(wanted.status(), resource, path.name);
  auto before = objects_.Get(resource, path.name_space, path.name);
  if (!before.ok()) return FailureOf(before.status(), resource, path.name);
  json after = *std::move(wanted);
  KeepOtherPart(resource, path.subresource == "status", *before, after);
  KeepIdentity(*before, after);
  auto updated = objects_.Update(resource, std::move(after));
  if (!updated.ok()) return FailureOf(updated.status(), resource, path.name);
  return {200, *std::move(updated)};
}

ApiResponse Api::Patch(const Resource& resource, const ApiPath& path, const ApiRequest& request) {
  absl::StatusOr<json> patch = ParseBody(request);
  if (!patch.ok()) return FailureOf(patch.status(), resource, path.name);
  const std::string stated = TextAt(*patch, {"metadata", "resourceVersion"});
  absl::Status problem;
  auto patched = objects_.Modify(resource, path.name_space, path.name, [&](json& object) {
    const json before = object;
    if (!stated.empty() && stated != TextAt(before, {"metadata", "resourceVersion"})) {
      problem = absl::AbortedError(path.name);
      return false;
    }
    problem = ApplyPatchTo(object, *patch, request.content_type);
    if (!problem.ok()) return false;
    KeepOtherPart(resource, path.subresource == "status", before, object);
    KeepIdentity(before, object);
    object["metadata"]["resourceVersion"] = before["metadata"]["resourceVersion"];
    return object != before;
  });
  if (absl::IsNotFound(patched.status()) && absl::StrContains(request.content_type, "apply-patch")) {
    json object = *std::move(patch);
    object["metadata"]["name"] = path.name;
    ApiRequest create = request;
    create.body = object.dump();
    return Create(resource, path, create);
  }
  if (!problem.ok()) return FailureOf(problem, resource, path.name);
  if (!patched.ok()) return FailureOf(patched.status(), resource, path.name);
  const json& finalizers = ObjectAt(*patched, {"metadata", "finalizers"});
  if (IsTerminating(*patched) && resource.plural != "pods" && (finalizers.is_null() || finalizers.empty())) {
    (void)objects_.Remove(resource, *patched);  // the last finalizer is gone
  }
  return {200, *std::move(patched)};
}

absl::Status Api::BeginDelete(const Resource& resource, const json& object, const json& options) {
  const json& finalizers = ObjectAt(object, {"metadata", "finalizers"});
  const bool held = finalizers.is_array() && !finalizers.empty();
  const int64_t grace =
      NumberAt(options, {"gracePeriodSeconds"},
               NumberAt(object, {"spec", "terminationGracePeriodSeconds"}, kDefaultGraceSeconds));
  const bool running_pod =
      resource.plural == "pods" && grace > 0 && !TextAt(object, {"spec", "nodeName"}).empty();
  if (!held && !running_pod) return objects_.Remove(resource, object);
  // The node's kubelet, or whoever set the finalizer, finishes it.
  return objects_
      .Modify(resource, NamespaceOf(object), NameOf(object),
              [&](json& present) {
                if (IsTerminating(present)) return false;
                present["metadata"]["deletionTimestamp"] = FormatMicroTime(NowMillis());
                present["metadata"]["deletionGracePeriodSeconds"] = grace;
                return true;
              })
      .status();
}

ApiResponse Api::Delete(const Resource& resource, const ApiPath& path, const ApiRequest& request) {
  absl::StatusOr<json> options = ParseBody(request);
  if (!options.ok()) return FailureOf(options.status(), resource, path.name);
  auto object = objects_.Get(resource, path.name_space, path.name);
  if (!object.ok()) return FailureOf(object.status(), resource, path.name);
  const std::string uid = TextAt(*options, {"preconditions", "uid"});
  if (!uid.empty() && uid != TextAt(*object, {"metadata", "uid"})) {
    return FailureOf(absl::AbortedError(path.name), resource, path.name);
  }
  int64_t grace = 0;
  if (absl::SimpleAtoi(Query(request, "gracePeriodSeconds"), &grace))
    (*options)["gracePeriodSeconds"] = grace;
  if (!IsDryRun(request, *options)) {
    object->at("metadata").erase("resourceVersion");  // delete whatever it is by now
    absl::Status begun = BeginDelete(resource, *object, *options);
    if (!begun.ok()) return FailureOf(begun, resource, path.name);
  }
  return {200, *std::move(object)};
}

ApiResponse Api::Evict(const Resource& resource, const ApiPath& path, const ApiRequest& request) {
  absl::StatusOr<json> eviction = ParseBody(request);
  if (!eviction.ok()) return FailureOf(eviction.status(), resource, path.name);
  auto pod = objects_.Get(resource, path.name_space, path.name);
  if (!pod.ok()) return FailureOf(pod.status(), resource, path.name);
  const json& options = ObjectAt(*eviction, {"deleteOptions"});
  const bool dry_run = IsDryRun(request, options);
  absl::Status allowed = TakeDisruption(objects_, *pod, dry_run);
  if (absl::IsResourceExhausted(allowed)) {
    ApiResponse refused =
        Failure(429, "TooManyRequests", "Cannot evict pod as it would violate the pod's disruption budget.");
    refused.body["details"] = {
        {"causes", {{{"reason", "DisruptionBudget"}, {"message", std::string(allowed.message())}}}}};
    return refused;
  }
  if (absl::IsInternal(allowed)) return Failure(500, "InternalError", std::string(allowed.message()));
  if (!allowed.ok()) return FailureOf(allowed, resource, path.name);
  if (!dry_run) {
    pod->at("metadata").erase("resourceVersion");
    absl::Status begun = BeginDelete(resource, *pod, options);
    if (!begun.ok() && !absl::IsNotFound(begun)) return FailureOf(begun, resource, path.name);
  }
  return {201,
          {{"kind", "Status"},
           {"apiVersion", "v1"},
           {"metadata", json::object()},
           {"status", "Success"},
           {"code", 201}}};
}

}  // namespace k3saga::lab
