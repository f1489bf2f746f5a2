#pragma once

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <ctime>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "agent/service/service.h"
#include "common/host/files.h"
#include "common/tls/certificate.h"
#include "common/tls/credentials.h"
#include "tests/unit/operations/fakes.h"
#include "tests/unit/operations/testing.h"

namespace k3saga::service {

class FakeReader final : public Reader {
 public:
  v1::NodeFacts Facts(const v1::GetFactsRequest&) override {
    v1::NodeFacts facts;
    facts.set_name("s1");
    return facts;
  }
  v1::ServerProof Prove(const v1::ProbeRequest&) override {
    v1::ServerProof proof;
    proof.set_node("s1");
    proof.set_reachable(true);
    return proof;
  }
};

class FakeTransfers final : public Transfers {
 public:
  explicit FakeTransfers(std::string folder) : folder_(std::move(folder)) {}

  absl::StatusOr<v1::BeginUploadReply> BeginUpload(std::string_view sha256, uint64_t bytes) override {
    v1::BeginUploadReply reply;
    reply.set_offset(incoming[std::string(sha256)].size());
    announced_[std::string(sha256)] = bytes;
    return reply;
  }
  absl::Status Append(std::string_view sha256, uint64_t offset, std::string_view data) override {
    std::string& content = incoming[std::string(sha256)];
    if (offset != content.size()) return absl::OutOfRangeError("a hole");
    content.append(data);
    return absl::OkStatus();
  }
  absl::StatusOr<uint64_t> FinishUpload(std::string_view sha256, std::string_view version,
                                        std::string_view file_name) override {
    const std::string& content = incoming[std::string(sha256)];
    if (content.size() < announced_[std::string(sha256)]) return absl::UnavailableError("not all came");
    if (Sha256Of(content) != sha256) return absl::DataLossError("damaged");
    named[std::string(version) + "/" + std::string(file_name)] = content;
    return content.size();
  }
  absl::StatusOr<std::string> BackupFile(std::string_view backup_id, std::string_view file_name) override {
    if (backup_id != "b1") return absl::NotFoundError("no such backup");
    return folder_ + "/" + std::string(file_name);
  }

  absl::StatusOr<v1::VerifyBackupReply> VerifyBackup(std::string_view backup_id) override {
    if (backup_id != "b1") return absl::NotFoundError("no such backup");
    v1::VerifyBackupReply reply;
    reply.set_problem("token is damaged");
    return reply;
  }

  std::map<std::string, std::string> incoming, named;

 private:
  const std::string folder_;
  std::map<std::string, uint64_t> announced_;
};

class FakeReplacing final : public Replacing {
 public:
  v1::ReplaceAgentReply Replace(const v1::ReplaceAgentRequest& request) override {
    v1::ReplaceAgentReply reply;
    reply.set_state(v1::ReplaceAgentReply::RUNNING);
    reply.set_to_version(request.attempt());
    return reply;
  }
};

class NoLauncher final : public operations::Launcher {
 public:
  absl::Status Launch(const v1::OperationId&, bool) override { return absl::OkStatus(); }
  absl::StatusOr<bool> Running() override { return true; }
};

// An agent's service of cluster "shop", node "s1", over real mutual TLS on the loopback, with effects that do
// nothing unless the test says otherwise.
class ServiceTest : public ::testing::Test {
 protected:
  ServiceTest()
      : authority_(*tls::CreateAuthority("shop", time(nullptr), 1)),
        journal_(*operations::Journal::Open(folder_ / "journal.db", {}, &clock_)) {
    operations::Supervisor::Parts parts;
    parts.journal = journal_.get();
    parts.effects = &effects_;
    parts.launcher = &launcher_;
    parts.clock = &clock_;
    parts.pauser = &pauser_;
    parts.boot_id = "boot-1";
    supervisor_ = std::make_unique<operations::Supervisor>(std::move(parts));
    service_ = std::make_unique<AgentService>(AgentService::Parts{
        "shop", journal_.get(), supervisor_.get(), &reader_, &transfers_, &replacing_, &pool_});
    grpc::ServerBuilder builder;
    ConfigureServer(builder);
    const tls::Peer self{"shop", tls::PeerRole::kAgent, "s1"};
    builder.AddListeningPort("127.0.0.1:0", tls::MakeServerCredentials(IdentityOf(authority_, self)), &port_);
    builder.RegisterService(service_.get());
    server_ = builder.BuildAndStart();
    stub_ = StubFor(IdentityOf(authority_, {"shop", tls::PeerRole::kCoordinator, "ada"}));
  }
  ~ServiceTest() override {
    supervisor_->Shutdown(std::chrono::seconds(20));
    server_->Shutdown();
    server_->Wait();
  }

  static tls::Identity IdentityOf(const tls::CertificateAndKey& authority, const tls::Peer& peer) {
    const tls::CertificateAndKey issued = *tls::Issue(authority, peer, time(nullptr), 1);
    return {authority.certificate_pem, issued.certificate_pem, issued.key_pem, peer, 0};
  }
  std::unique_ptr<v1::Agent::Stub> StubFor(const tls::Identity& identity) {
    return v1::Agent::NewStub(tls::MakeAgentChannel("ipv4:127.0.0.1:" + std::to_string(port_), "s1",
                                                    tls::MakeChannelCredentials(identity)));
  }
  static std::unique_ptr<grpc::ClientContext> Context() {
    auto context = std::make_unique<grpc::ClientContext>();
    context->set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
    return context;
  }

  static v1::RunRequest Cordon(uint64_t sequence,
                               const v1::Authority& authority = operations::MakeAuthority()) {
    v1::RunRequest request;
    *request.mutable_id() = operations::MakeId(sequence, authority.rollout());
    *request.mutable_authority() = authority;
    request.mutable_spec()->mutable_cordon()->set_node("w1");
    return request;
  }

  struct Heard {
    std::vector<std::string> kinds;  // "accepted", "known", "progress", "outcome"
    v1::Outcome outcome;
    grpc::Status status;
  };
  Heard Run(const v1::RunRequest& request) {
    Heard heard;
    auto context = Context();
    auto stream = stub_->Run(context.get(), request);
    v1::RunReply reply;
    while (stream->Read(&reply)) {
      if (reply.has_accepted()) heard.kinds.emplace_back(reply.accepted().known() ? "known" : "accepted");
      if (reply.has_progress() && heard.kinds.back() != "progress") heard.kinds.emplace_back("progress");
      if (reply.has_outcome()) {
        heard.kinds.emplace_back("outcome");
        heard.outcome = reply.outcome();
      }
    }
    heard.status = stream->Finish();
    return heard;
  }

  operations::TempFolder folder_;
  SystemClock clock_;
  SystemPauser pauser_;
  operations::FakeEffects effects_;
  NoLauncher launcher_;
  FakeReader reader_;
  FakeTransfers transfers_{folder_.path()};
  FakeReplacing replacing_;
  operations::WorkerPool pool_{8};
  const tls::CertificateAndKey authority_;
  std::unique_ptr<operations::Journal> journal_;
  std::unique_ptr<operations::Supervisor> supervisor_;
  std::unique_ptr<AgentService> service_;
  std::unique_ptr<grpc::Server> server_;
  int port_ = 0;
  std::unique_ptr<v1::Agent::Stub> stub_;
};

}  // namespace k3saga::service
