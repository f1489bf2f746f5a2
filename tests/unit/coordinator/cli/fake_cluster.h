#pragma once

#include <grpcpp/grpcpp.h>

#include <unistd.h>

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "common/protocol.h"
#include "common/reason.h"
#include "common/tls/credentials.h"
#include "k3saga/v1/agent.grpc.pb.h"

namespace k3saga::cli {

// Agents that do as they are told, at once, behind real mutual TLS: enough of a healthy cluster for a
// rollout. Its etcd is a member list that they agree on; s1 leads. What goes wrong is asked for by name.
class FakeCluster {
 public:
  static constexpr char kFrom[] = "v1.31.4+k3s1";

  FakeCluster(int servers, int workers) {
    for (int i = 1; i <= servers; ++i) AddNode("s" + std::to_string(i), v1::ROLE_SERVER);
    for (int i = 1; i <= workers; ++i) AddNode("w" + std::to_string(i), v1::ROLE_WORKER);
  }
  ~FakeCluster() {
    release_ = true;
    for (auto& node : nodes_) {
      if (node->server) node->server->Shutdown(std::chrono::system_clock::now());
    }
  }
  FakeCluster(const FakeCluster&) = delete;
  FakeCluster& operator=(const FakeCluster&) = delete;

  // Starts the agents with certificates of this authority; the ports are known afterwards.
  void Serve(const tls::CertificateAndKey& authority) {
    for (auto& node : nodes_) {
      const tls::Peer peer{"shop-12", tls::PeerRole::kAgent, node->name};
      const tls::CertificateAndKey issued = *tls::Issue(authority, peer, time(nullptr), 1);
      const tls::Identity identity{authority.certificate_pem, issued.certificate_pem, issued.key_pem, peer,
                                   0};
      grpc::ServerBuilder builder;
      builder.AddListeningPort("127.0.0.1:0", tls::MakeServerCredentials(identity), &node->port);
      builder.RegisterService(node.get());
      node->server = builder.BuildAndStart();
    }
  }
  // Where each node's agent listens on the loopback.
  std::vector<std::pair<std::string, int>> Ports() const {
    std::vector<std::pair<std::string, int>> ports;
    for (const auto& node : nodes_) ports.emplace_back(node->name, node->port);
    return ports;
  }

  // Installs on this node fail, and the node puts back what it ran.
  void FailInstall(const std::string& node) { failing_.insert(node); }
  // Installs on this node hang until Release.
  void HoldInstall(const std::string& node) { held_ = node; }
  void Release() { release_ = true; }
  bool installing() const { return installing_; }
  // This node's agent speaks another protocol than ours.
  void SetProtocol(const std::string& node, uint32_t protocol) {
    std::lock_guard lock(mutex_);
    protocols_[node] = protocol;
  }
  // This node's agent is too old to know that verb.
  void Forget(const std::string& node, v1::OperationSpec::VerbCase verb) {
    std::lock_guard lock(mutex_);
    forgotten_[node] = verb;
  }
  void Remember(const std::string& node) {
    std::lock_guard lock(mutex_);
    forgotten_.erase(node);
  }

  std::map<std::string, std::string> Versions() {
    std::lock_guard lock(mutex_);
    return versions_;
  }
  std::map<std::string, int> Installs() {
    std::lock_guard lock(mutex_);
    return installs_;
  }

 private:
  struct Node final : v1::Agent::Service {
    Node(FakeCluster& in, std::string named, v1::Role as) : cluster(in), name(std::move(named)), role(as) {}
    grpc::Status GetFacts(grpc::ServerContext*, const v1::GetFactsRequest*, v1::NodeFacts* facts) override {
      cluster.FillFacts(*this, facts);
      return grpc::Status::OK;
    }
    grpc::Status Probe(grpc::ServerContext*, const v1::ProbeRequest* request,
                       v1::ServerProof* proof) override {
      cluster.FillProof(*this, request->with_nodes(), proof);
      return grpc::Status::OK;
    }
    grpc::Status Run(grpc::ServerContext* context, const v1::RunRequest* request,
                     grpc::ServerWriter<v1::RunReply>* replies) override {
      return cluster.RunOn(*this, *context, request->spec(), *replies);
    }

    FakeCluster& cluster;
    const std::string name;
    const v1::Role role;
    int port = 0;
    std::unique_ptr<grpc::Server> server;
  };

  void AddNode(const std::string& name, v1::Role role) {
    nodes_.push_back(std::make_unique<Node>(*this, name, role));
    versions_[name] = kFrom;
  }
  uint64_t MemberOf(const std::string& name) const { return 100 + static_cast<uint64_t>(name.back() - '0'); }

  void FillMembers(google::protobuf::RepeatedPtrField<v1::EtcdMember>* members) const {
    for (const auto& node : nodes_) {
      if (node->role != v1::ROLE_SERVER) continue;
      v1::EtcdMember& member = *members->Add();
      member.set_id(MemberOf(node->name));
      member.set_name(node->name);
      member.add_client_urls("https://127.0.0.1:2379");
    }
  }
  void FillNodes(google::protobuf::RepeatedPtrField<v1::KubeNode>* objects) {
    for (const auto& node : nodes_) {
      v1::KubeNode& object = *objects->Add();
      object.set_name(node->name);
      object.set_ready(true);
      object.set_kubelet_version(versions_[node->name]);
      object.set_unschedulable(cordoned_.count(node->name) > 0);
      object.set_cordoned_by(cordoned_.count(node->name) > 0 ? cordoned_[node->name] : "");
    }
  }

