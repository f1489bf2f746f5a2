#include "coordinator/control/control_server.h"

#include <grpcpp/grpcpp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <list>
#include <map>
#include <mutex>
#include <utility>

#include "common/host/crash_point.h"
#include "coordinator/control/socket_path.h"
#include "coordinator/control/watcher.h"
#include "k3saga/v1/control.grpc.pb.h"

namespace k3saga::control {
namespace {

// How long watchers may take to hear the last events when the rollout's process leaves.
constexpr std::chrono::milliseconds kParting(1'000);

CrashPoint kCommandReceived("control.command_received");
CrashPoint kCommandAnswering("control.command_answering");

grpc::Status Leaving() {
  return grpc::Status(grpc::StatusCode::UNAVAILABLE, "the rollout's process is starting or leaving");
}

// A question that the loop answers, or the end of the server does.
class Question {
 public:
  explicit Question(grpc::ServerUnaryReactor* reactor) : reactor_(reactor) {}
  void Answer(const grpc::Status& status) {
    if (!answered_.exchange(true)) reactor_->Finish(status);
  }

 private:
  grpc::ServerUnaryReactor* const reactor_;
  std::atomic<bool> answered_{false};
};

}  // namespace

class ControlServer::Service final : public v1::Control::CallbackService {
 public:
  Service(Loop& loop, std::string path)
      : loop_(loop), path_(std::move(path)), alive_(std::make_shared<bool>(true)) {}
  ~Service() override { Stop(); }

  absl::Status Start() {
    grpc::ServerBuilder builder;
    builder.AddListeningPort(SocketTarget(path_), grpc::InsecureServerCredentials());
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
    if (server_ == nullptr)
      return absl::FailedPreconditionError(absl::StrCat(path_, ": cannot listen there"));
    // The folder keeps others out until here, and afterwards too.
    if (chmod(path_.c_str(), 0600) != 0) {
      return absl::FailedPreconditionError(absl::StrCat(path_, ": chmod: ", std::strerror(errno)));
    }
    return absl::OkStatus();
  }

  void Serve(driver::Driver* driver) { driver_ = driver; }

  void FeedAll() {
    if (!Ready()) return;
    for (const auto& watcher : Watchers()) watcher->Feed(driver_->events());
  }
  void NoteAll(const v1::NodeProgress& progress) {
    for (const auto& watcher : Watchers()) watcher->Note(progress);
    FeedAll();
  }

  grpc::ServerUnaryReactor* About(grpc::CallbackServerContext* context, const v1::AboutRequest*,
                                  v1::AboutReply* reply) override {
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    Ask(reactor, [this, reply](const std::shared_ptr<Question>& question) {
      reply->set_rollout(driver_->state().rollout());
      reply->set_holder(driver_->state().holder);
      reply->set_pid(getpid());
      question->Answer(grpc::Status::OK);
    });
    return reactor;
  }

  grpc::ServerUnaryReactor* Command(grpc::CallbackServerContext* context, const v1::CommandRequest* request,
                                    v1::CommandReply* reply) override {
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    Ask(reactor, [this, request, reply](const std::shared_ptr<Question>& question) {
      kCommandReceived.MaybeDie();
      driver_->Command(request->command(), request->by(),
                       [alive = alive_, question, reply](const absl::Status& status) {
                         if (!*alive) return;  // answered by the end of the server
                         kCommandAnswering.MaybeDie();
                         reply->set_accepted(status.ok());
                         reply->set_message(std::string(status.message()));
                         question->Answer(grpc::Status::OK);
                       });
    });
    return reactor;
  }

  grpc::ServerWriteReactor<v1::WatchReply>* Watch(grpc::CallbackServerContext*,
                                                  const v1::WatchRequest* request) override {
    std::lock_guard lock(mutex_);
    const uint64_t id = next_watcher_++;
    auto watcher = std::make_shared<Watcher>(
        request->after_event(), [this, id] { PostFeed(id); },
        [this, id] {
          std::lock_guard gone_lock(mutex_);
          watchers_.erase(id);
        });
    watchers_[id] = watcher;
    if (closing_) {
      watcher->Close({}, Leaving());
    } else {
      PostFeed(id);
    }
    return watcher.get();
  }

