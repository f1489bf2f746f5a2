// The agent's service over real mutual TLS on the loopback, with effects that do nothing.
#include "agent/service/service.h"

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <ctime>
#include <fstream>
#include <map>

#include "common/host/files.h"
#include "common/reason.h"
#include "common/tls/certificate.h"
#include "common/tls/credentials.h"
#include "tests/unit/operations/fakes.h"
#include "tests/unit/operations/testing.h"

namespace k3saga::service {
namespace {

using operations::FakeEffects;
using operations::Gate;
using operations::MakeAuthority;
using operations::MakeId;
using operations::Phase;

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

  static v1::RunRequest Cordon(uint64_t sequence, const v1::Authority& authority = MakeAuthority()) {
    v1::RunRequest request;
    *request.mutable_id() = MakeId(sequence, authority.rollout());
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
  FakeEffects effects_;
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

TEST_F(ServiceTest, VerifiesABackupWhereItLies) {
  v1::VerifyBackupRequest request;
  request.set_id("b1");
  v1::VerifyBackupReply reply;
  ASSERT_TRUE(stub_->VerifyBackup(Context().get(), request, &reply).ok());
  EXPECT_FALSE(reply.sound());
  EXPECT_EQ(reply.problem(), "token is damaged");
  request.set_id("b2");
  EXPECT_EQ(stub_->VerifyBackup(Context().get(), request, &reply).error_code(), grpc::StatusCode::NOT_FOUND);
}

TEST_F(ServiceTest, RunsAnOperationToItsOutcome) {
  const Heard heard = Run(Cordon(1));
  EXPECT_TRUE(heard.status.ok()) << heard.status.error_message();
  EXPECT_EQ(heard.kinds.front(), "accepted");
  EXPECT_EQ(heard.kinds.back(), "outcome");
  EXPECT_EQ(heard.outcome.code(), v1::Outcome::SUCCEEDED);
}

TEST_F(ServiceTest, ADuplicateRunRepeatsTheOutcome) {
  Run(Cordon(1));
  const Heard again = Run(Cordon(1));
  EXPECT_EQ(again.kinds, (std::vector<std::string>{"known", "outcome"}));
  EXPECT_EQ(again.outcome.code(), v1::Outcome::SUCCEEDED);
  EXPECT_EQ(effects_.Count("cordon"), 1u);
}

TEST_F(ServiceTest, GoesOnWhenTheStreamBreaksAndIsAttachedToAgain) {
  Gate gate;
  effects_.On(Phase::kCordon, gate.Act());
  {
    auto context = Context();
    auto stream = stub_->Run(context.get(), Cordon(1));
    v1::RunReply reply;
    ASSERT_TRUE(stream->Read(&reply));
    EXPECT_EQ(reply.accepted().journal_id(), journal_->id());
    ASSERT_TRUE(effects_.WaitFor("cordon"));
    context->TryCancel();
    EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::CANCELLED);
  }
  auto context = Context();
  auto stream = stub_->Run(context.get(), Cordon(1));
  v1::RunReply reply;
  ASSERT_TRUE(stream->Read(&reply));
  EXPECT_TRUE(reply.accepted().known());
  ASSERT_TRUE(stream->Read(&reply));
  EXPECT_EQ(reply.progress().phase(), "cordon");
  gate.Open();
  ASSERT_TRUE(stream->Read(&reply));
  EXPECT_EQ(reply.outcome().code(), v1::Outcome::SUCCEEDED);
  EXPECT_FALSE(stream->Read(&reply));
  EXPECT_TRUE(stream->Finish().ok());
  EXPECT_EQ(effects_.Count("cordon"), 1u);
}

TEST_F(ServiceTest, RefusalsAreOutcomesWithTheirReason) {
  Run(Cordon(1, MakeAuthority(5)));
  const Heard stale = Run(Cordon(2, MakeAuthority(4)));
  EXPECT_TRUE(stale.status.ok());
  EXPECT_EQ(stale.kinds, std::vector<std::string>{"outcome"});
  EXPECT_EQ(stale.outcome.code(), v1::Outcome::REFUSED);
  EXPECT_EQ(stale.outcome.reason().code(), v1::STALE_EPOCH);

  v1::RunRequest unknown = Cordon(3, MakeAuthority(5));
  unknown.mutable_spec()->clear_verb();
  // A verb of a later protocol: field 39, a message.
  unknown.mutable_spec()
      ->GetReflection()
      ->MutableUnknownFields(unknown.mutable_spec())
      ->AddLengthDelimited(39, "");
  EXPECT_EQ(Run(unknown).outcome.reason().code(), v1::UNKNOWN_ACTION);
  EXPECT_EQ(effects_.Count("cordon"), 1u);
}

TEST_F(ServiceTest, MalformedRequestsAreErrors) {
  v1::RunRequest nameless = Cordon(1);
  nameless.mutable_id()->clear_rollout();
  EXPECT_EQ(Run(nameless).status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(Run(Cordon(0)).status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  v1::RunRequest borrowed = Cordon(1);
  borrowed.mutable_authority()->set_rollout("r2");
  EXPECT_EQ(Run(borrowed).status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_TRUE(journal_->List(10)->empty());
}

TEST_F(ServiceTest, GoingDownEndsStreamsSoThatTheyAreAskedForAgain) {
  Gate gate;
  effects_.On(Phase::kAwaitNode, gate.Act());
  v1::RunRequest await = Cordon(1);
  await.mutable_spec()->mutable_await_node();
  auto context = Context();
  auto stream = stub_->Run(context.get(), await);
  ASSERT_TRUE(effects_.WaitFor("await-node"));
  supervisor_->Shutdown(std::chrono::seconds(20));
  v1::RunReply reply;
  while (stream->Read(&reply)) {
    EXPECT_FALSE(reply.has_outcome());
  }
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(journal_->Unsettled()->size(), 1u);
}

TEST_F(ServiceTest, CancelAndListTellWhatIs) {
  Gate gate;
  effects_.On(Phase::kAwaitNode, gate.Act());
  v1::RunRequest await = Cordon(1);
  await.mutable_spec()->mutable_await_node();
  auto run_context = Context();
  auto stream = stub_->Run(run_context.get(), await);
  ASSERT_TRUE(effects_.WaitFor("await-node"));

  v1::ListOperationsReply list;
  ASSERT_TRUE(stub_->ListOperations(Context().get(), {}, &list).ok());
  ASSERT_EQ(list.operations_size(), 1);
  EXPECT_EQ(list.journal_id(), journal_->id());
  EXPECT_EQ(list.operations(0).phase(), "await-node");
  EXPECT_FALSE(list.operations(0).has_outcome());

  v1::CancelRequest cancel;
  *cancel.mutable_id() = MakeId(1);
  *cancel.mutable_authority() = MakeAuthority();
  v1::CancelReply reply;
  ASSERT_TRUE(stub_->Cancel(Context().get(), cancel, &reply).ok());
  EXPECT_TRUE(reply.found());
  v1::RunReply heard;
  while (stream->Read(&heard)) {
  }
  EXPECT_EQ(heard.outcome().reason().code(), v1::CANCELLED);

  ASSERT_TRUE(stub_->Cancel(Context().get(), cancel, &reply).ok());
  EXPECT_FALSE(reply.found());
  cancel.mutable_authority()->set_holder("mallory");
  const grpc::Status fenced = stub_->Cancel(Context().get(), cancel, &reply);
  v1::Reason reason;
  EXPECT_TRUE(reason.ParseFromString(fenced.error_details()));
  EXPECT_EQ(reason.code(), v1::STALE_EPOCH);
}

TEST_F(ServiceTest, ProbesAreFencedWhenTheyShowAnAuthority) {
  Run(Cordon(1, MakeAuthority(5)));
  v1::ProbeRequest probe;
  v1::ServerProof proof;
  EXPECT_TRUE(stub_->Probe(Context().get(), probe, &proof).ok());
  EXPECT_EQ(proof.node(), "s1");
  *probe.mutable_authority() = MakeAuthority(5);
  EXPECT_TRUE(stub_->Probe(Context().get(), probe, &proof).ok());
  *probe.mutable_authority() = MakeAuthority(4);
  EXPECT_EQ(stub_->Probe(Context().get(), probe, &proof).error_code(), grpc::StatusCode::FAILED_PRECONDITION);
}

TEST_F(ServiceTest, AnUploadIsResumedWhereItBroke) {
  const std::string content = std::string(300'000, 'k') + "3s";
  const std::string sha256 = Sha256Of(content);
  v1::BeginUploadRequest begin;
  begin.set_sha256(sha256);
  begin.set_bytes(content.size());
  v1::BeginUploadReply begun;
  ASSERT_TRUE(stub_->BeginUpload(Context().get(), begin, &begun).ok());
  EXPECT_EQ(begun.offset(), 0u);

  const auto send = [&](uint64_t from, uint64_t to, v1::UploadReply* reply) {
    auto context = Context();
    auto stream = stub_->Upload(context.get(), reply);
    v1::UploadChunk chunk;
    *chunk.mutable_authority() = MakeAuthority();
    chunk.set_sha256(sha256);
    chunk.set_release_version("v1.32.0+k3s1");
    chunk.set_file_name("k3s");
    for (uint64_t offset = from; offset < to; offset += 100'000) {
      chunk.set_offset(offset);
      chunk.set_data(content.substr(offset, std::min<uint64_t>(100'000, to - offset)));
      stream->Write(chunk);
      chunk.Clear();
    }
    stream->WritesDone();
    return stream->Finish();
  };
  v1::UploadReply reply;
  EXPECT_EQ(send(0, 200'000, &reply).error_code(), grpc::StatusCode::UNAVAILABLE);
  ASSERT_TRUE(stub_->BeginUpload(Context().get(), begin, &begun).ok());
  EXPECT_EQ(begun.offset(), 200'000u);
  EXPECT_TRUE(send(200'000, content.size(), &reply).ok());
  EXPECT_EQ(reply.bytes(), content.size());
  EXPECT_EQ(transfers_.named["v1.32.0+k3s1/k3s"], content);
}

TEST_F(ServiceTest, AnotherAgentNeedsNoClaim) {
  v1::BeginUploadRequest begin;
  begin.set_sha256(Sha256Of("new"));
  begin.set_bytes(3);
  v1::BeginUploadReply begun;
  ASSERT_TRUE(stub_->BeginUpload(Context().get(), begin, &begun).ok());
  for (const auto& [version, code] : {std::pair{"v1.32.0+k3s1", grpc::StatusCode::FAILED_PRECONDITION},
                                      {"k3saga-agent", grpc::StatusCode::OK}}) {
    v1::UploadReply reply;
    auto context = Context();
    auto stream = stub_->Upload(context.get(), &reply);
    v1::UploadChunk chunk;
    chunk.set_sha256(begin.sha256());
    chunk.set_release_version(version);
    chunk.set_file_name("k3saga-agent.deb");
    chunk.set_data("new");
    stream->Write(chunk);
    stream->WritesDone();
    EXPECT_EQ(stream->Finish().error_code(), code) << version;
  }
  EXPECT_EQ(transfers_.named["k3saga-agent/k3saga-agent.deb"], "new");
  v1::ReplaceAgentRequest request;
  request.set_attempt("a1");
  v1::ReplaceAgentReply reply;
  ASSERT_TRUE(stub_->ReplaceAgent(Context().get(), request, &reply).ok());
  EXPECT_EQ(reply.state(), v1::ReplaceAgentReply::RUNNING);
}

TEST_F(ServiceTest, ADownloadStartsAtItsOffset) {
  const std::string content(300'000, 'x');
  std::ofstream(folder_ / "etcd") << content << "end";
  std::ofstream(folder_ / "empty").flush();
  const auto read = [&](const std::string& id, const std::string& name, uint64_t offset, std::string* data) {
    v1::DownloadRequest request;
    request.set_backup_id(id);
    request.set_file_name(name);
    request.set_offset(offset);
    auto context = Context();
    auto stream = stub_->Download(context.get(), request);
    v1::DownloadChunk chunk;
    uint64_t total = 0;
    while (stream->Read(&chunk)) {
      data->append(chunk.data());
      total = chunk.total_bytes();
    }
    return std::pair(stream->Finish().error_code(), total);
  };
  std::string data;
  EXPECT_EQ(read("b1", "etcd", 0, &data), std::pair(grpc::StatusCode::OK, uint64_t{300'003}));
  EXPECT_EQ(data, content + "end");
  data.clear();
  EXPECT_EQ(read("b1", "etcd", 300'000, &data).first, grpc::StatusCode::OK);
  EXPECT_EQ(data, "end");
  EXPECT_EQ(read("b1", "empty", 0, &data).first, grpc::StatusCode::OK);
  EXPECT_EQ(read("b1", "etcd", 400'000, &data).first, grpc::StatusCode::OUT_OF_RANGE);
  EXPECT_EQ(read("b2", "etcd", 0, &data).first, grpc::StatusCode::NOT_FOUND);
}

// Calls every method of the service as `stub`; returns the codes that came back.
std::map<std::string, grpc::StatusCode> CallEverything(v1::Agent::Stub& stub) {
  std::map<std::string, grpc::StatusCode> codes;
  const auto context = [] {
    auto made = std::make_unique<grpc::ClientContext>();
    made->set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
    return made;
  };
  v1::NodeFacts facts;
  codes["GetFacts"] = stub.GetFacts(context().get(), {}, &facts).error_code();
  v1::ServerProof proof;
  codes["Probe"] = stub.Probe(context().get(), {}, &proof).error_code();
  v1::CancelReply cancel;
  codes["Cancel"] = stub.Cancel(context().get(), {}, &cancel).error_code();
  v1::ListOperationsReply list;
  codes["ListOperations"] = stub.ListOperations(context().get(), {}, &list).error_code();
  v1::VerifyBackupReply verified;
  codes["VerifyBackup"] = stub.VerifyBackup(context().get(), {}, &verified).error_code();
  v1::BeginUploadReply begun;
  codes["BeginUpload"] = stub.BeginUpload(context().get(), {}, &begun).error_code();
  v1::UploadReply uploaded;
  auto upload_context = context();
  auto upload = stub.Upload(upload_context.get(), &uploaded);
  upload->WritesDone();
  codes["Upload"] = upload->Finish().error_code();
  auto run_context = context();
  codes["Run"] = stub.Run(run_context.get(), {})->Finish().error_code();
  auto download_context = context();
  v1::ReplaceAgentReply replaced;
  codes["ReplaceAgent"] = stub.ReplaceAgent(context().get(), {}, &replaced).error_code();
  codes["Download"] = stub.Download(download_context.get(), {})->Finish().error_code();
  return codes;
}

TEST_F(ServiceTest, NobodyButACoordinatorOfThisClusterIsServedAnything) {
  const auto stranger = *tls::CreateAuthority("shop", time(nullptr), 1);
  tls::Identity forged = IdentityOf(stranger, {"shop", tls::PeerRole::kCoordinator, "ada"});
  forged.ca_pem = authority_.certificate_pem;
  const struct {
    const char* who;
    tls::Identity identity;
    grpc::StatusCode code;
  } cases[] = {
      {"an agent", IdentityOf(authority_, {"shop", tls::PeerRole::kAgent, "s2"}),
       grpc::StatusCode::PERMISSION_DENIED},
      {"another cluster's coordinator", IdentityOf(authority_, {"farm", tls::PeerRole::kCoordinator, "ada"}),
       grpc::StatusCode::PERMISSION_DENIED},
      {"another authority's coordinator", forged, grpc::StatusCode::UNAVAILABLE},
      {"nobody", {authority_.certificate_pem, "", "", {}, 0}, grpc::StatusCode::UNAVAILABLE},
  };
  // A method that is not asked about here fails this test.
  const auto* service =
      google::protobuf::DescriptorPool::generated_pool()->FindServiceByName("k3saga.v1.Agent");
  ASSERT_NE(service, nullptr);
  for (const auto& each : cases) {
    SCOPED_TRACE(each.who);
    const auto stub = StubFor(each.identity);
    const auto codes = CallEverything(*stub);
    EXPECT_EQ(static_cast<int>(codes.size()), service->method_count());
    for (const auto& [method, code] : codes) {
      // An agent's certificate can only serve: TLS refuses it as a client's already.
      const bool refused = code == each.code || code == grpc::StatusCode::UNAVAILABLE;
      EXPECT_TRUE(refused) << method << ": " << code;
    }
  }
  EXPECT_TRUE(journal_->List(10)->empty());
}

}  // namespace
}  // namespace k3saga::service
