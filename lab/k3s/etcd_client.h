#pragma once

#include <absl/status/statusor.h>
#include <grpcpp/grpcpp.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "etcd/rpc.grpc.pb.h"
#include "lab/base/pki.h"
#include "lab/k3s/store.h"

namespace k3saga::lab {

// One etcd member, spoken to with k3s's client certificate. Every call has a deadline. Thread-safe.
class EtcdClient {
 public:
  // `address`: "127.X.Y.i"; the client port is 2379.
  EtcdClient(const std::string& address, const std::string& ca, const KeyPair& client);

  absl::StatusOr<etcdserverpb::StatusResponse> Status(std::chrono::milliseconds deadline);
  absl::StatusOr<etcdserverpb::MemberListResponse> Members(std::chrono::milliseconds deadline);
  // As k3s does: without a vote until PromoteMember, so that two that join at once cost no quorum.
  absl::StatusOr<etcdserverpb::MemberAddResponse> AddLearner(const std::string& peer_url);
  absl::Status PromoteMember(uint64_t id);
  // As if that member's database were full: from now on etcd takes no writes.
  absl::Status RaiseNoSpace(uint64_t member);
  absl::StatusOr<etcdserverpb::RangeResponse> Range(const etcdserverpb::RangeRequest& request,
                                                    std::chrono::milliseconds deadline);
  absl::StatusOr<etcdserverpb::TxnResponse> Txn(const etcdserverpb::TxnRequest& request,
                                                std::chrono::milliseconds deadline);
  absl::Status Put(const std::string& key, const std::string& value, std::chrono::milliseconds deadline);
  // Streams a snapshot into `file`.
  absl::Status Snapshot(const std::string& file, std::chrono::milliseconds deadline);

 private:
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<etcdserverpb::KV::Stub> kv_;
  std::unique_ptr<etcdserverpb::Cluster::Stub> cluster_;
  std::unique_ptr<etcdserverpb::Maintenance::Stub> maintenance_;
};

// The server's own member as a Store.
class EtcdStore final : public Store {
 public:
  explicit EtcdStore(std::shared_ptr<EtcdClient> client) : client_(std::move(client)) {}
  absl::StatusOr<StoredValue> Get(const std::string& key) override;
  absl::StatusOr<Page> List(const std::string& prefix, const std::string& after, int64_t limit) override;
  absl::StatusOr<int64_t> Put(const std::string& key, const std::string& value,
                              std::optional<int64_t> expected) override;
  absl::StatusOr<int64_t> Delete(const std::string& key, std::optional<int64_t> expected) override;

 private:
  std::shared_ptr<EtcdClient> client_;
};

}  // namespace k3saga::lab