  void FillFacts(const Node& node, v1::NodeFacts* facts) {
    std::lock_guard lock(mutex_);
    facts->set_name(node.name);
    facts->set_agent_version("0.1.0");
    facts->set_architecture("amd64");
    const auto protocol = protocols_.find(node.name);
    facts->set_protocol(protocol == protocols_.end() ? kProtocol : protocol->second);
    facts->set_journal_id("journal-" + node.name);
    v1::K3sFacts& k3s = *facts->mutable_k3s();
    k3s.set_distribution("k3s");
    k3s.set_role(node.role);
    k3s.set_unit("k3s.service");
    k3s.set_running_version(versions_[node.name]);
    k3s.set_binary_version(versions_[node.name]);
    k3s.set_binary_is_running(true);
    k3s.set_main_pid(7);
    k3s.set_active_state("active/running");
    k3s.set_runs_kubelet(true);
    k3s.set_node_name(node.name);
    k3s.set_cluster_id("cluster");
    k3s.set_free_bytes(uint64_t{10} << 30);
    if (node.role != v1::ROLE_SERVER) return;
    k3s.set_datastore(v1::DATASTORE_EMBEDDED_ETCD);
    k3s.set_runs_etcd(true);
    k3s.set_runs_apiserver(true);
    v1::EtcdFacts& etcd = *facts->mutable_etcd();
    etcd.set_member_id(MemberOf(node.name));
    etcd.set_leader_id(leader_);
    etcd.set_version("3.5.26");
    etcd.set_linearizable_read(true);
    FillMembers(etcd.mutable_members());
    FillNodes(facts->mutable_nodes());
  }

  void FillProof(const Node& node, bool with_nodes, v1::ServerProof* proof) {
    std::lock_guard lock(mutex_);
    proof->set_node(node.name);
    proof->set_reachable(true);
    proof->set_ready(true);
    proof->set_ready_for_ms(600'000);
    proof->set_main_pid(7);
    proof->set_main_start_ticks(static_cast<uint64_t>(installs_[node.name]));
    proof->set_running_version(versions_[node.name]);
    proof->set_etcd_serving(true);
    proof->set_member_id(MemberOf(node.name));
    proof->set_leader_id(leader_);
    proof->set_applied_index(1000);
    FillMembers(proof->mutable_members());
    if (with_nodes) FillNodes(proof->mutable_nodes());
  }

  grpc::Status RunOn(const Node& node, grpc::ServerContext& context, const v1::OperationSpec& spec,
                     grpc::ServerWriter<v1::RunReply>& replies) {
    v1::RunReply accepted;
    accepted.mutable_accepted()->set_journal_id("journal-" + node.name);
    replies.Write(accepted);
    while (spec.has_install() && node.name == held_ && !release_ && !context.IsCancelled()) {
      installing_ = true;
      usleep(2'000);  // a real agent takes its time too; nothing is timed here
    }
    v1::RunReply reply;
    Do(node, spec, reply.mutable_outcome());
    replies.Write(reply);
    return grpc::Status::OK;
  }

  void Do(const Node& node, const v1::OperationSpec& spec, v1::Outcome* outcome) {
    std::lock_guard lock(mutex_);
    if (const auto unknown = forgotten_.find(node.name);
        unknown != forgotten_.end() && unknown->second == spec.verb_case()) {
      // As operations::Judge answers a spec whose verb it cannot see.
      outcome->set_code(v1::Outcome::REFUSED);
      *outcome->mutable_reason() =
          MakeReason(v1::UNKNOWN_ACTION, node.name, "this agent does not know the operation's verb",
                     "upgrade k3saga-agent on this node");
      return;
    }
    outcome->set_code(v1::Outcome::SUCCEEDED);
    switch (spec.verb_case()) {
      case v1::OperationSpec::kInstall:
        ++installs_[node.name];
        if (failing_.count(node.name) > 0) {
          outcome->set_code(v1::Outcome::FAILED);
          outcome->set_node_state(v1::Outcome::PUT_BACK);
          outcome->mutable_reason()->set_code(v1::API_NOT_READY);
          outcome->mutable_reason()->set_subject(node.name);
          outcome->mutable_reason()->set_detail("/readyz was never 200");
          return;
        }
        versions_[node.name] = spec.install().version();
        outcome->set_node_state(v1::Outcome::CHANGED);
        outcome->mutable_install()->set_running_version(versions_[node.name]);
        return;
      case v1::OperationSpec::kPutBack:
        versions_[node.name] = kFrom;
        outcome->set_node_state(v1::Outcome::PUT_BACK);
        return;
      case v1::OperationSpec::kMoveLeader:
        leader_ =
            spec.move_leader().preferred_members_size() > 0 ? spec.move_leader().preferred_members(0) : 102;
        return;
      case v1::OperationSpec::kCordon:
        cordoned_[spec.cordon().node()] = "rollout";
        outcome->mutable_cordon();
        return;
      case v1::OperationSpec::kUncordon:
        cordoned_.erase(spec.uncordon().node());
        return;
      case v1::OperationSpec::kBackup:
        outcome->mutable_backup()->set_id("backup-1");
        outcome->mutable_backup()->set_path("/var/lib/k3saga-agent/backups/backup-1");
        return;
      case v1::OperationSpec::kDrain:
        outcome->mutable_drain()->set_evicted(2);
        return;
      default:
        return;
    }
  }

  std::mutex mutex_;
  std::vector<std::unique_ptr<Node>> nodes_;
  std::map<std::string, std::string> versions_;
  std::map<std::string, int> installs_;
  std::map<std::string, std::string> cordoned_;
  std::set<std::string> failing_;
  std::map<std::string, uint32_t> protocols_;
  std::map<std::string, v1::OperationSpec::VerbCase> forgotten_;
  uint64_t leader_ = 101;
  std::string held_;
  std::atomic<bool> release_{false};
  std::atomic<bool> installing_{false};
};

}  // namespace k3saga::cli
