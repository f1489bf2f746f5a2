#include "coordinator/gate/external_gate.h"

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <absl/strings/strip.h>
#include <unistd.h>

#include <chrono>

#include "common/host/process.h"
#include "common/reason.h"
#include "common/status_macros.h"
#include "coordinator/gate/alerts.h"
#include "coordinator/gate/http_get.h"

namespace k3saga::gate {
namespace {

constexpr std::chrono::seconds kDefaultTimeout{10};
constexpr size_t kMostNamed = 5;

std::chrono::milliseconds TimeoutOf(const v1::ExternalGate& policy) {
  return policy.timeout_seconds() == 0 ? kDefaultTimeout : std::chrono::seconds(policy.timeout_seconds());
}

Answer Closed(std::string_view subject, std::string_view detail, std::string_view remedy) {
  return {false, MakeReason(v1::EXTERNAL_GATE_CLOSED, subject, detail, remedy)};
}

// Without what may be a password in it: for messages.
std::string Shown(const std::string& url) {
  const size_t scheme = url.find("://");
  const size_t at = url.rfind('@', url.find('/', scheme == std::string::npos ? 0 : scheme + 3));
  if (scheme == std::string::npos || at == std::string::npos || at < scheme) return url;
  return absl::StrCat(url.substr(0, scheme + 3), url.substr(at + 1));
}

absl::StatusOr<std::vector<std::string>> AskPrometheus(const v1::ExternalGate& policy) {
  K3SAGA_ASSIGN_OR_RETURN(const AlertFilter filter, AlertFilter::Parse(policy.alert_filter()));
  const std::string base(absl::StripSuffix(policy.prometheus_url(), "/"));
  K3SAGA_ASSIGN_OR_RETURN(const std::string body,
                          HttpGet(base + "/api/v1/alerts", TimeoutOf(policy), Redirects::kRefuse));
  return FiringAlerts(body, filter);
}

Answer JudgeAlerts(const v1::ExternalGate& policy) {
  const auto firing = AskPrometheus(policy);
  if (!firing.ok()) {
    return Closed("prometheus",
                  absl::StrCat(Shown(policy.prometheus_url()),
                               " could not be asked for alerts: ", std::string(firing.status().message())),
                  "the rollout goes on once it answers that nothing fires");
  }
  if (firing->empty()) return {true, {}};
  const size_t named = std::min(firing->size(), kMostNamed);
  std::string names = absl::StrJoin(firing->begin(), firing->begin() + static_cast<ptrdiff_t>(named), ", ");
  if (firing->size() > named) absl::StrAppend(&names, " and ", firing->size() - named, " more");
  return Closed(names, firing->size() == 1 ? "this alert is firing" : "these alerts are firing",
                "the rollout goes on once they do not");
}

std::vector<std::string> EnvironmentFor(const Question& question) {
  std::vector<std::string> all;
  for (char** variable = environ; variable != nullptr && *variable != nullptr; ++variable)
    all.emplace_back(*variable);
  all.push_back("K3SAGA_ROLLOUT=" + question.rollout);
  all.push_back("K3SAGA_NODE=" + question.node);
  return all;
}

// The last line of what a command said: failures speak at the end.
std::string LastLine(std::string_view text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r' || text.back() == ' '))
    text.remove_suffix(1);
  return std::string(text.substr(text.rfind('\n') + 1));
}

Answer JudgeCommand(const v1::ExternalGate& policy, const Question& question) {
  const std::string& program = policy.command(0);
  const auto result = Run({.argv = {policy.command().begin(), policy.command().end()},
                           .environment = EnvironmentFor(question),
                           .deadline = TimeoutOf(policy)});
  if (!result.ok()) {
    return Closed(program,
                  absl::StrCat("the command could not be run: ", std::string(result.status().message())),
                  "the rollout goes on once it exits with 0");
  }
  if (result->ok()) return {true, {}};
  const std::string said = LastLine(result->err.empty() ? result->out : result->err);
  return Closed(program, said.empty() ? result->Describe() : absl::StrCat("the command says no: ", said),
                "the rollout goes on once it exits with 0");
}

}  // namespace

bool IsConfigured(const v1::ExternalGate& policy) {
  return !policy.prometheus_url().empty() || policy.command_size() != 0;
}

Answer Ask(const v1::ExternalGate& policy, const Question& question) {
  if (!policy.prometheus_url().empty()) {
    if (Answer answer = JudgeAlerts(policy); !answer.open) return answer;
  }
  return policy.command_size() == 0 ? Answer{true, {}} : JudgeCommand(policy, question);
}

}  // namespace k3saga::gate
