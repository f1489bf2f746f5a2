#include "lab/k3s/etcd_client.h"

#include <fstream>

#include "common/status_macros.h"

namespace k3saga::lab {
namespace {

using etcdserverpb::Compare;

constexpr std::chrono::milliseconds kStoreDeadline{4000};
constexpr int kMaximumMessage = 64 << 20;

absl::Status FromGrpc(const grpc::Status& status) {
  if (status.ok()) return absl::OkStatus();
  return absl::Status(static_cast<absl::StatusCode>(status.error_code()), status.error_message());
}

// A synchronous call that fails fast does not poll, and without anybody polling a connection is never
// finished: calls wait for the connection, each up to its deadline.
void SetDeadline(grpc::ClientContext& context, std::chrono::milliseconds deadline) {
  context.set_wait_for_ready(true);
  context.set_deadline(std::chrono::system_clock::now() + deadline);
}

// The end of the range of all keys that begin with `prefix`.
std::string PrefixEnd(std::string prefix) {
  while (!prefix.empty() && prefix.back() == '\xff') prefix.pop_back();
  if (!prefix.empty()) ++prefix.back();
  return prefix;
}

template <typename Stub, typename Method, typename Request, typename Response>
absl::Status Call(Stub& stub, Method method, const Request& request, Response& response,
                  std::chrono::milliseconds deadline) {
  grpc::ClientContext context;
  SetDeadline(context, deadline);
  return FromGrpc((stub.*method)(&context, request, &response));
}

}  // namespace

EtcdClient::EtcdClient(const std::string& address, const std::string& ca, const KeyPair& client) {
  grpc::SslCredentialsOptions options;
  options.pem_root_certs = ca;
  options.pem_cert_chain = client.certificate;
  options.pem_private_key = client.key;
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);  // this gRPC aborts the process with them (EXAMPLES)
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 2000);  // a connection attempt may take this long
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 500);
  arguments.SetMaxReceiveMessageSize(kMaximumMessage);
  channel_ = grpc::CreateCustomChannel("ipv4:" + address + ":2379", grpc::SslCredentials(options), arguments);
  kv_ = etcdserverpb::KV::NewStub(channel_);
  cluster_ = etcdserverpb::Cluster::NewStub(channel_);
  maintenance_ = etcdserverpb::Maintenance::NewStub(channel_);
}

absl::StatusOr<etcdserverpb::StatusResponse> EtcdClient::Status(std::chrono::milliseconds deadline) {
  etcdserverpb::StatusResponse response;
  K3SAGA_RETURN_IF_ERROR(Call(*maintenance_, &etcdserverpb::Maintenance::Stub::Status,
                              etcdserverpb::StatusRequest(), response, deadline));
  return response;
}

absl::StatusOr<etcdserverpb::MemberListResponse> EtcdClient::Members(std::chrono::milliseconds deadline) {
  etcdserverpb::MemberListResponse response;
  K3SAGA_RETURN_IF_ERROR(Call(*cluster_, &etcdserverpb::Cluster::Stub::MemberList,
                              etcdserverpb::MemberListRequest(), response, deadline));
  return response;
}

absl::StatusOr<etcdserverpb::MemberAddResponse> EtcdClient::AddLearner(const std::string& peer_url) {
  etcdserverpb::MemberAddRequest request;
  request.add_peerurls(peer_url);
  request.set_islearner(true);
  etcdserverpb::MemberAddResponse response;
  K3SAGA_RETURN_IF_ERROR(
      Call(*cluster_, &etcdserverpb::Cluster::Stub::MemberAdd, request, response, kStoreDeadline));
  return response;
}

absl::Status EtcdClient::PromoteMember(uint64_t id) {
  etcdserverpb::MemberPromoteRequest request;
  request.set_id(id);
  etcdserverpb::MemberPromoteResponse response;
  return Call(*cluster_, &etcdserverpb::Cluster::Stub::MemberPromote, request, response, kStoreDeadline);
}

absl::Status EtcdClient::RaiseNoSpace(uint64_t member) {
  etcdserverpb::AlarmRequest request;
  request.set_action(etcdserverpb::AlarmRequest::ACTIVATE);
  request.set_memberid(member);
  request.set_alarm(etcdserverpb::NOSPACE);
  etcdserverpb::AlarmResponse response;
  return Call(*maintenance_, &etcdserverpb::Maintenance::Stub::Alarm, request, response, kStoreDeadline);
}

absl::StatusOr<etcdserverpb::RangeResponse> EtcdClient::Range(const etcdserverpb::RangeRequest& request,
                                                              std::chrono::milliseconds deadline) {
  etcdserverpb::RangeResponse response;
  K3SAGA_RETURN_IF_ERROR(Call(*kv_, &etcdserverpb::KV::Stub::Range, request, response, deadline));
  return response;
}

