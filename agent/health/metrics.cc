#include "agent/health/metrics.h"

#include <prometheus/counter.h>
#include <prometheus/exposer.h>
#include <prometheus/family.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>
#include <unistd.h>

#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_split.h>

#include <exception>
#include <fstream>
#include <utility>

#include "common/host/files.h"

namespace k3saga::health {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

// Operations last from milliseconds (a cordon) to many minutes (a drain).
const prometheus::Histogram::BucketBoundaries kDurations = {0.1, 0.5, 1,   2.5, 5,   10,
                                                            30,  60,  120, 300, 600, 1800};

ClientMetric Sample(double value, std::vector<ClientMetric::Label> labels = {}) {
  ClientMetric metric;
  metric.label = std::move(labels);
  metric.gauge.value = value;
  metric.counter.value = value;
  return metric;
}

MetricFamily Family(const char* name, const char* help, MetricType type, std::vector<ClientMetric> metrics) {
  return {.name = name, .help = help, .type = type, .metric = std::move(metrics)};
}

std::vector<std::string> Words(const std::string& path) {
  return absl::StrSplit(ReadFile(path).value_or(""), absl::ByAnyChar(" \n"), absl::SkipEmpty());
}

double Number(const std::vector<std::string>& words, size_t index) {
  double number = 0;
  return index < words.size() && absl::SimpleAtod(words[index], &number) ? number : 0;
}

// The usual process_* metrics, from /proc/self.
void AddProcess(std::vector<MetricFamily>& families) {
  // What stands after the name, which may hold spaces; field numbers as in proc(5), counted from "state" = 3.
  const std::string stat = ReadFile("/proc/self/stat").value_or("");
  const size_t name_end = stat.rfind(')');
  const std::vector<std::string> fields =
      name_end == std::string::npos
          ? std::vector<std::string>{}
          : absl::StrSplit(stat.substr(name_end + 1), absl::ByAnyChar(" \n"), absl::SkipEmpty());
  const auto field = [&](size_t number) { return Number(fields, number - 3); };
  const auto ticks = static_cast<double>(sysconf(_SC_CLK_TCK));
  const auto page = static_cast<double>(sysconf(_SC_PAGESIZE));
  double boot = 0;
  for (const absl::string_view line : absl::StrSplit(ReadFile("/proc/stat").value_or(""), '\n')) {
    if (absl::StartsWith(line, "btime ")) {
      (void)absl::SimpleAtod(line.substr(6), &boot);
    }
  }
  families.push_back(Family("process_cpu_seconds_total", "CPU time used by the agent.", MetricType::Counter,
                            {Sample((field(14) + field(15)) / ticks)}));
  families.push_back(Family("process_start_time_seconds", "When the agent was started, since the epoch.",
                            MetricType::Gauge, {Sample(boot + field(22) / ticks)}));
  families.push_back(Family("process_resident_memory_bytes", "Memory of the agent.", MetricType::Gauge,
                            {Sample(Number(Words("/proc/self/statm"), 1) * page)}));
  const auto open = ListDirectory("/proc/self/fd");
  families.push_back(Family("process_open_fds", "Open files of the agent.", MetricType::Gauge,
                            {Sample(open.ok() ? static_cast<double>(open->size()) : 0)}));
}

// Everything that is only worked out when somebody asks.
class OnScrape final : public prometheus::Collectable {
 public:
  explicit OnScrape(std::function<NodeSample()> sample) : sample_(std::move(sample)) {}

