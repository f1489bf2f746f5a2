// What a fleet of agents costs the coordinator: N fake agents in this process, each behind its own mutual TLS
// on the loopback; facts asked of all of them cold and warm, then an operation in flight on every one.
#include <absl/strings/str_format.h>
#include <absl/synchronization/mutex.h>
#include <grpcpp/grpcpp.h>
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <filesystem>
#include <fstream>

#include "common/host/event_loop.h"
#include "common/tls/credentials.h"
#include "coordinator/fleet/grpc_fleet.h"
#include "coordinator/fleet/rounds.h"
#include "k3saga/v1/agent.grpc.pb.h"

namespace k3saga {
namespace {

using std::chrono::duration;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds kPatience(120'000);

// An operation that never settles: accepted, then silence until the caller leaves.
class EndlessRun final : public grpc::ServerWriteReactor<v1::RunReply> {
 public:
  EndlessRun() {
    reply_.mutable_accepted()->set_journal_id("bench");
    StartWrite(&reply_);
  }
  void OnWriteDone(bool) override {}
  void OnCancel() override { Finish(grpc::Status::CANCELLED); }
  void OnDone() override { delete this; }

 private:
  v1::RunReply reply_;
};

class BenchAgent final : public v1::Agent::CallbackService {
 public:
  BenchAgent(const tls::CertificateAndKey& authority, const std::string& node) : node_(node) {
    const tls::Peer peer{"bench", tls::PeerRole::kAgent, node};
    const tls::CertificateAndKey issued = *tls::Issue(authority, peer, time(nullptr), 1);
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0",
                             tls::MakeServerCredentials({authority.certificate_pem, issued.certificate_pem,
                                                         issued.key_pem, peer, 0}),
                             &port_);
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
  }
  ~BenchAgent() override { server_->Shutdown(std::chrono::system_clock::now()); }

  fleet::AgentAddress address() const { return {node_, absl::StrCat("ipv4:127.0.0.1:", port_)}; }

  grpc::ServerUnaryReactor* GetFacts(grpc::CallbackServerContext* context, const v1::GetFactsRequest*,
                                     v1::NodeFacts* facts) override {
    facts->set_name(node_);
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    reactor->Finish(grpc::Status::OK);
    return reactor;
  }
  grpc::ServerWriteReactor<v1::RunReply>* Run(grpc::CallbackServerContext*, const v1::RunRequest*) override {
    return new EndlessRun;
  }

 private:
  const std::string node_;
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

double CpuSeconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

double ResidentMiB() {
  std::ifstream statm("/proc/self/statm");
  long size = 0, resident = 0;
  statm >> size >> resident;
  return static_cast<double>(resident) * 4096 / (1 << 20);
}

size_t Threads() {
  const std::filesystem::directory_iterator tasks("/proc/self/task");
  return static_cast<size_t>(std::distance(begin(tasks), end(tasks)));
}

struct Measure {
  steady_clock::time_point wall = steady_clock::now();
  double cpu = CpuSeconds();

  void Print(const char* what, size_t nodes) const {
    const double seconds = duration<double>(steady_clock::now() - wall).count();
    const double cpu_used = CpuSeconds() - cpu;
    absl::PrintF("%-28s %8.2f s  %8.2f s cpu (both ends)  %6.2f ms cpu a node\n", what, seconds, cpu_used,
                 cpu_used * 1e3 / static_cast<double>(nodes));
  }
};

bool Gather(EventLoop& loop, fleet::Fleet& fleet, const std::vector<std::string>& nodes) {
  size_t answered = 0;
  fleet::FactsRound round;
  round.nodes = nodes;
  round.timeout = kPatience;
  const fleet::CallHandle call =
      fleet::GatherFacts(fleet, std::move(round), [&](const std::vector<fleet::FactsAnswer>& answers) {
        for (const fleet::FactsAnswer& answer : answers) answered += answer.facts.ok() ? 1 : 0;
        loop.Stop();
      });
  loop.Run();
  return answered == nodes.size();
}

bool RunEverywhere(EventLoop& loop, fleet::Fleet& fleet, const std::vector<std::string>& nodes,
                   std::vector<fleet::CallHandle>& calls) {
  size_t accepted = 0;
  size_t broken = 0;
  for (const std::string& node : nodes) {
    fleet::RunEvents events{[&](const v1::RunReply::Accepted&) {
                              if (++accepted == nodes.size()) loop.Stop();
                            },
                            [](const v1::Progress&) {},
                            [&](const absl::StatusOr<v1::Outcome>&) {
                              ++broken;
                              loop.Stop();
                            }};
    calls.push_back(fleet.Run(node, v1::RunRequest(), kPatience, std::move(events)));
  }
  loop.Run();
  return broken == 0;
}

int Main(size_t count) {
  const tls::CertificateAndKey authority = *tls::CreateAuthority("bench", time(nullptr), 1);
  std::vector<std::unique_ptr<BenchAgent>> agents;
  std::vector<fleet::AgentAddress> addresses;
  std::vector<std::string> nodes;
  for (size_t i = 0; i < count; ++i) {
    nodes.push_back(absl::StrCat("n", i));
    agents.push_back(std::make_unique<BenchAgent>(authority, nodes.back()));
    addresses.push_back(agents.back()->address());
  }
  const tls::Peer ann{"bench", tls::PeerRole::kCoordinator, "ann"};
  const tls::CertificateAndKey issued = *tls::Issue(authority, ann, time(nullptr), 1);
  EventLoop loop;
  fleet::GrpcFleet fleet(loop,
                         tls::MakeChannelCredentials(
                             {authority.certificate_pem, issued.certificate_pem, issued.key_pem, ann, 0}),
                         addresses);

  absl::PrintF("%d agents in this process\n", count);
  const double resident = ResidentMiB();
  bool good = true;
  {
    const Measure measure;
    good = Gather(loop, fleet, nodes) && good;
    measure.Print("facts, cold (handshakes)", count);
  }
  absl::PrintF("%-28s %8.0f kB a node (both ends)\n", "connection",
               (ResidentMiB() - resident) * 1024 / static_cast<double>(count));
  {
    const Measure measure;
    good = Gather(loop, fleet, nodes) && good;
    measure.Print("facts, warm", count);
  }
  std::vector<fleet::CallHandle> calls;
  {
    const Measure measure;
    good = RunEverywhere(loop, fleet, nodes, calls) && good;
    measure.Print("an operation on every node", count);
  }
  absl::PrintF("%-28s %8d operations in flight on %d threads\n", "then", calls.size(), Threads());
  if (!good) absl::FPrintF(stderr, "some agents did not answer\n");
  return good ? 0 : 1;
}

}  // namespace
}  // namespace k3saga

int main(int argc, char** argv) {
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  CLI::App app("What a fleet of agents costs the coordinator");
  size_t count = 200;
  app.add_option("--nodes", count, "agents to play")->check(CLI::Range(1, 5000));
  CLI11_PARSE(app, argc, argv);
  return k3saga::Main(count);
}
