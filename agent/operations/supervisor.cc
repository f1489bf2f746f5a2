#include "agent/operations/supervisor.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <utility>

#include "common/host/log.h"
#include "common/reason.h"
#include "common/status_macros.h"

namespace k3saga::operations {
namespace {

// A process that was launched this often without ever getting to work never will.
constexpr uint32_t kMaxLaunches = 5;
constexpr uint32_t kPruneEvery = 200;
constexpr int kLookAtProcessesEvery = 10;  // turns of the follower

std::chrono::milliseconds TookSince(int64_t accepted_unix_ms, const Clock& clock) {
  return std::chrono::milliseconds(std::max<int64_t>(0, clock.WallUnixMillis() - accepted_unix_ms));
}

}  // namespace

Supervisor::Supervisor(Parts parts)
    : parts_(std::move(parts)), pool_(std::make_unique<WorkerPool>(parts_.most_threads)) {}

Supervisor::~Supervisor() {
  (void)Shutdown(std::chrono::hours(24));
  pool_.reset();
}

absl::Status Supervisor::Start() {
  K3SAGA_RETURN_IF_ERROR(parts_.journal->Prune().status());
  K3SAGA_ASSIGN_OR_RETURN(const Fence fence, parts_.journal->ReadFence());
  if (parts_.on_fence) parts_.on_fence(fence);
  K3SAGA_ASSIGN_OR_RETURN(const std::vector<Entry> entries, parts_.journal->Unsettled());
  const std::lock_guard lock(mutex_);
  for (const Entry& entry : entries) {
    LogInfo(absl::StrCat("going on with ", std::string(VerbName(entry.record.verb)), " ",
                         OperationName(entry.record.id), " in phase ",
                         std::string(PhaseName(entry.record.phase))));
    Activate(entry);
  }
  return absl::OkStatus();
}

absl::StatusOr<Supervisor::Answer> Supervisor::Run(const v1::RunRequest& request,
                                                   const std::shared_ptr<Watcher>& watcher) {
  const Name name = OperationName(request.id());
  // Held from before the commit: nobody settles the operation between its acceptance and the watching.
  const std::lock_guard lock(mutex_);
  if (down_) return absl::UnavailableError("the agent is going down; ask again");
  K3SAGA_ASSIGN_OR_RETURN(const Accepted accepted, parts_.journal->Accept(request));
  Answer answer;
  if (accepted.admission.kind == Admission::Kind::kRefuse) {
    answer.refusal = accepted.admission.reason;
    LogInfo(absl::StrCat("refused ", name, ": ", Describe(accepted.admission.reason)));
    return answer;
  }
  if (parts_.on_fence) parts_.on_fence(accepted.admission.fence);
  answer.known = accepted.admission.kind == Admission::Kind::kAttach;
  const Entry& entry = accepted.entry;
  if (entry.record.settled()) {
    watcher->OnOutcome(entry.record.outcome);
    return answer;
  }
  auto active = active_.find(name);
  if (active == active_.end()) {
    LogInfo(absl::StrCat(answer.known ? "going on with " : "accepted ",
                         std::string(VerbName(entry.record.verb)), " ", name, " for ",
                         request.authority().holder()));
    Activate(entry);
    active = active_.find(name);
  }
  active->second.watchers.push_back(watcher);
  if (!active->second.progress.phase().empty()) watcher->OnProgress(active->second.progress);
  return answer;
}

void Supervisor::Activate(const Entry& entry) {
  const Name name = OperationName(entry.record.id);
  Active& active = active_[name];
  active.progress = entry.progress;
  active.starts = entry.record.starts;
  if (RunsOutsideAgent(entry.record.verb)) {
    followed_[name] = entry.record.id;
    EnsureFollower();
    return;
  }
  OperationRun::Parts parts;
  parts.journal = parts_.journal;
  parts.effects = parts_.effects;
  parts.clock = parts_.clock;
  parts.pauser = parts_.pauser;
  parts.boot_id = parts_.boot_id;
  parts.progress = [this, name](const v1::Progress& progress) {
    const std::lock_guard lock(mutex_);
    const auto found = active_.find(name);
    if (found != active_.end()) Tell(found->second, progress);
  };
  active.run = std::make_shared<OperationRun>(std::move(parts), entry);
  pool_->Post(
      [this, name, run = active.run, accepted = entry.accepted_unix_ms] { RunHere(name, run, accepted); });
}

void Supervisor::RunHere(const Name& name, const std::shared_ptr<OperationRun>& run,
                         int64_t accepted_unix_ms) {
  const absl::Status status = run->Execute();
  if (status.ok()) {
    Settled(run->record(), accepted_unix_ms);
  } else {
    Lost(name, status);
  }
}

void Supervisor::Settled(const Record& record, int64_t accepted_unix_ms) {
  const Name name = OperationName(record.id);
  std::string said = absl::StrCat(std::string(VerbName(record.verb)), " ", name, ": ",
                                  v1::Outcome::Code_Name(record.outcome.code()));
  if (record.outcome.has_reason()) absl::StrAppend(&said, ": ", Describe(record.outcome.reason()));
  LogInfo(said);
  if (parts_.on_settled) parts_.on_settled(record, TookSince(accepted_unix_ms, *parts_.clock));
  bool prune = false;
  {
    const std::lock_guard lock(mutex_);
    const auto found = active_.find(name);
    if (found == active_.end()) return;
    for (const auto& weak : found->second.watchers) {
      if (const auto watcher = weak.lock()) watcher->OnOutcome(record.outcome);
    }
    active_.erase(found);
    followed_.erase(name);
    prune = ++settled_since_pruning_ >= kPruneEvery;
    if (prune) settled_since_pruning_ = 0;
  }
  if (!prune) return;
  const auto pruned = parts_.journal->Prune();
  if (!pruned.ok()) LogWarning(absl::StrCat("pruning the journal: ", std::string(pruned.status().message())));
}

void Supervisor::Lost(const Name& name, const absl::Status& why) {
  LogWarning(absl::StrCat(name, " is not settled: ", std::string(why.message())));
  const std::lock_guard lock(mutex_);
  const auto found = active_.find(name);
  if (found == active_.end()) return;
  for (const auto& weak : found->second.watchers) {
    if (const auto watcher = weak.lock()) watcher->OnLost(why);
  }
  active_.erase(found);
  followed_.erase(name);
}

void Supervisor::Tell(Active& active, const v1::Progress& progress) {
  active.progress = progress;
  auto& watchers = active.watchers;
  std::erase_if(watchers, [](const std::weak_ptr<Watcher>& weak) { return weak.expired(); });
  for (const auto& weak : watchers) {
    if (const auto watcher = weak.lock()) watcher->OnProgress(progress);
  }
}

absl::StatusOr<bool> Supervisor::Cancel(const v1::OperationId& id) {
  K3SAGA_ASSIGN_OR_RETURN(const bool found, parts_.journal->RequestCancel(id));
  if (!found) return false;
  std::shared_ptr<OperationRun> run;
  {
    const std::lock_guard lock(mutex_);
    const auto active = active_.find(OperationName(id));
    if (active != active_.end()) run = active->second.run;
  }
  if (run != nullptr) run->Cancel();  // a process of its own reads the journal
  return true;
}

bool Supervisor::Idle() {
  const std::lock_guard lock(mutex_);
  return active_.empty();
}

bool Supervisor::Shutdown(std::chrono::milliseconds patience) {
  std::vector<std::shared_ptr<OperationRun>> runs;
  std::jthread follower;
  {
    const std::lock_guard lock(mutex_);
    down_ = true;
    for (const auto& [name, active] : active_) {
      if (active.run != nullptr) runs.push_back(active.run);
    }
    follower = std::move(follower_);
  }
  for (const auto& run : runs) run->Stop();
  follower = {};  // asks it to stop, and joins
  return pool_->WaitUntilIdle(patience);
}

void Supervisor::EnsureFollower() {
  if (down_ || follower_runs_) {
    follow_wake_.notify_all();
    return;
  }
  follower_runs_ = true;
  // A follower that ended by itself is joined here; it does not need the lock any more.
  follower_ = std::jthread([this](const std::stop_token& stop) { Follow(stop); });
}

void Supervisor::Follow(const std::stop_token& stop) {
  seen_version_ = -1;
  for (int turn = 0; !stop.stop_requested(); ++turn) {
    LookAtJournal();
    if (turn % kLookAtProcessesEvery == 0) LookAtProcesses();
    std::unique_lock lock(mutex_);
    if (followed_.empty()) {
      follower_runs_ = false;
      return;
    }
    const size_t before = followed_.size();
    if (follow_wake_.wait_for(lock, stop, parts_.follow_every, [&] { return followed_.size() > before; })) {
      turn = -1;  // a new one: launched without delay
    }
  }
}

std::vector<v1::OperationId> Supervisor::Followed() {
  const std::lock_guard lock(mutex_);
  std::vector<v1::OperationId> ids;
  for (const auto& [name, id] : followed_) ids.push_back(id);
  return ids;
}

void Supervisor::LookAtJournal() {
  const auto version = parts_.journal->DataVersion();
  if (version.ok() && *version == seen_version_) return;
  for (const v1::OperationId& id : Followed()) {
    const auto entry = parts_.journal->Find(id);
    if (!entry.ok() || !entry->has_value()) {
      Lost(OperationName(id),
           entry.ok() ? absl::NotFoundError("it is gone from the journal") : entry.status());
      continue;
    }
    if ((*entry)->record.settled()) {
      Settled((*entry)->record, (*entry)->accepted_unix_ms);
      continue;
    }
    const std::lock_guard lock(mutex_);
    const auto found = active_.find(OperationName(id));
    if (found == active_.end()) continue;
    Active& active = found->second;
    if ((*entry)->record.starts > active.starts) {
      active.starts = (*entry)->record.starts;
      active.launches = 0;
      active.launched_at.reset();  // it got to work: from now on its lock tells
    }
    const v1::Progress& progress = (*entry)->progress;
    const bool news = progress.phase() != active.progress.phase() ||
                      progress.detail() != active.progress.detail() ||
                      progress.percent() != active.progress.percent();
    if (news) Tell(active, progress);
  }
  if (version.ok()) seen_version_ = *version;
}

void Supervisor::LookAtProcesses() {
  const absl::StatusOr<bool> running = parts_.launcher->Running();
  if (!running.ok()) LogWarning(std::string(running.status().message()));
  if (!running.ok() || *running) return;
  for (const v1::OperationId& id : Followed()) {
    {
      const std::lock_guard lock(mutex_);
      const auto found = active_.find(OperationName(id));
      if (found == active_.end()) continue;
      const auto launched = found->second.launched_at;
      if (launched && parts_.clock->Steady() - *launched < parts_.launch_grace) continue;
    }
    // Its process may have settled it and ended since the journal was read.
    const auto entry = parts_.journal->Find(id);
    if (entry.ok() && entry->has_value() && !(*entry)->record.settled()) Relaunch(**entry);
  }
}

void Supervisor::Relaunch(const Entry& entry) {
  const Name name = OperationName(entry.record.id);
  uint32_t launches = 0;
  absl::Status last_error;
  {
    const std::lock_guard lock(mutex_);
    const auto found = active_.find(name);
    if (found == active_.end()) return;
    Active& active = found->second;
    launches = ++active.launches;
    last_error = active.launch_error;
    active.launched_at = parts_.clock->Steady();
  }
  if (launches > kMaxLaunches) {
    Abandon(entry, last_error);
    return;
  }
  if (launches > 1) LogWarning(absl::StrCat(name, ": its process is gone; launching it again"));
  absl::Status status = parts_.launcher->Launch(entry.record.id, entry.record.starts == 0);
  if (!status.ok()) LogWarning(absl::StrCat(name, ": ", std::string(status.message())));
  const std::lock_guard lock(mutex_);
  const auto found = active_.find(name);
  if (found != active_.end()) found->second.launch_error = std::move(status);
}

void Supervisor::Abandon(const Entry& entry, absl::Status why) {
  if (why.ok())
    why = absl::InternalError("its process ends before it gets to work; see its unit's log on the node");
  Record record = entry.record;
  GiveUp(record, ReasonOf(why));
  const absl::Status saved = parts_.journal->Save(record, entry.deadline);
  if (saved.ok()) {
    Settled(record, entry.accepted_unix_ms);
  } else {
    LogError(absl::StrCat(OperationName(record.id), ": ", std::string(saved.message())));
  }
}

}  // namespace k3saga::operations
