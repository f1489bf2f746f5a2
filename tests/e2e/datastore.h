#pragma once

#include <string>

#include "lab/base/layout.h"
#include "lab/control/cluster_client.h"
#include "tests/support/lab_cluster.h"

// What stands in a lab's datastore, as a user of the cluster writes and reads it.
namespace k3saga::testing {

class Datastore {
 public:
  explicit Datastore(const LabCluster& lab) : lab_(*lab::LoadLab(lab.dir())), api_(lab_) {}

  // A ConfigMap of that name; false when it could not be written.
  bool Note(const std::string& name) {
    return api_.Call("POST", kConfigMaps, {{"metadata", {{"name", name}}}}).ok();
  }
  bool HasNote(const std::string& name) {
    return api_.Call("GET", std::string(kConfigMaps) + "/" + name).ok();
  }
  // All objects of one kind of Velero's ("backups", "restores").
  nlohmann::json Velero(const std::string& plural) {
    const auto list = api_.Call("GET", "/apis/velero.io/v1/" + plural);
    return list.ok() ? (*list)["items"] : nlohmann::json::array();
  }

 private:
  static constexpr char kConfigMaps[] = "/api/v1/namespaces/default/configmaps";

  lab::Lab lab_;
  lab::ClusterClient api_;
};

}  // namespace k3saga::testing
