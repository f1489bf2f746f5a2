#include "agent/service/service.h"

#include <utility>

#include "agent/service/run_stream.h"
#include "agent/service/transfer_streams.h"
#include "common/host/crash_point.h"
#include "common/reason.h"
#include "common/tls/credentials.h"

namespace k3saga::service {
namespace {

// A plan for thousands of nodes still fits; nothing that does not is worth the memory.
constexpr int kLargestMessage = 16 << 20;
constexpr uint32_t kMostListed = 10'000;

CrashPoint unary_received("agent.rpc.unary.received");
CrashPoint unary_replying("agent.rpc.unary.replying");

v1::OperationRecord ToRecord(const operations::Entry& entry) {
  v1::OperationRecord record;
  *record.mutable_id() = entry.record.id;
  *record.mutable_spec() = *entry.record.spec;
  // On a way back the outcome is known in part; it is not one before the operation is settled.
  if (entry.record.settled()) *record.mutable_outcome() = entry.record.outcome;
  record.set_starts(entry.record.starts);
  record.set_accepted_unix_ms(entry.accepted_unix_ms);
  record.set_settled_unix_ms(entry.settled_unix_ms);
  record.set_phase(std::string(operations::PhaseName(entry.record.phase)));
  return record;
}

}  // namespace

grpc::Status ToGrpc(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()), std::string(status.message()),
                      ReasonOf(status).SerializeAsString());
}

void ConfigureServer(grpc::ServerBuilder& builder) {
  builder.SetMaxReceiveMessageSize(kLargestMessage);
  builder.SetMaxSendMessageSize(kLargestMessage);
  // A coordinator that is gone without a word is noticed while something runs; idle connections cost nothing.
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, 30'000);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 10'000);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 0);
  // Coordinators ping every 20 s.
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 10'000);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_IDLE_MS, 600'000);
  // Two agents on one port would each serve half of the calls.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
}

grpc::Status AgentService::Allowed(grpc::CallbackServerContext* context) {
  calls_.fetch_add(1, std::memory_order_relaxed);
  return tls::AuthorizeCoordinator(context->auth_context(), parts_.cluster);
}

grpc::Status AgentService::Current(const v1::Authority& authority) const {
  const auto fence = parts_.journal->ReadFence();
  if (!fence.ok()) return ToGrpc(fence.status());
  const auto reason = operations::JudgeAuthority(*fence, authority);
  return reason ? ToGrpc(ReasonError(*reason)) : grpc::Status::OK;
}

grpc::ServerUnaryReactor* AgentService::Unary(grpc::CallbackServerContext* context,
                                              std::function<grpc::Status()> work) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  const grpc::Status allowed = Allowed(context);
  if (!allowed.ok()) {
    reactor->Finish(allowed);
    return reactor;
  }
  unary_received.MaybeDie();
  parts_.pool->Post([reactor, work = std::move(work)] {
    grpc::Status status = work();
    unary_replying.MaybeDie();
    reactor->Finish(std::move(status));
  });
  return reactor;
}

grpc::ServerUnaryReactor* AgentService::GetFacts(grpc::CallbackServerContext* context,
                                                 const v1::GetFactsRequest* request, v1::NodeFacts* facts) {
  return Unary(context, [this, request, facts] {
    *facts = parts_.reader->Facts(*request);
    return grpc::Status::OK;
  });
}

grpc::ServerUnaryReactor* AgentService::Probe(grpc::CallbackServerContext* context,
                                              const v1::ProbeRequest* request, v1::ServerProof* proof) {
  return Unary(context, [this, request, proof] {
    // Whoever only looks (check, plan) has no authority to show.
    if (request->has_authority()) {
      grpc::Status current = Current(request->authority());
      if (!current.ok()) return current;
    }
    *proof = parts_.reader->Prove(*request);
    return grpc::Status::OK;
  });
}

