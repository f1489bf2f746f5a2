#include "tests/e2e/agent_calls.h"

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <ctime>
#include <thread>

#include "common/tls/credentials.h"

namespace k3saga::testing {
namespace {

constexpr char kRollout[] = "20261122-000000-test";
constexpr std::chrono::minutes kLongest{4};
constexpr std::chrono::milliseconds kBetweenTries{200};

std::unique_ptr<grpc::ClientContext> Context(std::chrono::milliseconds deadline) {
  auto context = std::make_unique<grpc::ClientContext>();
  context->set_deadline(std::chrono::system_clock::now() + deadline);
  context->set_wait_for_ready(true);
  return context;
}

v1::Authority Authority() {
  v1::Authority authority;
  authority.set_rollout(kRollout);
  authority.set_epoch(1);
  authority.set_holder("test@here:1");
  return authority;
}

}  // namespace

AgentCalls::AgentCalls(const LabCluster& lab) {
  auto loaded = lab::LoadLab(lab.dir());
  EXPECT_TRUE(loaded.ok()) << loaded.status();
  if (loaded.ok()) lab_ = *std::move(loaded);
  const std::string folder = lab.Path("identities/");
  auto identity = tls::LoadIdentity(
      {folder + "ca.crt", folder + "coordinator.crt", folder + "coordinator.key"}, time(nullptr));
  EXPECT_TRUE(identity.ok()) << identity.status();
  if (identity.ok()) identity_ = *std::move(identity);
}

v1::Agent::Stub& AgentCalls::StubOf(const std::string& node) {
  std::unique_ptr<v1::Agent::Stub>& stub = stubs_[node];
  if (stub == nullptr) {
    const lab::LabNode* found = lab_.FindNode(node);
    EXPECT_NE(found, nullptr) << node;
    stub = v1::Agent::NewStub(tls::MakeAgentChannel("ipv4:" + found->address + ":7440", node,
                                                    tls::MakeChannelCredentials(identity_)));
  }
  return *stub;
}

v1::Outcome AgentCalls::Run(const std::string& node, const v1::OperationSpec& spec) {
  v1::RunRequest request;
  *request.mutable_authority() = Authority();
  request.mutable_id()->set_rollout(kRollout);
  request.mutable_id()->set_sequence(++sequence_);
  request.mutable_id()->set_attempt(1);
  *request.mutable_spec() = spec;
  const auto end = std::chrono::steady_clock::now() + kLongest;
  // The agent may be killed meanwhile: attached to again, as a coordinator does.
  while (std::chrono::steady_clock::now() < end) {
    auto context = Context(kLongest);
    auto stream = StubOf(node).Run(context.get(), request);
    v1::RunReply reply;
    while (stream->Read(&reply)) {
      if (reply.has_outcome()) return reply.outcome();
    }
    (void)stream->Finish();
    std::this_thread::sleep_for(kBetweenTries);
  }
  v1::Outcome unknown;
  unknown.set_code(v1::Outcome::UNKNOWN);
  return unknown;
}

v1::NodeFacts AgentCalls::Facts(const std::string& node) {
  v1::NodeFacts facts;
  auto context = Context(std::chrono::seconds(30));
  const grpc::Status status = StubOf(node).GetFacts(context.get(), v1::GetFactsRequest(), &facts);
  EXPECT_TRUE(status.ok()) << status.error_message();
  return facts;
}

std::optional<v1::OperationRecord> AgentCalls::Last(const std::string& node) {
  v1::ListOperationsRequest request;
  request.set_limit(1);
  v1::ListOperationsReply reply;
  auto context = Context(std::chrono::seconds(10));
  if (!StubOf(node).ListOperations(context.get(), request, &reply).ok()) return std::nullopt;
  if (reply.operations_size() == 0) return std::nullopt;
  return reply.operations(0);
}

std::string AgentCalls::ApiUrl(const std::string& node) const {
  const lab::LabNode* found = lab_.FindNode(node);
  return found == nullptr ? "" : "https://" + found->address + ":6443";
}

}  // namespace k3saga::testing