absl::StatusOr<etcdserverpb::TxnResponse> EtcdClient::Txn(const etcdserverpb::TxnRequest& request,
                                                          std::chrono::milliseconds deadline) {
  etcdserverpb::TxnResponse response;
  K3SAGA_RETURN_IF_ERROR(Call(*kv_, &etcdserverpb::KV::Stub::Txn, request, response, deadline));
  return response;
}

absl::Status EtcdClient::Put(const std::string& key, const std::string& value,
                             std::chrono::milliseconds deadline) {
  etcdserverpb::PutRequest request;
  request.set_key(key);
  request.set_value(value);
  etcdserverpb::PutResponse response;
  return Call(*kv_, &etcdserverpb::KV::Stub::Put, request, response, deadline);
}

absl::Status EtcdClient::Snapshot(const std::string& file, std::chrono::milliseconds deadline) {
  grpc::ClientContext context;
  SetDeadline(context, deadline);
  auto reader = maintenance_->Snapshot(&context, etcdserverpb::SnapshotRequest());
  std::ofstream out(file, std::ios::binary | std::ios::trunc);
  etcdserverpb::SnapshotResponse part;
  while (reader->Read(&part)) out.write(part.blob().data(), static_cast<std::streamsize>(part.blob().size()));
  K3SAGA_RETURN_IF_ERROR(FromGrpc(reader->Finish()));
  out.close();
  if (!out) return absl::UnavailableError(absl::StrCat("cannot write ", file));
  return absl::OkStatus();
}

absl::StatusOr<StoredValue> EtcdStore::Get(const std::string& key) {
  etcdserverpb::RangeRequest request;
  request.set_key(key);
  K3SAGA_ASSIGN_OR_RETURN(etcdserverpb::RangeResponse response, client_->Range(request, kStoreDeadline));
  if (response.kvs().empty()) return absl::NotFoundError(key);
  const etcdserverpb::KeyValue& found = response.kvs(0);
  return StoredValue{found.key(), found.value(), found.mod_revision()};
}

absl::StatusOr<Store::Page> EtcdStore::List(const std::string& prefix, const std::string& after,
                                            int64_t limit) {
  etcdserverpb::RangeRequest request;
  request.set_key(after.empty() ? prefix : after + '\0');
  request.set_range_end(PrefixEnd(prefix));
  request.set_limit(limit);
  K3SAGA_ASSIGN_OR_RETURN(etcdserverpb::RangeResponse response, client_->Range(request, kStoreDeadline));
  Page page;
  page.revision = response.header().revision();
  page.more = response.more();
  for (etcdserverpb::KeyValue& value : *response.mutable_kvs()) {
    page.values.push_back(
        {std::move(*value.mutable_key()), std::move(*value.mutable_value()), value.mod_revision()});
  }
  return page;
}

namespace {

// A transaction that succeeds only while the key has the expected revision, if any is.
etcdserverpb::TxnRequest OnlyIf(const std::string& key, std::optional<int64_t> expected) {
  etcdserverpb::TxnRequest request;
  if (!expected.has_value()) return request;
  Compare* compare = request.add_compare();
  compare->set_key(key);
  compare->set_target(Compare::MOD);
  compare->set_result(Compare::EQUAL);
  compare->set_mod_revision(*expected);
  return request;
}

}  // namespace

absl::StatusOr<int64_t> EtcdStore::Put(const std::string& key, const std::string& value,
                                       std::optional<int64_t> expected) {
  etcdserverpb::TxnRequest request = OnlyIf(key, expected);
  etcdserverpb::PutRequest* put = request.add_success()->mutable_request_put();
  put->set_key(key);
  put->set_value(value);
  K3SAGA_ASSIGN_OR_RETURN(etcdserverpb::TxnResponse response, client_->Txn(request, kStoreDeadline));
  if (!response.succeeded()) return absl::AbortedError(key);
  return response.header().revision();
}

absl::StatusOr<int64_t> EtcdStore::Delete(const std::string& key, std::optional<int64_t> expected) {
  etcdserverpb::TxnRequest request = OnlyIf(key, expected);
  request.add_success()->mutable_request_delete_range()->set_key(key);
  K3SAGA_ASSIGN_OR_RETURN(etcdserverpb::TxnResponse response, client_->Txn(request, kStoreDeadline));
  if (!response.succeeded()) return absl::AbortedError(key);
  if (response.responses(0).response_delete_range().deleted() == 0) return absl::NotFoundError(key);
  return response.header().revision();
}

}  // namespace k3saga::lab