 private:
  bool Ready() const { return driver_ != nullptr && driver_->state().created(); }

  std::vector<std::shared_ptr<Watcher>> Watchers() {
    std::lock_guard lock(mutex_);
    std::vector<std::shared_ptr<Watcher>> watchers;
    for (const auto& [id, watcher] : watchers_) watchers.push_back(watcher);
    return watchers;
  }

  // gRPC's threads.
  void PostFeed(uint64_t id) {
    loop_.Post([this, alive = alive_, id] {
      if (!*alive) return;
      std::shared_ptr<Watcher> watcher;
      {
        std::lock_guard lock(mutex_);
        const auto found = watchers_.find(id);
        if (found == watchers_.end()) return;
        watcher = found->second;
      }
      if (Ready()) {
        watcher->Feed(driver_->events());
      } else {
        watcher->Close({}, Leaving());
      }
    });
  }

  void Ask(grpc::ServerUnaryReactor* reactor, std::function<void(const std::shared_ptr<Question>&)> work) {
    auto question = std::make_shared<Question>(reactor);
    {
      std::lock_guard lock(mutex_);
      if (closing_) {
        question->Answer(Leaving());
        return;
      }
      questions_.remove_if([](const std::weak_ptr<Question>& each) { return each.expired(); });
      questions_.push_back(question);
    }
    loop_.Post([this, alive = alive_, question, work = std::move(work)] {
      if (!*alive) return;
      if (Ready()) {
        work(question);
      } else {
        question->Answer(Leaving());
      }
    });
  }

  void Stop() {
    *alive_ = false;
    if (server_ == nullptr) return;
    std::list<std::weak_ptr<Question>> questions;
    {
      std::lock_guard lock(mutex_);
      closing_ = true;
      questions.swap(questions_);
    }
    for (const auto& each : questions) {
      if (const auto question = each.lock()) question->Answer(Leaving());
    }
    const std::vector<v1::Event> none;
    const std::vector<v1::Event>& events = Ready() ? driver_->events() : none;
    for (const auto& watcher : Watchers()) watcher->Close(events, Leaving());
    server_->Shutdown(std::chrono::system_clock::now() + kParting);
    unlink(path_.c_str());
  }

  Loop& loop_;
  const std::string path_;
  const std::shared_ptr<bool> alive_;  // the loop's
  driver::Driver* driver_ = nullptr;   // the loop's
  std::unique_ptr<grpc::Server> server_;

  std::mutex mutex_;
  bool closing_ = false;                          // mutex_, as all below
  std::list<std::weak_ptr<Question>> questions_;  // those not answered yet, and some that are
  std::map<uint64_t, std::shared_ptr<Watcher>> watchers_;
  uint64_t next_watcher_ = 1;
};

ControlServer::ControlServer(std::unique_ptr<Service> service) : service_(std::move(service)) {}
ControlServer::~ControlServer() = default;

absl::StatusOr<std::unique_ptr<ControlServer>> ControlServer::Listen(Loop& loop,
                                                                     const std::string& socket_path) {
  auto service = std::make_unique<Service>(loop, socket_path);
  if (absl::Status status = service->Start(); !status.ok()) return status;
  return std::unique_ptr<ControlServer>(new ControlServer(std::move(service)));
}

void ControlServer::Serve(driver::Driver* driver) { service_->Serve(driver); }

void ControlServer::OnEvents(uint64_t, const std::vector<v1::Event>&, const core::State&) {
  service_->FeedAll();
}

void ControlServer::OnProgress(uint64_t sequence, const std::string& node, const v1::Progress& progress) {
  v1::NodeProgress message;
  message.set_sequence(sequence);
  message.set_node(node);
  *message.mutable_progress() = progress;
  service_->NoteAll(message);
}

}  // namespace k3saga::control
