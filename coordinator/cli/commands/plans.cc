#include "coordinator/plans/plans.h"

#include "coordinator/cli/commands/commands.h"

namespace k3saga::cli {

ExitCode Run(const RenderPlansCommand& command, const Context& context) {
  auto file = config::LoadClusterFile(context.cluster_file);
  if (!file.ok()) return InputError(context, file.status());
  auto text = plans::RenderPlans(*file, command.to);
  if (!text.ok()) return InputError(context, text.status());
  context.console.Out(*text);
  return ExitCode::kDone;
}

}  // namespace k3saga::cli
