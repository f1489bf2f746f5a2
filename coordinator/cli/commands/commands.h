#pragma once

#include <absl/status/status.h>

#include "coordinator/cli/exit_code.h"
#include "coordinator/cli/options.h"
#include "coordinator/cli/session.h"

// One function a command: prints what there is to say and returns how the process ends.
namespace k3saga::cli {

ExitCode Run(const InitCommand& command, const Context& context);
ExitCode Run(const IssueAgentCommand& command, const Context& context);
ExitCode Run(const IssueCoordinatorCommand& command, const Context& context);
ExitCode Run(const NodesCommand& command, const Context& context);
ExitCode Run(const CheckCommand& command, const Context& context);
ExitCode Run(const PlanCommand& command, const Context& context);
ExitCode Run(const UpgradeCommand& command, const Context& context);
ExitCode Run(const RollbackCommand& command, const Context& context);
ExitCode Run(const RestoreCommand& command, const Context& context);
ExitCode Run(const StatusCommand& command, const Context& context);
ExitCode Run(const HistoryCommand& command, const Context& context);
ExitCode Run(const ExportCommand& command, const Context& context);
ExitCode Run(const PauseCommand& command, const Context& context);
ExitCode Run(const ResumeCommand& command, const Context& context);
ExitCode Run(const AdoptCommand& command, const Context& context);
ExitCode Run(const AbortCommand& command, const Context& context);
ExitCode Run(const BackupCommand& command, const Context& context);
ExitCode Run(const BackupsCommand& command, const Context& context);
ExitCode Run(const VerifyBackupCommand& command, const Context& context);
ExitCode Run(const RenderPlansCommand& command, const Context& context);
ExitCode Run(const AgentsUpgradeCommand& command, const Context& context);

// Prints the error: what the user gave was wrong (kUsage), or what was tried did not work (kFailed).
ExitCode InputError(const Context& context, const absl::Status& status);
ExitCode Failure(const Context& context, const absl::Status& status);

// What is in the way of `request`, printed in the context's format; kRefused.
ExitCode PrintRefusal(const Context& context, const core::PlanOutcome& outcome);

}  // namespace k3saga::cli
