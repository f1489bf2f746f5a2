#pragma once

#include <grpcpp/grpcpp.h>

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "k3saga/v1/control.pb.h"

namespace k3saga::control {

// One client of Watch. The loop fills its outbox a little at a time; gRPC's threads empty it. A client that
// reads slowly costs one outbox: events are taken from the rollout's log when it is ready for them, and of
// progress only the latest per operation is kept.
class Watcher final : public grpc::ServerWriteReactor<v1::WatchReply> {
 public:
  // `hungry` is called on gRPC's threads when the outbox has run empty; `gone` when gRPC is done with the
  // watcher, which it may destroy.
  Watcher(uint64_t after_event, std::function<void()> hungry, std::function<void()> gone)
      : next_event_(after_event), hungry_(std::move(hungry)), gone_(std::move(gone)) {}

  // The loop's side. `events`: all of the rollout's.
  void Feed(const std::vector<v1::Event>& events);
  void Note(const v1::NodeProgress& progress) { progress_[progress.sequence()] = progress; }
  // What is left is sent, then the stream ends with `status`.
  void Close(const std::vector<v1::Event>& events, const grpc::Status& status);

 private:
  void OnWriteDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override;

  void Append(const std::vector<v1::Event>& events, size_t most);
  // With mutex_ held. Whether the loop has to be asked for more.
  bool Pump();

  // The loop's.
  uint64_t next_event_;  // index into the rollout's events
  std::map<uint64_t, v1::NodeProgress> progress_;

  const std::function<void()> hungry_;
  const std::function<void()> gone_;

  std::mutex mutex_;
  std::deque<v1::WatchReply> outbox_;  // mutex_, as all below; the front is being written
  bool writing_ = false;
  bool closing_ = false;
  bool finished_ = false;
  grpc::Status end_;
};

}  // namespace k3saga::control
