#include "coordinator/driver/external_backup.h"

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <unistd.h>

#include <utility>

#include "common/host/clock.h"
#include "common/host/process.h"
#include "common/reason.h"

namespace k3saga::driver {
namespace {

v1::Outcome RunCommand(const ExternalBackup::Job& job) {
  v1::Outcome outcome;
  const auto failed = [&](v1::ReasonCode code, const std::string& detail) {
    outcome.set_code(v1::Outcome::FAILED);
    *outcome.mutable_reason() =
        MakeReason(code, "backup.external_command", detail,
                   "run it by hand on this machine; an exit status of 0 means that the backup is taken");
    return outcome;
  };
  if (job.argv.empty()) return failed(v1::BACKUP_MISSING, "the cluster file names no command");
  Command command;
  command.argv = job.argv;
  for (char** variable = environ; *variable != nullptr; ++variable) {
    if (!absl::StartsWith(*variable, "K3SAGA_")) command.environment.emplace_back(*variable);
  }
  command.environment.push_back(absl::StrCat("K3SAGA_ROLLOUT=", job.rollout));
  command.environment.push_back(absl::StrCat("K3SAGA_BACKUP=", job.name));
  command.deadline = job.deadline;
  const auto result = Run(command);
  if (absl::IsDeadlineExceeded(result.status())) {
    return failed(v1::TIMED_OUT, absl::StrCat(job.argv[0], " did not end within ",
                                              job.deadline.count() / 1000, " s and was killed"));
  }
  if (!result.ok()) return failed(v1::SNAPSHOT_FAILED, std::string(result.status().message()));
  if (!result->ok()) {
    return failed(v1::SNAPSHOT_FAILED, absl::StrCat(job.argv[0], ": ", result->Describe()));
  }
  outcome.set_code(v1::Outcome::SUCCEEDED);
  outcome.mutable_backup()->set_id(job.name);
  outcome.mutable_backup()->set_path(absl::StrCat("by ", job.argv[0]));
  outcome.mutable_backup()->set_taken_unix_ms(SystemClock().WallUnixMillis());
  return outcome;
}

}  // namespace

ExternalBackup::ExternalBackup(Loop& loop, Job job, Done done) : alive_(std::make_shared<bool>(true)) {
  thread_ = std::thread([&loop, job = std::move(job), done = std::move(done), alive = alive_] {
    v1::Outcome outcome = RunCommand(job);
    loop.Post([done, alive, outcome = std::move(outcome)] {
      if (*alive) done(outcome);
    });
  });
}

ExternalBackup::~ExternalBackup() {
  *alive_ = false;
  thread_.join();
}

}  // namespace k3saga::driver
