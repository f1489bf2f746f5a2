#include <absl/synchronization/mutex.h>
#include <curl/curl.h>
#include <grpc/support/log.h>
#include <signal.h>

#include <cstdlib>
#include <variant>

#include "coordinator/cli/commands/commands.h"
#include "coordinator/cli/options.h"
#include "coordinator/cli/system_user.h"

int main(int argc, char** argv) {
  using namespace k3saga::cli;
  // Debian's Abseil looks for deadlocks in gRPC's locks, which costs a third of the processor with many
  // channels.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  // gRPC's own lines would tear the live view apart; what matters comes back as a status.
  if (std::getenv("GRPC_VERBOSITY") == nullptr) gpr_set_log_function([](gpr_log_func_args*) {});
  signal(SIGPIPE, SIG_IGN);
  curl_global_init(CURL_GLOBAL_DEFAULT);

  Options options;
  ExitCode code = ExitCode::kDone;
  if (!ParseOptions(argc, argv, &options, &code)) return static_cast<int>(code);
  Context context;
  context.cluster_file = options.cluster_file;
  context.output = options.output;
  if (const absl::Status status = ActAsSystemUser(context.cluster_file); !status.ok())
    return static_cast<int>(Failure(context, status));
  code = std::visit([&context](const auto& command) { return Run(command, context); }, options.command);
  return static_cast<int>(code);
}
