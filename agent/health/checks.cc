#include "agent/health/checks.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include <algorithm>

#include "common/reason.h"
#include "common/status_macros.h"

namespace k3saga::health {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kBetweenLooks{250};
constexpr milliseconds kOneCheck{5000};

}  // namespace

absl::Status JudgeOwnMember(const etcd::ClusterView& view) {
  const etcd::MemberView* me = view.Me();
  if (view.own != etcd::ClusterView::Own::kServing || me == nullptr || !me->answered) {
    return ReasonError(MakeReason(v1::MEMBER_UNHEALTHY, "",
                                  me == nullptr || me->error.empty() ? view.own_error : me->error));
  }
  if (me->quorum_read && me->leader != 0) {
    return absl::OkStatus();
  }
  size_t answering = 0;
  std::vector<std::string> silent;
  for (const etcd::MemberView& member : view.members) {
    if (member.member.learner()) {
      continue;
    }
    if (member.answered) {
      ++answering;
    } else {
      silent.push_back(member.member.name());
    }
  }
  if (answering < etcd::Quorum(view)) {
    return ReasonError(MakeReason(v1::NO_LEADER, "",
                                  absl::StrCat("etcd has no quorum: ", absl::StrJoin(silent, ", "),
                                               " do not answer; this node's own member does"),
                                  "bring the other members back"));
  }
  return ReasonError(MakeReason(v1::MEMBER_UNHEALTHY, "",
                                me->leader == 0 ? "the own etcd member knows no leader" : me->error));
}

absl::Status HealthChecks::Process() {
  K3SAGA_ASSIGN_OR_RETURN(const MainProcess main, parts_.local->Main());
  if (main.pid == 0) {
    return ReasonError(MakeReason(v1::UNIT_NOT_ACTIVE, "", "k3s does not run"));
  }
  return parts_.local->UnitActive();
}

absl::Status HealthChecks::Version(std::string_view expected) {
  const std::string running = parts_.local->RunningVersion();
  if (expected.empty() || running == expected) {
    return absl::OkStatus();
  }
  return ReasonError(
      MakeReason(v1::WRONG_VERSION_RUNNING, "",
                 absl::StrCat("the running process is ", running.empty() ? "of no known version" : running,
                              ", expected ", std::string(expected))));
}

absl::Status HealthChecks::Kubelet(milliseconds timeout) {
  kube::HttpRequest request;
  request.url = parts_.kubelet_health_url;
  request.timeout = timeout;
  const auto response = http_.Send(request);
  if (response.ok() && response->status == 200) {
    return absl::OkStatus();
  }
  return ReasonError(
      MakeReason(v1::NODE_NOT_READY, "",
                 response.ok() ? absl::StrCat("the kubelet's healthz answers ", response->status)
                               : std::string(response.status().message())),
      absl::StatusCode::kUnavailable);
}

std::vector<CheckResult> HealthChecks::Look(milliseconds timeout) {
  const LocalRole role = parts_.local->Role();
  std::vector<CheckResult> results = {{.check = "process", .status = Process()}};
  if (role.runs_etcd) {
    results.push_back({.check = "etcd", .status = JudgeOwnMember(parts_.etcd->View(timeout))});
  }
  if (role.runs_apiserver) {
    results.push_back({.check = "apiserver", .status = parts_.kube->Ready(timeout)});
  }
  if (!role.runs_etcd && !role.runs_apiserver) {
    results.push_back({.check = "kubelet", .status = Kubelet(timeout)});
  }
  return results;
}

absl::Status HealthChecks::Ready(milliseconds timeout) {
  const LocalRole role = parts_.local->Role();
  if (role.runs_apiserver) {
    return parts_.kube->Ready(timeout);
  }
  return role.runs_etcd ? JudgeOwnMember(parts_.etcd->View(timeout)) : Kubelet(timeout);
}

absl::Status HealthChecks::FirstProblem(std::string_view version) {
  // The process first: while it is gone or wrong the rest can only time out.
  K3SAGA_RETURN_IF_ERROR(Process());
  K3SAGA_RETURN_IF_ERROR(Version(version));
  for (const CheckResult& result : Look(kOneCheck)) {
    K3SAGA_RETURN_IF_ERROR(result.status);
  }
  return absl::OkStatus();
}

absl::Status HealthChecks::Await(std::string_view version,
                                 const std::function<void(const std::string&)>& said,
                                 const Patience& patience) {
  const milliseconds end = parts_.clock->Steady() + patience.timeout;
  std::string last_said;
  while (true) {
    const absl::Status problem = FirstProblem(version);
    if (problem.ok()) {
      return problem;
    }
    v1::Reason reason = ReasonOf(problem);
    if (said && reason.detail() != last_said) {
      last_said = reason.detail();
      said(last_said);
    }
    if (parts_.clock->Steady() + kBetweenLooks >= end) {
      const std::string words = parts_.local->LastWords();
      if (!words.empty()) {
        absl::StrAppend(reason.mutable_detail(), "; k3s's last words: ", words);
      }
      return ReasonError(reason, absl::StatusCode::kDeadlineExceeded);
    }
    if (!parts_.pauser->Pause(kBetweenLooks, patience.stop)) {
      return absl::CancelledError("waiting for k3s to be healthy was cancelled");
    }
  }
}

void HealthChecks::Rest() {
  http_.Rest();
  parts_.kube->Rest();
  parts_.etcd->Rest();
}

}  // namespace k3saga::health
