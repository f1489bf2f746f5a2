#include "coordinator/fleet/grpc_fleet.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <unordered_map>
#include <utility>

#include "common/host/files.h"
#include "common/status_macros.h"
#include "common/tls/credentials.h"
#include "coordinator/fleet/grpc_call.h"
#include "coordinator/fleet/grpc_transfer.h"

namespace k3saga::fleet {
namespace {

constexpr int kLargestMessage = 64 << 20;  // the facts of a cluster of 10,000 nodes take a few MB

grpc::ChannelArguments ArgumentsFor(const std::string& node) {
  grpc::ChannelArguments arguments = tls::AgentChannelArguments(node);
  // Agents are reached directly: a proxy variable in somebody's shell is not meant for them.
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  arguments.SetInt(GRPC_ARG_SERVICE_CONFIG_DISABLE_RESOLUTION, 1);
  arguments.SetInt(GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH, kLargestMessage);
  // A node that vanished without a word is noticed within half a minute; agents allow pings this often.
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 20'000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 10'000);
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  // An agent that restarts is back within a second or two: look often. gRPC's own default waits up to two
  // minutes.
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 200);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 3'000);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 2'000);
  // No trace of every channel's events: nobody reads it, and there may be thousands.
  arguments.SetInt(GRPC_ARG_MAX_CHANNEL_TRACE_EVENT_MEMORY_PER_NODE, 0);
  return arguments;
}

// An answer that is known without asking.
class Answered final : public GrpcCall {
 public:
  using GrpcCall::GrpcCall;
  void Start(std::function<void()> tell) { PostLast(std::move(tell)); }
};

}  // namespace

// Opened by the first call to each node, closed with the fleet: a channel that lives as long as the fleet
// also keeps gRPC's callback threads from being torn down and built again.
class GrpcFleet::Channels {
 public:
  Channels(std::shared_ptr<grpc::ChannelCredentials> credentials, const std::vector<AgentAddress>& agents)
      : credentials_(std::move(credentials)) {
    for (const AgentAddress& agent : agents) nodes_[agent.node].target = agent.target;
  }

  v1::Agent::Stub* Find(const std::string& node) {
    const auto found = nodes_.find(node);
    if (found == nodes_.end()) return nullptr;
    Node& known = found->second;
    if (known.stub == nullptr) {
      known.stub =
          v1::Agent::NewStub(grpc::CreateCustomChannel(known.target, credentials_, ArgumentsFor(node)));
    }
    return known.stub.get();
  }

 private:
  struct Node {
    std::string target;
    std::unique_ptr<v1::Agent::Stub> stub;
  };
  const std::shared_ptr<grpc::ChannelCredentials> credentials_;
  std::unordered_map<std::string, Node> nodes_;
};

GrpcFleet::GrpcFleet(Loop& loop, std::shared_ptr<grpc::ChannelCredentials> credentials,
                     const std::vector<AgentAddress>& agents)
    : channels_(std::make_unique<Channels>(std::move(credentials), agents)),
      calls_(std::make_shared<CallRegistry>(loop)) {}

GrpcFleet::~GrpcFleet() { calls_->CloseAll(); }

template <typename Reply>
CallHandle GrpcFleet::Answer(const std::string& node, absl::StatusOr<Reply> answer, Done<Reply> done) {
  auto call = std::make_shared<Answered>(calls_, node);
  calls_->Add(call);
  call->Start([answer = std::move(answer), done = std::move(done)] { done(answer); });
  return std::make_unique<GrpcCallHandle>(std::move(call));
}

template <typename Request, typename Reply, typename Method>
CallHandle GrpcFleet::Ask(const std::string& node, Method method, const Request& request,
                          std::chrono::milliseconds timeout, Done<Reply> done) {
  v1::Agent::Stub* stub = channels_->Find(node);
  if (stub == nullptr) return Answer<Reply>(node, NoSuchNode(node), std::move(done));
  auto call = std::make_shared<UnaryCall<Request, Reply>>(calls_, node, std::move(done));
  calls_->Add(call);
  call->Start(*stub, method, request, timeout);
  return std::make_unique<GrpcCallHandle>(std::move(call));
}

absl::Status GrpcFleet::NoSuchNode(const std::string& node) {
  return absl::NotFoundError(absl::StrCat("no agent address is known for node ", node));
}

using Async = v1::Agent::StubInterface::async_interface;

CallHandle GrpcFleet::GetFacts(const std::string& node, const v1::GetFactsRequest& request,
                               std::chrono::milliseconds timeout, Done<v1::NodeFacts> done) {
  return Ask<v1::GetFactsRequest, v1::NodeFacts>(
      node, static_cast<UnaryCall<v1::GetFactsRequest, v1::NodeFacts>::Method>(&Async::GetFacts), request,
      timeout, std::move(done));
}

CallHandle GrpcFleet::Probe(const std::string& node, const v1::ProbeRequest& request,
                            std::chrono::milliseconds timeout, Done<v1::ServerProof> done) {
  return Ask<v1::ProbeRequest, v1::ServerProof>(
      node, static_cast<UnaryCall<v1::ProbeRequest, v1::ServerProof>::Method>(&Async::Probe), request,
      timeout, std::move(done));
}

CallHandle GrpcFleet::Cancel(const std::string& node, const v1::CancelRequest& request,
                             std::chrono::milliseconds timeout, Done<v1::CancelReply> done) {
  return Ask<v1::CancelRequest, v1::CancelReply>(
      node, static_cast<UnaryCall<v1::CancelRequest, v1::CancelReply>::Method>(&Async::Cancel), request,
      timeout, std::move(done));
}

