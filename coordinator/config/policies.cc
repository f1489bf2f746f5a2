#include "coordinator/config/policies.h"

#include <absl/strings/match.h>
#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>

#include <chrono>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/release/files.h"
#include "coordinator/gate/alert_filter.h"

namespace k3saga::config {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr seconds kLongestWait = hours(24);
constexpr uint32_t kMostNodes = 100'000;
constexpr char kVeleroNamespace[] = "kube-system";  // where none is named

const std::vector<std::pair<std::string, v1::RebootPolicy>> kReboots = {
    {"never", v1::REBOOT_NEVER}, {"if-required", v1::REBOOT_IF_REQUIRED}};

uint32_t ReadSeconds(yaml::Section& section, std::string_view key, uint32_t fallback, seconds least) {
  return static_cast<uint32_t>(section.Duration(key, seconds(fallback), least, kLongestWait).count());
}

std::optional<v1::Limit> ParseLimit(std::string text) {
  v1::Limit limit;
  limit.set_percent(absl::EndsWith(text, "%"));
  if (limit.percent()) text.pop_back();
  uint32_t value = 0;
  const bool digits = !text.empty() && text.find_first_not_of("0123456789") == std::string::npos;
  if (!digits || !absl::SimpleAtoi(text, &value) || value > (limit.percent() ? 100 : kMostNodes))
    return std::nullopt;
  limit.set_value(value);
  return limit;
}

void ReadLimit(yaml::Section& section, std::string_view key, bool may_be_zero, v1::Limit* limit) {
  const std::string text = section.Text(key, absl::StrCat(limit->value(), limit->percent() ? "%" : ""));
  std::optional<v1::Limit> parsed = ParseLimit(text);
  if (parsed && (may_be_zero || parsed->value() > 0)) {
    *limit = *parsed;
    return;
  }
  section.AddProblem(key, absl::StrCat("expected a number of nodes such as ", may_be_zero ? "0" : "1",
                                       ", or a percentage such as 10%, found \"", text, "\""));
}

void ReadDrain(yaml::Section section, v1::DrainPolicy* drain) {
  drain->set_enabled(section.Bool("enabled", drain->enabled()));
  drain->set_timeout_seconds(ReadSeconds(section, "timeout", drain->timeout_seconds(), seconds(1)));
  // "pod": as each pod says it, which is what an absent key means too.
  if (section.Has("grace_period") && section.Text("grace_period") != "pod") {
    const seconds grace = section.Duration("grace_period", seconds(0), seconds(0), kLongestWait);
    drain->set_grace_period_seconds(static_cast<int32_t>(grace.count()));
  }
  drain->set_delete_empty_dir_data(section.Bool("delete_empty_dir_data", drain->delete_empty_dir_data()));
  drain->set_force_unmanaged(section.Bool("force", drain->force_unmanaged()));
  drain->set_pod_selector(section.Text("pod_selector", drain->pod_selector()));
  drain->set_on_timeout(section.Choice<v1::DrainPolicy::OnTimeout>("on_timeout",
                                                                   {{"fail", v1::DrainPolicy::FAIL},
                                                                    {"force", v1::DrainPolicy::FORCE},
                                                                    {"proceed", v1::DrainPolicy::PROCEED}},
                                                                   drain->on_timeout()));
  section.Finish();
}

// cordon and drain, which servers and workers have alike.
template <typename Policy>
void ReadCordonAndDrain(yaml::Section& section, Policy* policy) {
  policy->set_cordon(section.Bool("cordon", policy->cordon()));
  ReadDrain(section.Child("drain"), policy->mutable_drain());
  if (policy->drain().enabled() && !policy->cordon()) {
    section.AddProblem("cordon", "expected true where drain is enabled: pods would come back to the node");
  }
}

}  // namespace

v1::Policies DefaultPolicies() {
  v1::Policies policies;
  v1::DrainPolicy drain;
  drain.set_timeout_seconds(300);
  drain.set_grace_period_seconds(-1);
  drain.set_on_timeout(v1::DrainPolicy::FAIL);

  v1::ServerPolicy& servers = *policies.mutable_servers();
  servers.set_health_timeout_seconds(300);
  servers.set_settle_seconds(15);
  servers.set_gate_timeout_seconds(600);
  servers.set_cordon(true);
  *servers.mutable_drain() = drain;
  servers.set_on_failure(v1::ON_FAILURE_PUT_BACK);
  servers.set_reboot(v1::REBOOT_NEVER);

  v1::WorkerPolicy& workers = *policies.mutable_workers();
  workers.set_health_timeout_seconds(300);
  workers.mutable_max_unavailable()->set_value(1);
  workers.set_canary(1);
  workers.mutable_failure_budget()->set_value(0);
  workers.set_cordon(true);
  *workers.mutable_drain() = drain;
  workers.mutable_drain()->set_enabled(true);
  workers.set_on_failure(v1::ON_FAILURE_STOP);
  workers.set_reboot(v1::REBOOT_NEVER);

  policies.mutable_backup()->set_enabled(true);
  policies.mutable_backup()->set_keep(5);
  policies.mutable_gate()->set_timeout_seconds(10);
  return policies;
}

