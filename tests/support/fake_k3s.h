#pragma once

#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include "agent/etcd/etcd.h"
#include "agent/health/local.h"
#include "agent/kube/kube.h"

namespace k3saga::testing {

// k3s on this machine, as a test says it is. Each is thread-safe through its mutex.
class FakeLocalK3s final : public health::LocalK3s {
 public:
  health::LocalRole Role() override { return Locked(role); }
  absl::StatusOr<health::MainProcess> Main() override {
    const std::lock_guard lock(mutex_);
    ++looks;
    return main;
  }
  absl::Status UnitActive() override { return Locked(active); }
  std::string RunningVersion() override { return Locked(version); }
  std::string LastWords() override { return Locked(last_words); }

  void Set(const std::function<void(FakeLocalK3s&)>& change) {
    const std::lock_guard lock(mutex_);
    change(*this);
  }
  int Looks() { return Locked(looks); }

  health::LocalRole role{.runs_apiserver = true, .runs_etcd = true, .runs_kubelet = true};
  health::MainProcess main{.pid = 100, .start_ticks = 1};
  absl::Status active;
  std::string version = "v1.31.4+k3s1";
  std::string last_words;
  int looks = 0;

 private:
  template <typename T>
  T Locked(const T& value) {
    const std::lock_guard lock(mutex_);
    return value;
  }
  std::mutex mutex_;
};

class FakeEtcd final : public etcd::Etcd {
 public:
  etcd::ClusterView View(std::chrono::milliseconds) override { return view; }
  absl::Status MoveLeader(const std::vector<uint64_t>&, const Patience&) override { return move; }
  void Rest() override { ++rests; }

  etcd::ClusterView view;
  absl::Status move;
  int rests = 0;
};

class FakeKube final : public kube::Kube {
 public:
  absl::Status Ready(std::chrono::milliseconds) override {
    if (on_ready) {
      on_ready();
    }
    return ready;
  }
  absl::StatusOr<std::string> ServerVersion(std::chrono::milliseconds) override { return "v1.31.4+k3s1"; }
  absl::StatusOr<std::vector<v1::KubeNode>> Nodes(const Patience&) override { return nodes; }
  absl::StatusOr<v1::CordonResult> Cordon(std::string_view, std::string_view, const Patience&) override {
    return v1::CordonResult();
  }
  absl::Status Uncordon(std::string_view, std::string_view, const Patience&) override {
    return absl::OkStatus();
  }
  absl::Status AwaitNode(const kube::AwaitedNode&, const std::function<void(const std::string&)>&,
                         const Patience&) override {
    return absl::OkStatus();
  }
  absl::StatusOr<v1::DrainResult> Drain(std::string_view, const v1::DrainPolicy&,
                                        const std::function<void(const kube::DrainState&)>&,
                                        const Patience&) override {
    return v1::DrainResult();
  }
  absl::StatusOr<std::vector<v1::DrainObstacle>> DrainObstacles(const v1::DrainPolicy&,
                                                                const Patience&) override {
    return std::vector<v1::DrainObstacle>();
  }
  absl::Status ApplyManifest(const std::string&, std::string_view, const Patience&) override {
    return absl::OkStatus();
  }
  absl::Status RemoveManifest(const std::string&, std::string_view, const Patience&) override {
    return absl::OkStatus();
  }
  absl::StatusOr<std::string> VeleroBackup(const kube::VeleroBackupRequest& request,
                                           const std::function<void(const std::string&)>&,
                                           const Patience&) override {
    return request.name;
  }
  absl::Status VeleroRestore(const kube::VeleroRestoreRequest&,
                             const std::function<void(const std::string&)>&, const Patience&) override {
    return absl::OkStatus();
  }
  absl::StatusOr<std::vector<v1::PackagedComponent>> PackagedComponents(const Patience&) override {
    return components;
  }
  absl::StatusOr<std::vector<v1::DeprecatedApi>> DeprecatedApis(const Patience&) override {
    return std::vector<v1::DeprecatedApi>();
  }
  absl::StatusOr<kube::Leadership> LeadershipOf(std::string_view, const Patience&) override {
    return kube::Leadership();
  }
  absl::Status GiveBackLeadership(const kube::Leadership&, const Patience&) override {
    return absl::OkStatus();
  }
  void Rest() override { ++rests; }

  absl::Status ready;
  std::function<void()> on_ready;
  std::vector<v1::KubeNode> nodes;
  std::vector<v1::PackagedComponent> components;
  int rests = 0;
};

}  // namespace k3saga::testing