CallHandle GrpcFleet::ListOperations(const std::string& node, const v1::ListOperationsRequest& request,
                                     std::chrono::milliseconds timeout, Done<v1::ListOperationsReply> done) {
  using Listing = UnaryCall<v1::ListOperationsRequest, v1::ListOperationsReply>;
  return Ask<v1::ListOperationsRequest, v1::ListOperationsReply>(
      node, static_cast<Listing::Method>(&Async::ListOperations), request, timeout, std::move(done));
}

CallHandle GrpcFleet::ReplaceAgent(const std::string& node, const v1::ReplaceAgentRequest& request,
                                   std::chrono::milliseconds timeout, Done<v1::ReplaceAgentReply> done) {
  using Replacing = UnaryCall<v1::ReplaceAgentRequest, v1::ReplaceAgentReply>;
  return Ask<v1::ReplaceAgentRequest, v1::ReplaceAgentReply>(
      node, static_cast<Replacing::Method>(&Async::ReplaceAgent), request, timeout, std::move(done));
}

CallHandle GrpcFleet::VerifyBackup(const std::string& node, const v1::VerifyBackupRequest& request,
                                   std::chrono::milliseconds timeout, Done<v1::VerifyBackupReply> done) {
  using Verifying = UnaryCall<v1::VerifyBackupRequest, v1::VerifyBackupReply>;
  return Ask<v1::VerifyBackupRequest, v1::VerifyBackupReply>(
      node, static_cast<Verifying::Method>(&Async::VerifyBackup), request, timeout, std::move(done));
}

CallHandle GrpcFleet::Run(const std::string& node, const v1::RunRequest& request,
                          std::chrono::milliseconds timeout, RunEvents events) {
  v1::Agent::Stub* stub = channels_->Find(node);
  if (stub == nullptr) return Answer<v1::Outcome>(node, NoSuchNode(node), std::move(events.done));
  auto call = std::make_shared<RunCall>(calls_, node, std::move(events));
  calls_->Add(call);
  call->Start(*stub, request, timeout);
  return std::make_unique<GrpcCallHandle>(std::move(call));
}

namespace {

// First what the agent has (BeginUpload), then the rest.
class UploadSteps final : public Call {
 public:
  CallHandle step;
};

}  // namespace

CallHandle GrpcFleet::Upload(const std::string& node, const v1::Authority& authority, const UploadFile& file,
                             std::chrono::milliseconds timeout, Transferred moved,
                             Done<v1::UploadReply> done) {
  UniqueFd fd(open(file.path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) {
    return Answer<v1::UploadReply>(
        node, absl::NotFoundError(absl::StrCat(file.path, ": open: ", std::strerror(errno))),
        std::move(done));
  }
  auto steps = std::make_unique<UploadSteps>();
  v1::BeginUploadRequest begin;
  begin.set_sha256(file.sha256);
  begin.set_bytes(file.bytes);
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  auto shared_fd = std::make_shared<UniqueFd>(std::move(fd));
  auto send_rest = [this, node, authority, file, deadline, moved = std::move(moved), done = std::move(done),
                    shared_fd, steps = steps.get()](absl::StatusOr<v1::BeginUploadReply> there) {
    v1::UploadReply whole;
    whole.set_bytes(file.bytes);
    if (!there.ok()) return done(there.status());
    if (there->complete()) return done(whole);
    if (there->offset() > file.bytes) {
      return done(
          absl::DataLossError(absl::StrCat("agent of ", node, " claims to have more of ", file.file_name,
                                           " than there is; remove its uploads folder")));
    }
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    auto call = std::make_shared<UploadCall>(calls_, node, file, std::move(*shared_fd), moved, done);
    calls_->Add(call);
    call->Start(*channels_->Find(node), authority, there->offset(), left);
    steps->step = std::make_unique<GrpcCallHandle>(std::move(call));
  };
  steps->step = Ask<v1::BeginUploadRequest, v1::BeginUploadReply>(
      node, static_cast<UnaryCall<v1::BeginUploadRequest, v1::BeginUploadReply>::Method>(&Async::BeginUpload),
      begin, timeout, std::move(send_rest));
  return steps;
}

CallHandle GrpcFleet::Download(const std::string& node, const v1::Authority& authority,
                               const DownloadFile& file, std::chrono::milliseconds timeout, Transferred moved,
                               Done<uint64_t> done) {
  v1::Agent::Stub* stub = channels_->Find(node);
  if (stub == nullptr) return Answer<uint64_t>(node, NoSuchNode(node), std::move(done));
  const std::string part = absl::StrCat(file.path, ".part");
  UniqueFd fd(open(part.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  struct stat info {};
  if (!fd.valid() || fstat(fd.get(), &info) != 0) {
    return Answer<uint64_t>(node, absl::InternalError(absl::StrCat(part, ": open: ", std::strerror(errno))),
                            std::move(done));
  }
  v1::DownloadRequest request;
  *request.mutable_authority() = authority;
  request.set_backup_id(file.backup_id);
  request.set_file_name(file.file_name);
  request.set_offset(static_cast<uint64_t>(info.st_size));
  auto call = std::make_shared<DownloadCall>(calls_, node, file.path, std::move(fd), std::move(moved),
                                             std::move(done));
  calls_->Add(call);
  call->Start(*stub, request, timeout);
  return std::make_unique<GrpcCallHandle>(std::move(call));
}

}  // namespace k3saga::fleet
