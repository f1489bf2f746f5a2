#pragma once

#include <atomic>
#include <memory>

#include "lab/k3s/api.h"
#include "lab/k3s/etcd_client.h"
#include "lab/k3s/http.h"
#include "lab/k3s/instance.h"
#include "lab/k3s/readiness.h"
#include "lab/k3s/server_files.h"

namespace k3saga::lab {

// What answers on a server's port 6443: health, version, the supervisor's few paths for joining nodes, and
// the Kubernetes API, each for whom it is meant. Thread-safe.
class ServerApi {
 public:
  ServerApi(const Instance& instance, const ServerFiles& files, Store& store)
      : instance_(instance), files_(files), store_(store), api_(store) {}

  HttpResponse Handle(const HttpRequest& request);
  void SetStage(Stage stage) { stage_ = stage; }
  Api& api() { return api_; }

 private:
  HttpResponse Supervisor(const HttpRequest& request);
  HttpResponse Health(const HttpRequest& request);
  bool DatastoreAnswers();

  const Instance& instance_;
  const ServerFiles& files_;
  Store& store_;
  Api api_;
  std::atomic<Stage> stage_{Stage::kStarting};
};

}  // namespace k3saga::lab
