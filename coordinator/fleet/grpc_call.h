#pragma once

#include <absl/status/status.h>
#include <grpcpp/grpcpp.h>

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_set>
#include <utility>

#include "common/host/loop.h"
#include "coordinator/fleet/fleet.h"
#include "k3saga/v1/agent.grpc.pb.h"

// How a call of the fleet lives between two threads. gRPC's callback threads only move bytes and post; the
// caller's functions run on the loop. A GrpcCall keeps itself alive until gRPC is done with it and the loop
// has heard so; therefore its ClientContext, which holds on to the channel, is always destroyed on the loop's
// thread (gRPC corrupts the heap when a callback destroys the last channel).
namespace k3saga::fleet {

// OK, or the error with the agent's name in front.
absl::Status StatusOf(const grpc::Status& status, const std::string& node);

class GrpcCall;

// The calls that gRPC is not done with.
class CallRegistry {
 public:
  explicit CallRegistry(Loop& loop) : loop_(loop) {}

  Loop& loop() { return loop_; }

  // Loop's thread.
  void Add(const std::shared_ptr<GrpcCall>& call);
  void Remove(GrpcCall* call);
  // Cancels all of them and waits until gRPC is done with the last one. Nothing is delivered any more.
  void CloseAll();

  // Any thread: gRPC will not touch that call again.
  void Finished();

 private:
  Loop& loop_;
  std::unordered_set<std::shared_ptr<GrpcCall>> calls_;

  std::mutex mutex_;
  std::condition_variable none_left_;
  size_t running_ = 0;  // guarded by mutex_
};

class GrpcCall : public std::enable_shared_from_this<GrpcCall> {
 public:
  GrpcCall(std::shared_ptr<CallRegistry> registry, std::string node)
      : registry_(std::move(registry)), node_(std::move(node)) {}
  virtual ~GrpcCall() = default;
  GrpcCall(const GrpcCall&) = delete;
  GrpcCall& operator=(const GrpcCall&) = delete;

  // Nobody wants to hear of it any more. Loop's thread.
  void Abandon() {
    listening_ = false;
    Stop();
  }

  // Ends it soon; for calls that wait for the loop: goes on without it. Loop's thread.
  virtual void Stop() { context_.TryCancel(); }

 protected:
  void SetTimeout(std::chrono::milliseconds timeout) {
    context_.set_deadline(std::chrono::system_clock::now() + timeout);
  }

  // Any thread. Runs `work` on the loop if the call and whoever listens are still there.
  template <typename Work>
  void PostIfHeard(Work work) {
    registry_->loop().Post([weak = weak_from_this(), work = std::move(work)] {
      if (auto self = weak.lock(); self != nullptr && self->listening_) work();
    });
  }

  // The last thing a gRPC thread does with a call: `work` (on the loop, if heard), then the end.
  template <typename Work>
  void PostLast(Work work) {
    // A copy: this call may be gone as soon as the loop hears.
    const std::shared_ptr<CallRegistry> registry = registry_;
    registry->loop().Post([weak = weak_from_this(), work = std::move(work)] {
      auto self = weak.lock();
      if (self == nullptr) return;
      if (self->listening_) work();
      self->registry_->Remove(self.get());
    });
    registry->Finished();
  }

  const std::string& node() const { return node_; }
  bool listening() const { return listening_; }

  grpc::ClientContext context_;

 private:
  const std::shared_ptr<CallRegistry> registry_;
  const std::string node_;
  bool listening_ = true;  // loop's thread
};

// What the caller holds.
class GrpcCallHandle final : public Call {
 public:
  explicit GrpcCallHandle(std::shared_ptr<GrpcCall> call) : call_(std::move(call)) {}
  ~GrpcCallHandle() override { call_->Abandon(); }

 private:
  std::shared_ptr<GrpcCall> call_;
};

// Where a test may let the coordinator die around a question and its answer.
void AboutToAsk();
void HasAsked();
void WasAnswered();

// One question, one answer.
template <typename Request, typename Reply>
class UnaryCall final : public GrpcCall {
 public:
  using Method = void (v1::Agent::StubInterface::async_interface::*)(grpc::ClientContext*, const Request*,
                                                                     Reply*,
                                                                     std::function<void(grpc::Status)>);

  UnaryCall(std::shared_ptr<CallRegistry> registry, std::string node, Done<Reply> done)
      : GrpcCall(std::move(registry), std::move(node)), done_(std::move(done)) {}

  void Start(v1::Agent::Stub& stub, Method method, const Request& request,
             std::chrono::milliseconds timeout) {
    SetTimeout(timeout);
    request_ = request;
    AboutToAsk();
    (stub.async()->*method)(&context_, &request_, &reply_, [this](const grpc::Status& status) {
      PostLast([this, status] {
        WasAnswered();
        if (absl::Status error = StatusOf(status, node()); !error.ok()) {
          done_(std::move(error));
        } else {
          done_(std::move(reply_));
        }
      });
    });
    HasAsked();
  }

 private:
  Request request_;
  Reply reply_;
  Done<Reply> done_;
};

// An operation followed to its outcome. The next message is read when the loop has dealt with the last one,
// so a talkative agent waits instead of filling our memory.
class RunCall final : public GrpcCall, private grpc::ClientReadReactor<v1::RunReply> {
 public:
  RunCall(std::shared_ptr<CallRegistry> registry, std::string node, RunEvents events)
      : GrpcCall(std::move(registry), std::move(node)), events_(std::move(events)) {}

  void Start(v1::Agent::Stub& stub, const v1::RunRequest& request, std::chrono::milliseconds timeout);
  void Stop() override;

 private:
  void OnReadDone(bool ok) override;
  void OnDone(const grpc::Status& status) override;

  void Deliver();
  void ReadOn();
  void Finish(absl::StatusOr<v1::Outcome> outcome);

  v1::RunRequest request_;
  v1::RunReply reply_;
  RunEvents events_;
  bool finished_ = false;  // `done` was told; loop's thread

  std::mutex mutex_;
  bool undelivered_ = false;  // a message waits for the loop; guarded by mutex_
  bool stopped_ = false;      // messages are read and dropped; guarded by mutex_
};

}  // namespace k3saga::fleet
