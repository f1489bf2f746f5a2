#pragma once

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <functional>
#include <memory>
#include <vector>

namespace k3saga::etcd {

// Some unary calls at once, each with the round's deadline; used by one thread, which waits in Finish. No
// callback runs on a thread of gRPC's, so channels may be dropped right after.
class Round {
 public:
  explicit Round(std::chrono::milliseconds timeout) : deadline_(std::chrono::system_clock::now() + timeout) {}
  ~Round() { Finish(); }
  Round(const Round&) = delete;
  Round& operator=(const Round&) = delete;

  // `prepare` is a stub's PrepareAsync method bound to its stub; `done` hears (status, reply) within Finish.
  template <typename Reply, typename Prepare>
  void Add(Prepare prepare, std::function<void(const grpc::Status&, const Reply&)> done) {
    auto call = std::make_unique<Call<Reply>>();
    call->context.set_deadline(deadline_);
    call->done = std::move(done);
    call->reader = prepare(&call->context, &queue_);
    call->reader->StartCall();
    call->reader->Finish(&call->reply, &call->status, call.get());
    calls_.push_back(std::move(call));
  }

  // Waits for all of them: at most until the deadline.
  void Finish() {
    if (finished_) {
      return;
    }
    finished_ = true;
    void* tag = nullptr;
    bool ok = false;
    for (size_t left = calls_.size(); left > 0 && queue_.Next(&tag, &ok); --left) {
      static_cast<AnyCall*>(tag)->Done();
    }
    queue_.Shutdown();
    while (queue_.Next(&tag, &ok)) {
    }
  }

 private:
  struct AnyCall {
    virtual ~AnyCall() = default;
    virtual void Done() = 0;
  };
  template <typename Reply>
  struct Call final : AnyCall {
    void Done() override { done(status, reply); }
    grpc::ClientContext context;
    grpc::Status status;
    Reply reply;
    std::unique_ptr<grpc::ClientAsyncResponseReader<Reply>> reader;
    std::function<void(const grpc::Status&, const Reply&)> done;
  };

  const std::chrono::system_clock::time_point deadline_;
  grpc::CompletionQueue queue_;
  std::vector<std::unique_ptr<AnyCall>> calls_;
  bool finished_ = false;
};

}  // namespace k3saga::etcd
