#pragma once

#include <grpcpp/grpcpp.h>

#include <condition_variable>
#include <ctime>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "common/host/files.h"
#include "common/tls/credentials.h"
#include "k3saga/v1/agent.grpc.pb.h"

namespace k3saga::fleet {

// A cluster's identities, made up on the spot.
class Identities {
 public:
  Identities() : authority_(*tls::CreateAuthority("lab", time(nullptr), 1)) {}

  tls::Identity Agent(const std::string& node) const { return Make({"lab", tls::PeerRole::kAgent, node}); }
  tls::Identity Coordinator() const { return Make({"lab", tls::PeerRole::kCoordinator, "ann"}); }

 private:
  tls::Identity Make(const tls::Peer& peer) const {
    const tls::CertificateAndKey issued = *tls::Issue(authority_, peer, time(nullptr), 1);
    return {authority_.certificate_pem, issued.certificate_pem, issued.key_pem, peer, 0};
  }
  const tls::CertificateAndKey authority_;
};

// One agent behind real mutual TLS on the loopback, scripted by a test. Its methods block on purpose where a
// test says so; Open lets them go.
class FakeAgent final : public v1::Agent::Service {
 public:
  FakeAgent(const Identities& identities, const std::string& node) : identity_(identities.Agent(node)) {
    Start(0);
  }
  ~FakeAgent() override {
    Open();
    Stop();
  }

  std::string target() const { return absl::StrCat("ipv4:127.0.0.1:", port_); }

  // As when the process goes away and comes back on the same port.
  void Stop() {
    if (server_ == nullptr) return;
    server_->Shutdown(std::chrono::system_clock::now());
    server_ = nullptr;
  }
  void Start(int port) {
    grpc::ServerBuilder builder;
    builder.AddListeningPort(absl::StrCat("127.0.0.1:", port), tls::MakeServerCredentials(identity_), &port_);
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
  }
  void Restart() {
    Stop();
    Start(port_);
  }

  void Close() {
    std::lock_guard lock(mutex_);
    open_ = false;
  }
  void Open() {
    std::lock_guard lock(mutex_);
    open_ = true;
    changed_.notify_all();
  }
  int runs() {
    std::lock_guard lock(mutex_);
    return runs_;
  }

  // The script; set before use.
  bool ready = true;
  int nodes_told = 0;
  std::vector<v1::RunReply> run_replies;
  grpc::Status run_status = grpc::Status::OK;
  std::string backup;            // what Download gives
  size_t cut_uploads_after = 0;  // bytes; 0: never
  grpc::Status upload_status = grpc::Status::OK;

  std::map<std::string, std::string> uploads;  // by sha256
  std::vector<v1::UploadChunk> heads;          // first chunks seen
  size_t largest_chunk = 0;
  std::vector<uint64_t> download_offsets;

  grpc::Status GetFacts(grpc::ServerContext* context, const v1::GetFactsRequest* request,
                        v1::NodeFacts* facts) override {
    if (!WaitUntilOpen(context)) return grpc::Status::CANCELLED;
    facts->set_name(identity_.self.name);
    facts->set_reboot_required(request->drain_obstacles());
    return grpc::Status::OK;
  }

  grpc::Status Probe(grpc::ServerContext* context, const v1::ProbeRequest* request,
                     v1::ServerProof* proof) override {
    if (!WaitUntilOpen(context)) return grpc::Status::CANCELLED;
    proof->set_node("whatever it calls itself");
    proof->set_ready(ready);
    for (int i = 0; request->with_nodes() && i < nodes_told; ++i) proof->add_nodes()->set_name("n");
    return grpc::Status::OK;
  }

  grpc::Status Run(grpc::ServerContext* context, const v1::RunRequest*,
                   grpc::ServerWriter<v1::RunReply>* writer) override {
    {
      std::lock_guard lock(mutex_);
      ++runs_;
    }
    for (const v1::RunReply& reply : run_replies) writer->Write(reply);
    if (!WaitUntilOpen(context)) return grpc::Status::CANCELLED;
    return run_status;
  }

  grpc::Status Cancel(grpc::ServerContext*, const v1::CancelRequest*, v1::CancelReply* reply) override {
    reply->set_found(true);
    return grpc::Status::OK;
  }

  grpc::Status BeginUpload(grpc::ServerContext*, const v1::BeginUploadRequest* request,
                           v1::BeginUploadReply* reply) override {
    std::lock_guard lock(mutex_);
    reply->set_offset(uploads[request->sha256()].size());
    reply->set_complete(uploads[request->sha256()].size() == request->bytes());
    return grpc::Status::OK;
  }

  grpc::Status Upload(grpc::ServerContext*, grpc::ServerReader<v1::UploadChunk>* reader,
                      v1::UploadReply* reply) override {
    if (!upload_status.ok()) return upload_status;
    v1::UploadChunk chunk;
    std::string sha256;
    size_t received = 0;
    while (reader->Read(&chunk)) {
      std::lock_guard lock(mutex_);
      if (sha256.empty()) {
        sha256 = chunk.sha256();
        heads.push_back(chunk);
      }
      std::string& file = uploads[sha256];
      if (chunk.offset() != file.size())
        return grpc::Status(grpc::StatusCode::INVALID_ARGUMENT, "wrong offset");
      largest_chunk = std::max(largest_chunk, chunk.data().size());
      file += chunk.data();
      received += chunk.data().size();
      if (cut_uploads_after != 0 && received >= cut_uploads_after) {
        return grpc::Status(grpc::StatusCode::UNAVAILABLE, "cut by the test");
      }
    }
    std::lock_guard lock(mutex_);
    reply->set_bytes(uploads[sha256].size());
    return grpc::Status::OK;
  }

  grpc::Status Download(grpc::ServerContext*, const v1::DownloadRequest* request,
                        grpc::ServerWriter<v1::DownloadChunk>* writer) override {
    download_offsets.push_back(request->offset());
    v1::DownloadChunk chunk;
    for (size_t at = request->offset(); at < backup.size(); at += 1000) {
      chunk.set_data(backup.substr(at, 1000));
      chunk.set_total_bytes(backup.size());
      writer->Write(chunk);
    }
    return grpc::Status::OK;
  }

 private:
  // False when the caller left.
  bool WaitUntilOpen(grpc::ServerContext* context) {
    std::unique_lock lock(mutex_);
    while (!open_ && !context->IsCancelled()) changed_.wait_for(lock, std::chrono::milliseconds(10));
    return open_;
  }

  const tls::Identity identity_;
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool open_ = true;
  int runs_ = 0;
};

inline v1::RunReply AcceptedReply(const std::string& journal_id) {
  v1::RunReply reply;
  reply.mutable_accepted()->set_journal_id(journal_id);
  return reply;
}
inline v1::RunReply ProgressReply(const std::string& phase) {
  v1::RunReply reply;
  reply.mutable_progress()->set_phase(phase);
  return reply;
}
inline v1::RunReply OutcomeReply(v1::Outcome::Code code) {
  v1::RunReply reply;
  reply.mutable_outcome()->set_code(code);
  return reply;
}

}  // namespace k3saga::fleet