grpc::ServerUnaryReactor* AgentService::Cancel(grpc::CallbackServerContext* context,
                                               const v1::CancelRequest* request, v1::CancelReply* reply) {
  return Unary(context, [this, request, reply] {
    grpc::Status current = Current(request->authority());
    if (!current.ok()) return current;
    const auto found = parts_.supervisor->Cancel(request->id());
    if (!found.ok()) return ToGrpc(found.status());
    reply->set_found(*found);
    return grpc::Status::OK;
  });
}

grpc::ServerUnaryReactor* AgentService::ListOperations(grpc::CallbackServerContext* context,
                                                       const v1::ListOperationsRequest* request,
                                                       v1::ListOperationsReply* reply) {
  return Unary(context, [this, request, reply] {
    const uint32_t limit = request->limit() == 0 ? kMostListed : std::min(request->limit(), kMostListed);
    const auto entries = parts_.journal->List(limit);
    if (!entries.ok()) return ToGrpc(entries.status());
    reply->set_journal_id(parts_.journal->id());
    for (const operations::Entry& entry : *entries) *reply->add_operations() = ToRecord(entry);
    return grpc::Status::OK;
  });
}

grpc::ServerUnaryReactor* AgentService::VerifyBackup(grpc::CallbackServerContext* context,
                                                     const v1::VerifyBackupRequest* request,
                                                     v1::VerifyBackupReply* reply) {
  return Unary(context, [this, request, reply] {
    auto verified = parts_.transfers->VerifyBackup(request->id());
    if (!verified.ok()) return ToGrpc(verified.status());
    *reply = *std::move(verified);
    return grpc::Status::OK;
  });
}

grpc::ServerUnaryReactor* AgentService::BeginUpload(grpc::CallbackServerContext* context,
                                                    const v1::BeginUploadRequest* request,
                                                    v1::BeginUploadReply* reply) {
  return Unary(context, [this, request, reply] {
    const auto begun = parts_.transfers->BeginUpload(request->sha256(), request->bytes());
    if (!begun.ok()) return ToGrpc(begun.status());
    *reply = *begun;
    return grpc::Status::OK;
  });
}

grpc::ServerUnaryReactor* AgentService::ReplaceAgent(grpc::CallbackServerContext* context,
                                                     const v1::ReplaceAgentRequest* request,
                                                     v1::ReplaceAgentReply* reply) {
  return Unary(context, [this, request, reply] {
    *reply = parts_.replacing->Replace(*request);
    return grpc::Status::OK;
  });
}

grpc::ServerWriteReactor<v1::RunReply>* AgentService::Run(grpc::CallbackServerContext* context,
                                                          const v1::RunRequest* request) {
  auto* stream = new RunStream;
  const grpc::Status allowed = Allowed(context);
  if (!allowed.ok()) {
    stream->Finish(allowed);
    return stream;
  }
  stream->Begin(parts_.journal->id(), parts_.supervisor, parts_.pool, *request);
  return stream;
}

namespace {

// Whoever may not ask still gets an answer.
template <typename Stream>
Stream* BeginIf(const grpc::Status& allowed, Stream* stream) {
  if (allowed.ok()) {
    stream->Begin();
  } else {
    stream->Finish(allowed);
  }
  return stream;
}

}  // namespace

grpc::ServerReadReactor<v1::UploadChunk>* AgentService::Upload(grpc::CallbackServerContext* context,
                                                               v1::UploadReply* reply) {
  auto* stream = new UploadStream(parts_.transfers, parts_.pool, reply,
                                  [this](const v1::Authority& authority) { return Current(authority); });
  return BeginIf(Allowed(context), stream);
}

grpc::ServerWriteReactor<v1::DownloadChunk>* AgentService::Download(grpc::CallbackServerContext* context,
                                                                    const v1::DownloadRequest* request) {
  auto* stream = new DownloadStream(parts_.transfers, parts_.pool, *request,
                                    [this](const v1::Authority& authority) { return Current(authority); });
  return BeginIf(Allowed(context), stream);
}

}  // namespace k3saga::service
