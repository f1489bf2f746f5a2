#include "agent/service/agent.h"

#include <absl/strings/str_cat.h>
#include <grpcpp/grpcpp.h>
#include <unistd.h>

#include <csignal>
#include <memory>
#include <stop_token>
#include <thread>
#include <utility>

#include "agent/health/metrics.h"
#include "agent/health/monitor.h"
#include "agent/operations/operation_process.h"
#include "agent/operations/process_lock.h"
#include "agent/operations/supervisor.h"
#include "agent/operations/worker_pool.h"
#include "agent/replace/replacements.h"
#include "agent/replace/replacer.h"
#include "agent/service/effects.h"
#include "agent/service/footprint.h"
#include "agent/service/launcher.h"
#include "agent/service/node_parts.h"
#include "agent/service/node_reader.h"
#include "agent/service/service.h"
#include "agent/service/supervision.h"
#include "agent/service/transfer_store.h"
#include "common/host/event_loop.h"
#include "common/host/files.h"
#include "common/host/log.h"
#include "common/status_macros.h"
#include "common/tls/credentials.h"
#include "common/tls/identity.h"

namespace k3saga::service {
namespace {

using std::chrono::milliseconds;

// Calls that look at the node are few; commits and disk writes are short.
constexpr size_t kCallThreads = 8;
constexpr milliseconds kForOperations{8'000};
constexpr milliseconds kForStreams{2'000};
constexpr milliseconds kForLooking{4'000};
constexpr milliseconds kBetweenRests{10'000};

// Set while the loop runs; Stop is async-signal-safe.
EventLoop* signalled_loop = nullptr;

void OnSignal(int) {
  if (signalled_loop != nullptr) signalled_loop->Stop();
}

void StopOnSignals(EventLoop* loop) {
  signalled_loop = loop;
  struct sigaction action {};
  action.sa_handler = OnSignal;
  sigaction(SIGTERM, &action, nullptr);
  sigaction(SIGINT, &action, nullptr);
  struct sigaction ignore {};
  ignore.sa_handler = SIG_IGN;
  sigaction(SIGPIPE, &ignore, nullptr);
}

absl::StatusOr<tls::Identity> LoadOwnIdentity(const AgentConfig& config, const Clock& clock) {
  K3SAGA_ASSIGN_OR_RETURN(tls::Identity identity,
                          tls::LoadIdentity(config.identity, clock.WallUnixMillis() / 1000));
  if (identity.self.role == tls::PeerRole::kAgent && identity.self.name == config.node) return identity;
  return absl::InvalidArgumentError(
      absl::StrCat(config.identity.certificate, ": the certificate is that of ", tls::Describe(identity.self),
                   ", this agent is agent ", config.node, " (", config.file, "); issue one for this node"));
}

std::string LowerCase(std::string text) {
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

health::NodeSample Sample(NodeParts& parts) {
  const std::shared_ptr<const node::Installation> k3s = parts.local.Installation();
  const node::Installation& installation = *k3s;
  health::NodeSample sample;
  sample.k3s_version = parts.local.RunningVersion();
  if (installation.role == v1::ROLE_SERVER) sample.role = "server";
  if (installation.role == v1::ROLE_WORKER) sample.role = "worker";
  if (installation.found()) sample.checks = parts.checks->Look(kForLooking);
  if (installation.certificate_expiry_unix > 0) {
    sample.certificate_expiry["k3s"] = installation.certificate_expiry_unix;
  }
  return sample;
}

class AgentReplacing final : public Replacing {
 public:
  AgentReplacing(NodeParts* parts, operations::Journal* journal, const std::string& program)
      : host_(replace::MakeAgentHost(parts->config.host, parts->systemd.get(), program)),
        record_file_(parts->config.state),
        replacements_({host_.get(), parts->systemd.get(), &parts->uploads, journal, &record_file_,
                       parts->config.node, program, parts->config.file, static_cast<uint32_t>(getpid())}) {}

  v1::ReplaceAgentReply Replace(const v1::ReplaceAgentRequest& request) override {
    return replacements_.Ask(request);
  }

 private:
  const std::unique_ptr<replace::AgentHost> host_;
  const replace::RecordFile record_file_;
  replace::Replacements replacements_;
};

// Everything a serving agent is made of, in the order in which it is made; taken apart in the reverse one.
class Agent {
 public:
  Agent(const AgentConfig& config, tls::Identity identity, std::unique_ptr<operations::Journal> journal,
        const std::string& program)
      : identity_(std::move(identity)),
        journal_(std::move(journal)),
        parts_(config),
        effects_(&parts_, journal_.get()),
        launcher_({parts_.systemd.get(), program, config.file, config.OperationLockFile()}),
        monitor_({&parts_.local, parts_.checks.get(), parts_.etcd.get(), parts_.kube.get(), &parts_.clock,
                  config.node}),
        metrics_([this] {
          health::NodeSample sample = Sample(parts_);
          sample.certificate_expiry["agent"] = identity_.not_after_unix;
          return sample;
        }),
        reader_(&parts_, &monitor_, journal_.get()),
        transfers_(&parts_.uploads, &parts_.backups),
        replacing_(&parts_, journal_.get(), program),
        calls_(kCallThreads),
        supervisor_(SupervisorParts()),
        service_({identity_.self.cluster, journal_.get(), &supervisor_, &reader_, &transfers_, &replacing_,
                  &calls_}) {}

  absl::Status Start() {
    const AgentConfig& config = parts_.config;
    K3SAGA_RETURN_IF_ERROR(supervisor_.Start());
    if (!config.metrics.empty()) {
      K3SAGA_ASSIGN_OR_RETURN(const int port, metrics_.Serve(config.metrics));
      LogInfo(absl::StrCat("metrics on port ", port));
    }
    grpc::ServerBuilder builder;
    ConfigureServer(builder);
    int port = 0;
    builder.AddListeningPort(config.listen, tls::MakeServerCredentials(identity_), &port);
    builder.RegisterService(&service_);
    server_ = builder.BuildAndStart();
    if (server_ == nullptr || port == 0) {
      return absl::UnavailableError(absl::StrCat(
          "cannot listen on ", config.listen, "; is another agent running, or the address not this node's?"));
    }
    LogInfo(absl::StrCat("agent ", config.node, " of cluster ", identity_.self.cluster, " serves on port ",
                         port, ", journal ", journal_->id()));
    return absl::OkStatus();
  }

  // The journal answers: what the watchdog is fed by.
  bool Alive() { return journal_->DataVersion().ok(); }

  // Nothing asked of it since the last call.
  bool Idle() {
    return supervisor_.Idle() && service_.Calls() == std::exchange(calls_seen_, service_.Calls());
  }

  // Closes connections that nobody uses and gives memory back.
  void Rest() {
    parts_.etcd->Rest();
    parts_.kube->Rest();
    parts_.checks->Rest();
    GiveMemoryBack();
  }

  // False: something did not end in time and may still use this object.
  bool Stop() {
    const bool settled = supervisor_.Shutdown(kForOperations);
    server_->Shutdown(std::chrono::system_clock::now() + kForStreams);
    return calls_.WaitUntilIdle(kForStreams) && settled;
  }

 private:
  operations::Supervisor::Parts SupervisorParts() {
    operations::Supervisor::Parts parts;
    parts.journal = journal_.get();
    parts.effects = &effects_;
    parts.launcher = &launcher_;
    parts.clock = &parts_.clock;
    parts.pauser = &parts_.pauser;
    parts.boot_id = parts_.boot_id;
    parts.on_fence = [this](const operations::Fence& fence) {
      monitor_.ClaimHeld(fence.hold == operations::Fence::Hold::kHeld);
    };
    parts.on_settled = [this](const operations::Record& record, milliseconds took) {
      metrics_.OperationSettled(operations::VerbName(record.verb),
                                LowerCase(v1::Outcome::Code_Name(record.outcome.code())), took);
      const v1::InstallResult& install = record.outcome.install();
      if (install.down_ms() > 0) metrics_.UpgradeDown(milliseconds(install.down_ms()));
    };
    return parts;
  }

  const tls::Identity identity_;
  const std::unique_ptr<operations::Journal> journal_;
  NodeParts parts_;
  NodeEffects effects_;
  SystemdLauncher launcher_;
  health::ReadinessMonitor monitor_;
  health::Metrics metrics_;
  NodeReader reader_;
  TransferStore transfers_;
  AgentReplacing replacing_;
  operations::WorkerPool calls_;
  operations::Supervisor supervisor_;
  AgentService service_;
  uint64_t calls_seen_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

void FeedWatchdog(EventLoop& loop, Agent& agent, milliseconds every) {
  if (agent.Alive()) NotifyAlive();
  loop.After(every, [&loop, &agent, every] { FeedWatchdog(loop, agent, every); });
}

// Once after starting and once after each time of work: an agent is idle almost all its life.
void RestWhenIdle(EventLoop& loop, Agent& agent, bool worked) {
  const bool idle = agent.Idle();
  if (idle && worked) agent.Rest();
  loop.After(kBetweenRests, [&loop, &agent, idle] { RestWhenIdle(loop, agent, !idle); });
}

}  // namespace

absl::Status Serve(const AgentConfig& config, const std::string& program) {
  SystemClock clock;
  K3SAGA_ASSIGN_OR_RETURN(tls::Identity identity, LoadOwnIdentity(config, clock));
  K3SAGA_RETURN_IF_ERROR(MakeDirectories(config.state.state));
  const auto only_one =
      operations::ProcessLock::Acquire(JoinPath(config.state.state, "agent.lock"), milliseconds(0));
  if (absl::IsUnavailable(only_one.status())) {
    return absl::UnavailableError(absl::StrCat("another agent runs on ", config.state.state));
  }
  if (!only_one.ok()) return only_one.status();
  K3SAGA_ASSIGN_OR_RETURN(auto journal, operations::Journal::Open(config.JournalFile(), {}, &clock));

  EventLoop loop;
  StopOnSignals(&loop);
  auto agent = std::make_unique<Agent>(config, std::move(identity), std::move(journal), program);
  K3SAGA_RETURN_IF_ERROR(agent->Start());
  NotifyReady(absl::StrCat("serving ", config.node));
  if (const auto interval = WatchdogInterval()) FeedWatchdog(loop, *agent, *interval / 2);
  RestWhenIdle(loop, *agent, true);
  loop.Run();

  LogInfo("going down");
  NotifyStopping();
  if (!agent->Stop()) {
    // An effect that does not listen: its phase is in the journal, the next start runs it again.
    LogWarning("an operation did not stop in time; it goes on at the next start");
    std::quick_exit(0);
  }
  return absl::OkStatus();
}

absl::Status RunOperation(const AgentConfig& config, const std::string& rollout, uint64_t sequence,
                          uint32_t attempt) {
  v1::OperationId id;
  id.set_rollout(rollout);
  id.set_sequence(sequence);
  id.set_attempt(attempt);

  SystemClock clock;
  operations::Journal::Options existing;
  existing.create = false;
  K3SAGA_ASSIGN_OR_RETURN(const auto journal,
                          operations::Journal::Open(config.JournalFile(), existing, &clock));
  NodeParts parts(config);
  NodeEffects effects(&parts, journal.get());

  EventLoop loop;
  StopOnSignals(&loop);
  std::stop_source stop;
  absl::Status result;
  std::jthread worker([&] {
    operations::OperationProcess process;
    process.journal = journal.get();
    process.effects = &effects;
    process.clock = &parts.clock;
    process.pauser = &parts.pauser;
    process.boot_id = parts.boot_id;
    process.lock_path = config.OperationLockFile();
    result = process.Run(id, stop.get_token());
    loop.Stop();
  });
  loop.Run();
  stop.request_stop();
  worker.join();
  return result;
}

absl::Status RunReplacement(const AgentConfig& config, const std::string& program) {
  NodeParts parts(config);
  const std::unique_ptr<replace::AgentHost> host =
      replace::MakeAgentHost(config.host, parts.systemd.get(), program);
  const replace::RecordFile record_file(config.state);
  const auto record = record_file.Load();
  if (!record) return absl::NotFoundError("no replacement of this agent was begun");

  EventLoop loop;
  StopOnSignals(&loop);
  std::stop_source stop;
  absl::Status result;
  std::jthread worker([&] {
    replace::Replacer replacer;
    replacer.record_file = &record_file;
    replacer.host = host.get();
    replacer.clock = &parts.clock;
    replacer.pauser = &parts.pauser;
    replacer.node = config.node;
    replacer.file = parts.uploads.Find(node::kAgentUploads, record->request().file_name()).value_or("");
    replacer.lock_path = config.OperationLockFile();
    result = replacer.Run(stop.get_token());
    loop.Stop();
  });
  loop.Run();
  stop.request_stop();
  worker.join();
  return result;
}

}  // namespace k3saga::service
