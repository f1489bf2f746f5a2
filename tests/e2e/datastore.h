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
  bool Note(const std::string& name) { return Create(kConfigMaps, {{"metadata", {{"name", name}}}}); }
  bool HasNote(const std::string& name) { return Has(std::string(kConfigMaps) + "/" + name); }
  bool Has(const std::string& path) { return api_.Call("GET", path).ok(); }
  bool Create(const std::string& path, const nlohmann::json& object) {
    return api_.Call("POST", path, object).ok();
  }
  // As its user does: without our annotation.
  bool Cordon(const std::string& node) {
    return api_.Call("PATCH", "/api/v1/nodes/" + node, {{"spec", {{"unschedulable", true}}}}).ok();
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
