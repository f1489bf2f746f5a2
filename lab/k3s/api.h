#pragma once

#include <map>
#include <set>
#include <string>

#include "lab/k3s/object_store.h"

namespace k3saga::lab {

struct ApiRequest {
  std::string method;  // GET, POST, PUT, PATCH, DELETE
  std::string path;
  std::map<std::string, std::string> query;
  std::string content_type;
  std::string body;
};

struct ApiResponse {
  int code = 200;
  json body;
};

// An error as the API writes it (kind: Status).
ApiResponse Failure(int code, std::string_view reason, std::string_view message);
// The store's errors as the API shows them: 404, 409, 504, 500.
ApiResponse FailureOf(const absl::Status& error, const Resource& resource, std::string_view name);

// The Kubernetes API as far as an upgrade needs it, over a store: get, list (selectors, limit, continue),
// create, update, patch (JSON, merge, strategic, apply), delete (with finalizers and grace), status,
// eviction; custom resources once their definition is there. No watch. Who may call is the server's business.
// Thread-safe.
class Api {
 public:
  explicit Api(Store& store) : objects_(store) {}
  ApiResponse Handle(const ApiRequest& request);

 private:
  absl::StatusOr<Resource> FindResource(const ApiPath& path);
  ApiResponse DiscoverGroup(const ApiPath& path);
  ApiResponse Discover(const ApiPath& path);
  ApiResponse List(const Resource& resource, const ApiPath& path, const ApiRequest& request);
  ApiResponse Create(const Resource& resource, const ApiPath& path, const ApiRequest& request);
  ApiResponse Update(const Resource& resource, const ApiPath& path, const ApiRequest& request);
  ApiResponse Patch(const Resource& resource, const ApiPath& path, const ApiRequest& request);
  ApiResponse Delete(const Resource& resource, const ApiPath& path, const ApiRequest& request);
  ApiResponse Evict(const Resource& resource, const ApiPath& path, const ApiRequest& request);
  absl::Status BeginDelete(const Resource& resource, const json& object, const json& options);

  ObjectStore objects_;
};

}  // namespace k3saga::lab
