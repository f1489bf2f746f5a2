#include "coordinator/control/control_client.h"

#include <grpcpp/grpcpp.h>

#include "coordinator/control/socket_path.h"
#include "k3saga/v1/control.grpc.pb.h"

namespace k3saga::control {
namespace {

absl::Status ToStatus(const grpc::Status& status, const std::string& path) {
  if (status.ok()) return absl::OkStatus();
  const std::string what = absl::StrCat(path, ": ", status.error_message());
  // Nobody cancels on this side: the other one was going away when the call came.
  if (status.error_code() == grpc::StatusCode::CANCELLED) return absl::UnavailableError(what);
  return absl::Status(static_cast<absl::StatusCode>(status.error_code()), what);
}

}  // namespace

struct ControlClient::Impl {
  std::string path;
  std::unique_ptr<v1::Control::Stub> stub;
};

ControlClient::ControlClient(std::string_view socket_path) : impl_(std::make_unique<Impl>()) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
  impl_->path = std::string(socket_path);
  impl_->stub = v1::Control::NewStub(
      grpc::CreateCustomChannel(SocketTarget(socket_path), grpc::InsecureChannelCredentials(), arguments));
}
ControlClient::~ControlClient() = default;

absl::StatusOr<v1::AboutReply> ControlClient::About(std::chrono::milliseconds timeout) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + timeout);
  v1::AboutReply reply;
  const grpc::Status status = impl_->stub->About(&context, v1::AboutRequest(), &reply);
  if (!status.ok()) return ToStatus(status, impl_->path);
  return reply;
}

absl::StatusOr<v1::CommandReply> ControlClient::Command(v1::CommandReceived::Command command,
                                                        std::string_view by,
                                                        std::chrono::milliseconds timeout) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + timeout);
  v1::CommandRequest request;
  request.set_command(command);
  request.set_by(std::string(by));
  v1::CommandReply reply;
  const grpc::Status status = impl_->stub->Command(&context, request, &reply);
  if (!status.ok()) return ToStatus(status, impl_->path);
  return reply;
}

absl::Status ControlClient::Watch(uint64_t after_event,
                                  const std::function<bool(const v1::WatchReply&)>& heard) {
  grpc::ClientContext context;
  v1::WatchRequest request;
  request.set_after_event(after_event);
  auto reader = impl_->stub->Watch(&context, request);
  v1::WatchReply reply;
  bool enough = false;
  while (!enough && reader->Read(&reply)) enough = !heard(reply);
  if (enough) context.TryCancel();
  const grpc::Status status = reader->Finish();
  return enough ? absl::OkStatus() : ToStatus(status, impl_->path);
}

}  // namespace k3saga::control
