#include "lab/control/observer.h"

#include <atomic>
#include <mutex>
#include <sstream>
#include <thread>

#include "common/status_macros.h"
#include "lab/base/files.h"
#include "lab/base/processes.h"
#include "lab/control/cluster_client.h"
#include "lab/control/observation.h"
#include "lab/control/up.h"

namespace k3saga::lab {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kWriteEvery{50};
constexpr milliseconds kWriteDeadline{400};
constexpr milliseconds kSweepEvery{200};
constexpr milliseconds kPerWorker{10};  // added to the pause: a sweep over many workers costs more
constexpr milliseconds kServerDeadline{700};
constexpr milliseconds kMemberDeadline{400};
constexpr milliseconds kWorkerDeadline{500};
constexpr milliseconds kPublishEvery{250};
constexpr milliseconds kReportDeadline{5000};
constexpr int kKubeletPort = 10248;

int64_t SteadyMillis() {
  return std::chrono::duration_cast<milliseconds>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

class Observer {
 public:
  explicit Observer(const Lab& lab) : lab_(lab), client_(lab), observation_(Fresh(lab)) {}

  absl::Status Run() {
    for (const LabNode& server : lab_.Servers()) {
      std::unique_ptr<EtcdClient> etcd = client_.Etcd(server);
      if (etcd == nullptr)
        return absl::UnavailableError(absl::StrCat(server.name, " has no etcd certificates yet"));
      etcd_.push_back(std::move(etcd));
    }
    std::thread writer([this] { WriteLoop(); });
    std::thread servers([this] { ServerLoop(); });
    std::thread workers([this] { WorkerLoop(); });
    PublishLoop();
  }

 private:
  static Observation Fresh(const Lab& lab) {
    std::vector<std::string> servers;
    std::vector<std::string> workers;
    for (const LabNode& node : lab.nodes) (node.server ? servers : workers).push_back(node.name);
    return Observation(servers, workers, SteadyMillis(), NowMillis());
  }

  // Stays with a member that answers; a failure moves on to the next.
  void WriteLoop() {
    size_t member = 0;
    for (int64_t count = 0;; ++count) {
      const absl::Status put =
          etcd_[member]->Put("/k3saga-lab/observer", std::to_string(count), kWriteDeadline);
      {
        std::lock_guard<std::mutex> lock(mutex_);
        observation_.WriteEnded(put.ok(), SteadyMillis());
      }
      if (!put.ok()) member = (member + 1) % etcd_.size();
      if (put.ok()) std::this_thread::sleep_for(kWriteEvery);
    }
  }

  Observation::ServerSight Look(size_t index, const LabNode& server) {
    Observation::ServerSight sight;
    auto status = etcd_[index]->Status(kMemberDeadline);
    sight.member_healthy = status.ok() && status->leader() != 0 && status->errors().empty();
    sight.serving = client_.IsReady(server, kServerDeadline);
    return sight;
  }

  void ServerLoop() {
    const std::vector<LabNode> servers = lab_.Servers();
    for (;;) {
      // All at once: a server that hangs must not blur the moment at which the others were seen.
      std::vector<Observation::ServerSight> sights(servers.size());
      std::vector<std::thread> looks;
      for (size_t i = 0; i < servers.size(); ++i) {
        looks.emplace_back([&, i] { sights[i] = Look(i, servers[i]); });
      }
      for (std::thread& look : looks) look.join();
      {
        std::lock_guard<std::mutex> lock(mutex_);
        observation_.ServersSeen(sights, SteadyMillis());
      }
      std::this_thread::sleep_for(kSweepEvery);
    }
  }

  void WorkerLoop() {
    for (;;) {
      std::vector<bool> serving;
      for (const LabNode& node : lab_.nodes) {
        if (node.server) continue;
        auto code = CallHttp(node.address, kKubeletPort, "/healthz", kWorkerDeadline);
        serving.push_back(code.ok() && *code == 200);
      }
      {
        std::lock_guard<std::mutex> lock(mutex_);
        observation_.WorkersSeen(serving, SteadyMillis());
      }
      std::this_thread::sleep_for(kSweepEvery + kPerWorker * serving.size());
    }
  }

  [[noreturn]] void PublishLoop() {
    const Layout layout{lab_.dir};
    for (;;) {
      nlohmann::json report;
      {
        std::lock_guard<std::mutex> lock(mutex_);
        if (std::filesystem::exists(layout.ObserverReset())) {
          observation_ = Fresh(lab_);
          std::error_code ignored;
          std::filesystem::remove(layout.ObserverReset(), ignored);
        }
        report = observation_.ToJson(SteadyMillis());
      }
      report["written_unix_ms"] = NowMillis();
      (void)WriteFile(layout.Observation(), report.dump(2) + "\n");
      std::this_thread::sleep_for(kPublishEvery);
    }
  }

  const Lab& lab_;
  ClusterClient client_;
  std::vector<std::unique_ptr<EtcdClient>> etcd_;
  std::mutex mutex_;
  Observation observation_;
};

}  // namespace

absl::Status RunObserver(const Lab& lab) {
  Observer observer(lab);
  return observer.Run();
}

absl::StatusOr<nlohmann::json> ReadReport(const Lab& lab) {
  const Layout layout{lab.dir};
  const int64_t asked = NowMillis();
  nlohmann::json report;
  const auto fresh = [&] {
    auto text = ReadFile(layout.Observation());
    if (text.ok()) report = nlohmann::json::parse(*text, nullptr, /*allow_exceptions=*/false);
    return report.is_object() && report.value("written_unix_ms", int64_t{0}) >= asked;
  };
  const bool is_fresh = IsUp(lab.dir) ? WaitUntil(fresh, kReportDeadline) : fresh();
  if (!report.is_object()) {
    return absl::NotFoundError("the observer has seen nothing yet (was the lab started with --no-observer?)");
  }
  report.erase("written_unix_ms");
  report["fresh"] = is_fresh;
  return report;
}

absl::Status ResetReport(const Lab& lab) {
  const Layout layout{lab.dir};
  K3SAGA_RETURN_IF_ERROR(WriteFile(layout.ObserverReset(), ""));
  if (WaitUntil([&] { return !std::filesystem::exists(layout.ObserverReset()); }, kReportDeadline)) {
    return absl::OkStatus();
  }
  return absl::DeadlineExceededError(
      "the observer does not answer; is the lab up, and not started with --no-observer?");
}

std::string ReportText(const nlohmann::json& report) {
  std::ostringstream text;
  text << "Observed for " << report.value("observed_ms", int64_t{0}) / 1000.0 << " s, since "
       << report.value("since", "")
       << (report.value("fresh", false) ? "" : " (the observer does not run any more)")
       << "\n  writes:                        " << report.value("writes", int64_t{0}) << " done, "
       << report.value("failed_writes", int64_t{0}) << " failed"
       << "\n  longest time without a write:  " << report.value("longest_write_gap_ms", int64_t{0}) << " ms"
       << "\n  fewest healthy etcd members:   " << report.value("fewest_healthy_members", 0) << " of "
       << report.value("members", 0)
       << "\n  most servers down at once:     " << report.value("most_servers_down", 0)
       << "\n  most workers down at once:     " << report.value("most_workers_down", 0) << "\n";
  for (const char* kind : {"servers", "workers"}) {
    for (const nlohmann::json& node : report.value(kind, nlohmann::json::array())) {
      if (node.value("times_down", 0) == 0) continue;
      text << "  " << node.value("name", "") << " was down " << node.value("times_down", 0) << "x, "
           << node.value("down_ms", int64_t{0}) << " ms" << (node.value("up", true) ? "" : ", and is down")
           << "\n";
    }
  }
  return text.str();
}

}  // namespace k3saga::lab
