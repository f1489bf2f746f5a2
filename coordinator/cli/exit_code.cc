#include "coordinator/cli/exit_code.h"

namespace k3saga::cli {

std::string ExitCodesHelp() {
  return R"(Exit codes of k3saga:
  0  done: what was asked for is so, also when there was nothing to do
  1  failed: the rollout was compensated or stopped as it says, or something that was tried went wrong
  2  bad usage or input: command line, cluster.yaml or identity; nothing was asked of any node
  3  refused by preflight: the reasons are printed; nothing was touched
  4  paused or detached: the rollout is not finished, `k3saga resume` goes on with it
)";
}

}  // namespace k3saga::cli
