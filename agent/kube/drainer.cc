#include "agent/kube/drainer.h"

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include <algorithm>
#include <utility>

#include "agent/kube/drain_rules.h"
#include "agent/kube/look_pause.h"
#include "common/reason.h"
#include "common/status_macros.h"

namespace k3saga::kube {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kBetweenLooks{500};
constexpr milliseconds kFirstPause{100};
constexpr milliseconds kRetryEviction{500};  // where the server does not say when
constexpr milliseconds kLongestRetry{30'000};
constexpr milliseconds kOneCall{5000};
constexpr milliseconds kUsualTimeout{300'000};  // where the policy says none
// Replacements land elsewhere, because the node is cordoned. Where they land here again and again, the pods
// tolerate the cordon, and evicting them for ever would get nobody anywhere.
constexpr int kTimesEvictedAgain = 3;

bool IsTransient(const absl::Status& error) {
  return absl::IsUnavailable(error) || absl::IsDeadlineExceeded(error);
}

// Which budget holds a pod, in the API server's words: its cause names the budget, its message does not.
std::string HeldBy(const Answer& answer) {
  for (const Json& cause : ListAt(answer.json, {"details", "causes"})) {
    if (TextAt(cause, {"reason"}) == "DisruptionBudget") {
      std::string text = TextAt(cause, {"message"});
      constexpr std::string_view kPrefix = "The disruption budget ";
      return absl::StartsWith(text, std::string(kPrefix)) ? "budget " + text.substr(kPrefix.size()) : text;
    }
  }
  return MessageOf(answer);
}

}  // namespace

absl::StatusOr<std::string> EvictionVersion(Api& api, const Patience& patience) {
  K3SAGA_ASSIGN_OR_RETURN(const Answer core, api.Get("/api/v1", patience));
  for (const Json& resource : ListAt(core.json, {"resources"})) {
    if (TextAt(resource, {"name"}) == "pods/eviction") {
      const std::string version = TextAt(resource, {"version"});
      return version.empty() ? "v1beta1" : version;
    }
  }
  return absl::FailedPreconditionError(
      "Kubernetes API: /api/v1 offers no pods/eviction: draining is not possible");
}

absl::StatusOr<std::string> BudgetVersion(Api& api, const Patience& patience) {
  K3SAGA_ASSIGN_OR_RETURN(const Answer group, api.Get("/apis/policy", patience));
  for (const Json& version : ListAt(group.json, {"versions"})) {
    if (TextAt(version, {"version"}) == "v1") {
      return std::string("v1");
    }
  }
  return std::string("v1beta1");
}

Drainer::Drainer(Parts parts, std::string node, v1::DrainPolicy policy, Patience patience)
    : parts_(std::move(parts)),
      node_(std::move(node)),
      policy_(std::move(policy)),
      patience_(std::move(patience)),
      start_(parts_.clock->Steady()) {}

absl::StatusOr<v1::DrainResult> Drainer::Run() {
  const milliseconds evicting = policy_.timeout_seconds() == 0
                                    ? kUsualTimeout
                                    : milliseconds(std::chrono::seconds(policy_.timeout_seconds()));
  const milliseconds end = start_ + std::min(patience_.timeout, evicting);
  K3SAGA_ASSIGN_OR_RETURN(version_, EvictionVersion(*parts_.api, Left(end)));
  K3SAGA_ASSIGN_OR_RETURN(const std::vector<Pod> pods, PodsOnNode(Left(end)));
  K3SAGA_RETURN_IF_ERROR(CheckNothingInTheWay(pods));
  K3SAGA_ASSIGN_OR_RETURN(const bool empty, WaitUntilEmpty(end, &Drainer::Evict));
  return empty ? Result() : TimeIsUp();
}

absl::StatusOr<std::vector<Pod>> Drainer::PodsOnNode(const Patience& patience) {
  std::string path = absl::StrCat("/api/v1/pods?fieldSelector=", Escape("spec.nodeName=" + node_));
  if (!policy_.pod_selector().empty()) {
    absl::StrAppend(&path, "&labelSelector=", Escape(policy_.pod_selector()));
  }
  K3SAGA_ASSIGN_OR_RETURN(const Json::array_t items, parts_.api->List(path, patience));
  std::vector<Pod> pods;
  pods.reserve(items.size());
  std::transform(items.begin(), items.end(), std::back_inserter(pods), &PodOf);
  return pods;
}

absl::Status Drainer::CheckNothingInTheWay(const std::vector<Pod>& pods) const {
  if (policy_.on_timeout() == v1::DrainPolicy::PROCEED) {
    return absl::OkStatus();  // they stay, and that is accepted
  }
  std::vector<std::string> names;
  v1::Reason reason;
  for (const Pod& pod : pods) {
    const PodFate fate = FateOf(pod, policy_);
    if (pod.terminating || (fate != PodFate::kUnmanaged && fate != PodFate::kEmptyDir)) {
      continue;
    }
    if (names.empty()) {
      reason = InTheWay(pod, fate);
    }
    names.push_back(pod.FullName());
  }
  if (names.size() > 1) {
    absl::StrAppend(reason.mutable_detail(), "; ", names.size(), " such pods on ", node_, ": ",
                    absl::StrJoin(names, ", "));
  }
  return names.empty() ? absl::OkStatus() : ReasonError(reason);
}

void Drainer::Update(const std::vector<Pod>& pods) {
  std::map<std::string, Tracked> now;
  staying_ = 0;
  returning_ = 0;
  for (const Pod& pod : pods) {
    const PodFate fate = FateOf(pod, policy_);
    if (fate == PodFate::kStays) {
      continue;
    }
    if (fate != PodFate::kEvict && !pod.terminating) {
      ++staying_;
      continue;
    }
    const bool is_new = seen_.insert(pod.uid).second;
    if (is_new && !first_look_ && !pod.controller_uid.empty()) {
      ++came_back_[pod.controller_uid];
    }
    const auto again = came_back_.find(pod.controller_uid);
    if (again != came_back_.end() && again->second > kTimesEvictedAgain) {
      ++returning_;
      continue;
    }
    const auto known = left_.find(pod.uid);
    Tracked tracked = known == left_.end() ? Tracked{} : std::move(known->second);
    tracked.pod = pod;
    tracked.evicted = tracked.evicted || pod.terminating;
    now.emplace(pod.uid, std::move(tracked));
  }
  for (const auto& [uid, tracked] : left_) {
    if (!now.contains(uid) && !tracked.pod.uid.empty()) {
      ++gone_;
    }
  }
  left_ = std::move(now);
  first_look_ = false;
}

absl::StatusOr<bool> Drainer::WaitUntilEmpty(milliseconds end, Removal remove) {
  LookPause pause(kFirstPause, kBetweenLooks);
  while (true) {
    const auto pods = PodsOnNode({.timeout = kOneCall, .stop = patience_.stop});
    if (pods.ok()) {
      Update(*pods);
      if (left_.empty()) {
        Tell();
        return true;
      }
    } else if (!IsTransient(pods.status())) {
      return pods.status();
    }
    if (parts_.clock->Steady() >= end) {
      return false;
    }
    K3SAGA_RETURN_IF_ERROR(RemoveDue(remove));
    Tell();
    if (!parts_.pauser->Pause(pause.Next(), patience_.stop)) {
      return absl::CancelledError(absl::StrCat("draining ", node_, " was cancelled; ", Describe(State())));
    }
  }
}

absl::Status Drainer::RemoveDue(Removal remove) {
  for (auto& [uid, tracked] : left_) {
    if (patience_.stop.stop_requested()) {
      return absl::OkStatus();  // the wait that follows says so
    }
    if (!tracked.evicted && tracked.next_attempt <= parts_.clock->Steady()) {
      K3SAGA_RETURN_IF_ERROR((this->*remove)(tracked));
    }
  }
  return absl::OkStatus();
}

absl::Status Drainer::Evict(Tracked& tracked) {
  const Pod& pod = tracked.pod;
  Api::Request request{.method = "POST",
                       .path = absl::StrCat("/api/v1/namespaces/", Escape(pod.name_space), "/pods/",
                                            Escape(pod.name), "/eviction"),
                       .body = {{"apiVersion", "policy/" + version_},
                                {"kind", "Eviction"},
                                {"metadata", {{"name", pod.name}, {"namespace", pod.name_space}}},
                                {"deleteOptions", DeleteOptions(pod)}}};
  const auto answer = parts_.api->SendOnce(request, kOneCall);
  const milliseconds now = parts_.clock->Steady();
  tracked.next_attempt = now + kRetryEviction;
  if (!answer.ok()) {
    tracked.held_by = "the API does not answer";
    return IsTransient(answer.status()) ? absl::OkStatus() : answer.status();
  }
  if (answer->ok() || answer->status == 404) {
    tracked.evicted = true;
    tracked.held_by.clear();
    return absl::OkStatus();
  }
  if (answer->status == 429) {
    tracked.held_by = HeldBy(*answer);
    if (answer->retry_after) {
      tracked.next_attempt =
          now + std::clamp<milliseconds>(*answer->retry_after, kRetryEviction, kLongestRetry);
    }
    return absl::OkStatus();
  }
  // 409: another pod has its name by now; 403 in a namespace that is being deleted; 500: two budgets cover
  // it.
  const bool passes = answer->status == 409 || answer->status >= 500 ||
                      (answer->status == 403 && absl::StrContains(MessageOf(*answer), "being terminated"));
  tracked.held_by = MessageOf(*answer);
  return passes ? absl::OkStatus() : ErrorOf(*answer, "POST " + request.path);
}

absl::Status Drainer::Delete(Tracked& tracked) {
  const Pod& pod = tracked.pod;
  Api::Request request{
      .method = "DELETE",
      .path = absl::StrCat("/api/v1/namespaces/", Escape(pod.name_space), "/pods/", Escape(pod.name)),
      .body = DeleteOptions(pod)};
  const auto answer = parts_.api->SendOnce(request, kOneCall);
  tracked.next_attempt = parts_.clock->Steady() + kBetweenLooks;
  if (!answer.ok()) {
    return IsTransient(answer.status()) ? absl::OkStatus() : answer.status();
  }
  tracked.evicted = answer->ok() || answer->status == 404;
  tracked.held_by = tracked.evicted ? "" : MessageOf(*answer);
  const bool passes =
      tracked.evicted || answer->status == 409 || answer->status == 429 || answer->status >= 500;
  return passes ? absl::OkStatus() : ErrorOf(*answer, "DELETE " + request.path);
}

absl::StatusOr<v1::DrainResult> Drainer::TimeIsUp() {
  if (policy_.on_timeout() == v1::DrainPolicy::PROCEED) {
    return Result();
  }
  if (policy_.on_timeout() != v1::DrainPolicy::FORCE) {
    return Blocked("the time for the drain is over");
  }
  for (auto& [uid, tracked] : left_) {
    tracked.next_attempt = milliseconds(0);
  }
  K3SAGA_ASSIGN_OR_RETURN(const bool empty, WaitUntilEmpty(start_ + patience_.timeout, &Drainer::Delete));
  return empty ? absl::StatusOr<v1::DrainResult>(Result()) : Blocked("deleted, but still on the node");
}

v1::DrainResult Drainer::Result() const {
  v1::DrainResult result;
  result.set_evicted(gone_);
  result.set_left(static_cast<uint32_t>(left_.size()) + staying_ + returning_);
  return result;
}

DrainState Drainer::State() const {
  DrainState state{.evicted = gone_, .left = {}};
  for (const auto& [uid, tracked] : left_) {
    state.left.push_back({.pod = tracked.pod.FullName(), .held_by = tracked.held_by});
  }
  std::sort(state.left.begin(), state.left.end(),
            [](const PodLeft& one, const PodLeft& other) { return one.pod < other.pod; });
  return state;
}

void Drainer::Tell() {
  if (!parts_.observe) {
    return;
  }
  const DrainState state = State();
  const std::string text = absl::StrCat(state.evicted, " ", Describe(state));
  if (text != last_told_) {
    last_told_ = text;
    parts_.observe(state);
  }
}

absl::Status Drainer::Blocked(std::string_view what) const {
  return ReasonError(
      MakeReason(v1::DRAIN_BLOCKED, node_, absl::StrCat(std::string(what), "; ", Describe(State())),
                 "relax the budget or add replicas, or choose drain.on_timeout force or proceed"),
      absl::StatusCode::kDeadlineExceeded);
}

Json Drainer::DeleteOptions(const Pod& pod) const {
  Json options = {{"apiVersion", "v1"}, {"kind", "DeleteOptions"}, {"preconditions", {{"uid", pod.uid}}}};
  if (policy_.grace_period_seconds() >= 0) {
    options["gracePeriodSeconds"] = policy_.grace_period_seconds();
  }
  return options;
}

Patience Drainer::Left(milliseconds end) const {
  return {.timeout = std::max(end - parts_.clock->Steady(), milliseconds(1)), .stop = patience_.stop};
}

std::string Describe(const DrainState& state) {
  if (state.left.empty()) {
    return "no pods left";
  }
  return absl::StrCat(state.left.size(), state.left.size() == 1 ? " pod left: " : " pods left: ",
                      absl::StrJoin(state.left, ", ", [](std::string* out, const PodLeft& left) {
                        absl::StrAppend(out, left.pod);
                        if (!left.held_by.empty()) {
                          absl::StrAppend(out, " (", left.held_by, ")");
                        }
                      }));
}

}  // namespace k3saga::kube