void ReadServerPolicy(yaml::Section section, v1::ServerPolicy* policy) {
  policy->set_health_timeout_seconds(
      ReadSeconds(section, "health_timeout", policy->health_timeout_seconds(), seconds(10)));
  policy->set_settle_seconds(ReadSeconds(section, "settle_time", policy->settle_seconds(), seconds(0)));
  policy->set_gate_timeout_seconds(
      ReadSeconds(section, "gate_timeout", policy->gate_timeout_seconds(), seconds(10)));
  ReadCordonAndDrain(section, policy);
  policy->set_on_failure(section.Choice<v1::OnFailure>(
      "on_failure", {{"put_back", v1::ON_FAILURE_PUT_BACK}, {"stop", v1::ON_FAILURE_STOP}},
      policy->on_failure()));
  policy->set_reboot(section.Choice<v1::RebootPolicy>("reboot", kReboots, policy->reboot()));
  section.Finish();
}

void ReadWorkerPolicy(yaml::Section section, v1::WorkerPolicy* policy) {
  policy->set_health_timeout_seconds(
      ReadSeconds(section, "health_timeout", policy->health_timeout_seconds(), seconds(10)));
  ReadLimit(section, "max_unavailable", false, policy->mutable_max_unavailable());
  policy->set_canary(static_cast<uint32_t>(section.Number("canary", policy->canary(), 0, kMostNodes)));
  ReadLimit(section, "failure_budget", true, policy->mutable_failure_budget());
  ReadCordonAndDrain(section, policy);
  policy->set_on_failure(section.Choice<v1::OnFailure>(
      "on_failure",
      {{"stop", v1::ON_FAILURE_STOP}, {"skip", v1::ON_FAILURE_SKIP}, {"put_back", v1::ON_FAILURE_PUT_BACK}},
      policy->on_failure()));
  policy->set_reboot(section.Choice<v1::RebootPolicy>("reboot", kReboots, policy->reboot()));
  section.Finish();
}

void ReadBackupPolicy(yaml::Section section, v1::BackupPolicy* policy) {
  policy->set_enabled(section.Bool("enabled", policy->enabled()));
  policy->set_keep(static_cast<uint32_t>(section.Number("keep", policy->keep(), 1, 1000)));
  policy->set_copy_to(section.Text("copy_to", policy->copy_to()));
  policy->set_restore_on_failure(section.Bool("restore_on_failure", policy->restore_on_failure()));
  if (policy->restore_on_failure() && !policy->enabled()) {
    section.AddProblem("restore_on_failure",
                       "expected false where backup.enabled is false: there is nothing to restore");
  }
  const bool wants_velero = section.Has("velero");
  yaml::Section velero = section.Child("velero");
  if (wants_velero && !velero.Has("namespaces")) policy->add_velero_namespaces(kVeleroNamespace);
  for (std::string& name : velero.Texts("namespaces")) policy->add_velero_namespaces(std::move(name));
  velero.Finish();
  for (std::string& argument : section.Texts("external_command"))
    policy->add_external_command(std::move(argument));
  section.Finish();
}

void ReadGate(yaml::Section section, v1::ExternalGate* gate) {
  gate->set_prometheus_url(section.Text("prometheus"));
  if (!gate->prometheus_url().empty() && !release::IsHttpUrl(gate->prometheus_url())) {
    section.AddProblem("prometheus", "expected a URL that starts with http:// or https://");
  }
  gate->set_alert_filter(section.Text("filter"));
  if (auto filter = gate::AlertFilter::Parse(gate->alert_filter()); !filter.ok()) {
    section.AddProblem("filter", std::string(filter.status().message()));
  }
  if (!gate->alert_filter().empty() && gate->prometheus_url().empty()) {
    section.AddProblem("filter", "a filter of alerts needs \"prometheus\" beside it");
  }
  for (std::string& argument : section.Texts("command")) gate->add_command(std::move(argument));
  gate->set_timeout_seconds(ReadSeconds(section, "timeout", gate->timeout_seconds(), seconds(1)));
  section.Finish();
}

}  // namespace k3saga::config
