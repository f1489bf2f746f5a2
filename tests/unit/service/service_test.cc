// What the agent's service answers.
#include "agent/service/service.h"

#include "common/reason.h"
#include "tests/unit/service/served_agent.h"

namespace k3saga::service {
namespace {

using operations::Gate;
using operations::MakeAuthority;
using operations::MakeId;
using operations::Phase;

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