  std::vector<MetricFamily> Collect() const override {
    const NodeSample sample = sample_();
    std::vector<MetricFamily> families;
    families.push_back(Family("k3saga_agent_build_info", "The agent's version; always 1.", MetricType::Gauge,
                              {Sample(1, {{"version", K3SAGA_VERSION}})}));
    if (!sample.role.empty()) {
      families.push_back(Family("k3saga_node_k3s_info",
                                "The version of k3s that runs on this node; always 1.", MetricType::Gauge,
                                {Sample(1, {{"role", sample.role}, {"version", sample.k3s_version}})}));
    }
    MetricFamily checks = Family("k3saga_health_check_up", "Whether a local health check of k3s succeeds.",
                                 MetricType::Gauge, {});
    for (const CheckResult& result : sample.checks) {
      checks.metric.push_back(Sample(result.status.ok() ? 1 : 0, {{"check", result.check}}));
    }
    MetricFamily expiry =
        Family("k3saga_certificate_expiry_timestamp_seconds",
               "When a certificate of this node expires, since the epoch.", MetricType::Gauge, {});
    for (const auto& [name, at] : sample.certificate_expiry) {
      expiry.metric.push_back(Sample(static_cast<double>(at), {{"certificate", name}}));
    }
    for (MetricFamily* family : {&checks, &expiry}) {
      if (!family->metric.empty()) {
        families.push_back(std::move(*family));
      }
    }
    AddProcess(families);
    return families;
  }

 private:
  const std::function<NodeSample()> sample_;
};

}  // namespace

struct Metrics::State {
  explicit State(std::function<NodeSample()> sample)
      : registry(std::make_shared<prometheus::Registry>()),
        on_scrape(std::make_shared<OnScrape>(std::move(sample))) {}

  const std::shared_ptr<prometheus::Registry> registry;
  const std::shared_ptr<OnScrape> on_scrape;
  prometheus::Family<prometheus::Counter>& operations = prometheus::BuildCounter()
                                                            .Name("k3saga_operations_total")
                                                            .Help("Operations that were settled.")
                                                            .Register(*registry);
  prometheus::Family<prometheus::Histogram>& durations = prometheus::BuildHistogram()
                                                             .Name("k3saga_operation_duration_seconds")
                                                             .Help("How long operations took.")
                                                             .Register(*registry);
  prometheus::Family<prometheus::Gauge>& down =
      prometheus::BuildGauge()
          .Name("k3saga_last_upgrade_down_seconds")
          .Help("How long k3s was down in the last upgrade of this node.")
          .Register(*registry);
  std::unique_ptr<prometheus::Exposer> exposer;  // last: it reads the others
};

Metrics::Metrics(std::function<NodeSample()> sample) : state_(std::make_unique<State>(std::move(sample))) {}
Metrics::~Metrics() = default;

absl::StatusOr<int> Metrics::Serve(std::string_view address) {
  try {
    state_->exposer = std::make_unique<prometheus::Exposer>(std::string(address), /*num_threads=*/1);
  } catch (const std::exception& error) {
    return absl::UnavailableError(
        absl::StrCat("metrics: cannot listen at ", std::string(address), ": ", error.what()));
  }
  state_->exposer->RegisterCollectable(state_->registry);
  state_->exposer->RegisterCollectable(state_->on_scrape);
  const std::vector<int> ports = state_->exposer->GetListeningPorts();
  return ports.empty() ? 0 : ports.front();
}

void Metrics::OperationSettled(std::string_view kind, std::string_view outcome,
                               std::chrono::milliseconds took) {
  const prometheus::Labels labels = {{"kind", std::string(kind)}, {"outcome", std::string(outcome)}};
  state_->operations.Add(labels).Increment();
  state_->durations.Add(labels, kDurations).Observe(std::chrono::duration<double>(took).count());
}

void Metrics::UpgradeDown(std::chrono::milliseconds down) {
  state_->down.Add({}).Set(std::chrono::duration<double>(down).count());
}

std::string Metrics::Expose() {
  std::vector<MetricFamily> families = state_->registry->Collect();
  for (MetricFamily& family : state_->on_scrape->Collect()) {
    families.push_back(std::move(family));
  }
  return prometheus::TextSerializer().Serialize(families);
}

}  // namespace k3saga::health
