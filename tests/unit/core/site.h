#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "common/reason.h"
#include "coordinator/core/planner.h"
#include "tests/unit/core/plans.h"

namespace k3saga::core {

// Three servers and two workers as healthy as can be; a test spoils what it is about.
struct Site {
  PlanRequest request;
  std::vector<v1::NodeFacts> facts;

  Site() {
    request.cluster = "home";
    request.release.set_version(kTo);
    request.policies.mutable_backup()->set_enabled(true);
    request.policies.mutable_workers()->mutable_drain()->set_enabled(true);
    for (const char* name : {"s1", "s2", "s3"}) AddServer(name);
    for (const char* name : {"w1", "w2"}) AddWorker(name);
  }

  v1::NodeFacts& At(const std::string& name) {
    for (v1::NodeFacts& each : facts) {
      if (each.name() == name) return each;
    }
    return facts.emplace_back();
  }
  v1::K3sFacts& K3s(const std::string& name) { return *At(name).mutable_k3s(); }

  // For every server, so that all see the same.
  template <typename Change>
  void Everywhere(Change change) {
    for (v1::NodeFacts& each : facts) {
      if (each.k3s().role() == v1::ROLE_SERVER) change(each);
    }
  }

  PlanOutcome Plan() {
    // Objects and members as the nodes that are there make them, unless the test set its own.
    Everywhere([this](v1::NodeFacts& server) {
      if (server.nodes_size() == 0 && api) AddObjects(server);
      if (server.etcd().members_size() == 0 && server.etcd().member_id() != 0) AddMembers(server);
    });
    return MakePlan(request, facts);
  }

  std::vector<v1::ReasonCode> Refusals() {
    std::vector<v1::ReasonCode> codes;
    for (const v1::Reason& reason : Plan().refusals) {
      codes.push_back(reason.code());
      EXPECT_FALSE(reason.detail().empty()) << Describe(reason);
      const bool told_by_agent =
          reason.code() == v1::BUDGET_NEVER_ALLOWS || reason.detail() == "connection refused";
      EXPECT_TRUE(told_by_agent || !reason.remedy().empty()) << Describe(reason);
    }
    return codes;
  }

  bool api = true;

 private:
  v1::NodeFacts& Add(const std::string& name, v1::Role role) {
    request.nodes.push_back({name, role, "ipv4:127.0.0.1:7440"});
    v1::NodeFacts& node = facts.emplace_back();
    node.set_name(name);
    node.set_protocol(1);
    node.set_architecture("amd64");
    v1::K3sFacts& k3s = *node.mutable_k3s();
    k3s.set_distribution("k3s");
    k3s.set_role(role);
    k3s.set_unit(role == v1::ROLE_SERVER ? "k3s.service" : "k3s-agent.service");
    k3s.set_running_version(kFrom);
    k3s.set_binary_version(kFrom);
    k3s.set_node_name(name);
    k3s.set_cluster_id("abc");
    k3s.set_runs_kubelet(true);
    k3s.set_free_bytes(uint64_t{10} << 30);
    return node;
  }

  void AddServer(const std::string& name) {
    v1::NodeFacts& node = Add(name, v1::ROLE_SERVER);
    node.mutable_k3s()->set_datastore(v1::DATASTORE_EMBEDDED_ETCD);
    node.mutable_k3s()->set_runs_apiserver(true);
    node.mutable_k3s()->set_runs_etcd(true);
    node.mutable_etcd()->set_member_id(facts.size());
    node.mutable_etcd()->set_version("3.5.16");
    node.mutable_etcd()->set_linearizable_read(true);
  }
  void AddWorker(const std::string& name) { Add(name, v1::ROLE_WORKER); }

  void AddObjects(v1::NodeFacts& server) {
    for (const v1::NodeFacts& node : facts) {
      v1::KubeNode& object = *server.add_nodes();
      object.set_name(node.name());
      object.set_ready(true);
    }
  }
  void AddMembers(v1::NodeFacts& server) {
    for (const v1::NodeFacts& node : facts) {
      if (node.k3s().role() != v1::ROLE_SERVER) continue;
      v1::EtcdMember& member = *server.mutable_etcd()->add_members();
      member.set_id(static_cast<uint64_t>(node.name()[1] - '0'));
      member.set_name(node.name() + "-1f2e");
      member.add_client_urls("https://10.0.0.1:2379");
    }
  }
};

}  // namespace k3saga::core
