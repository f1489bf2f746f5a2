#include "tests/systemd/watcher.h"

#include "tests/systemd/network.h"

namespace k3saga::hosts {
namespace {

constexpr std::chrono::milliseconds kPeriod{100};
constexpr std::chrono::milliseconds kPatience{1000};  // a server that takes longer is not ready
constexpr char kConfigMaps[] = "/api/v1/namespaces/default/configmaps";
constexpr char kName[] = "k3saga-watcher";

}  // namespace

ReadinessTally::ReadinessTally(std::vector<std::string> servers) {
  for (std::string& server : servers) {
    seen_.unready[server] = 0;
    ready_[std::move(server)] = true;
  }
}

void ReadinessTally::Pass(double at) {
  const double span = std::max(0.0, at - now_);
  size_t unready = 0;
  for (const auto& [server, ready] : ready_) {
    if (!ready) {
      ++unready;
      seen_.unready[server] += span;
    }
  }
  if (unready == ready_.size()) {
    seen_.none_ready += span;
  }
  if (unready >= 2) {
    seen_.two_unready += span;
  }
  now_ = std::max(now_, at);
}

void ReadinessTally::Note(double at, const std::string& server, bool ready) {
  Pass(at);
  if (ready_[server] != ready) {
    ready_[server] = ready;
    seen_.changes.push_back({at, server, ready});
    seen_.last_change = now_;
  }
}

void ReadinessTally::Finish(double at, Observation* observation) {
  Pass(at);
  *observation = seen_;
}

Watcher::Watcher(std::string network, std::vector<Server> servers, AdminAccess access)
    : network_(std::move(network)), servers_(std::move(servers)), access_(std::move(access)) {}

Watcher::~Watcher() {
  stop_ = true;
  for (std::thread& thread : threads_) {
    thread.join();
  }
}

void Watcher::Start() {
  started_ = std::chrono::steady_clock::now();
  for (const Server& server : servers_) {
    threads_.emplace_back([this, server] { WatchServer(server); });
  }
  threads_.emplace_back([this] { Write(); });
}

double Watcher::Elapsed() const {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - started_).count();
}

void Watcher::WatchServer(const Server& server) {
  if (!EnterNetwork(network_).ok()) {
    return;
  }
  KubeClient client(server.address, &access_);
  bool was_ready = true;
  while (!stop_) {
    // Not ready from the moment the question was asked that got no good answer; ready from the answer on.
    const double asked = Elapsed();
    const absl::StatusOr<KubeReply> reply = client.Ask("GET", "/readyz", "", kPatience);
    const bool ready = reply.ok() && reply->code == 200;
    if (ready != was_ready) {
      const std::lock_guard lock(mutex_);
      changes_.push_back({ready ? Elapsed() : asked, server.name, ready});
      was_ready = ready;
    }
    std::this_thread::sleep_for(kPeriod);
  }
}

void Watcher::Write() {
  if (!EnterNetwork(network_).ok()) {
    return;
  }
  std::vector<std::unique_ptr<KubeClient>> clients;
  for (const Server& server : servers_) {
    clients.push_back(std::make_unique<KubeClient>(server.address, &access_));
  }
  const std::string create =
      absl::StrCat(R"({"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":")", kName, R"("}})");
  (void)clients[0]->Ask("POST", kConfigMaps, create, kPatience);
  const std::string path = absl::StrCat(kConfigMaps, "/", kName);
  double last_success = Elapsed();
  size_t at = 0;
  for (uint64_t number = 0; !stop_; ++number) {
    const absl::StatusOr<KubeReply> reply =
        clients[at]->Ask("PATCH", path, absl::StrCat(R"({"data":{"number":")", number, R"("}})"), kPatience);
    const bool written = reply.ok() && reply->code == 200;
    const double now = Elapsed();
    {
      const std::lock_guard lock(mutex_);
      longest_gap_ = std::max(longest_gap_, now - last_success);
      writes_ += written ? 1 : 0;
    }
    if (written) {
      last_success = now;
      std::this_thread::sleep_for(kPeriod);
    } else {
      at = (at + 1) % clients.size();  // as a client behind a list of servers does
      std::this_thread::sleep_for(kPeriod / 5);
    }
  }
}

Observation Watcher::Stop() {
  const double end = Elapsed();
  stop_ = true;
  for (std::thread& thread : threads_) {
    thread.join();
  }
  threads_.clear();
  std::vector<std::string> names;
  for (const Server& server : servers_) {
    names.push_back(server.name);
  }
  ReadinessTally tally(std::move(names));
  std::stable_sort(changes_.begin(), changes_.end(),
                   [](const auto& a, const auto& b) { return a.at < b.at; });
  for (const Observation::Change& change : changes_) {
    tally.Note(change.at, change.server, change.ready);
  }
  Observation observation;
  tally.Finish(end, &observation);
  observation.longest_write_gap = longest_gap_;
  observation.writes = writes_;
  return observation;
}

}  // namespace k3saga::hosts
