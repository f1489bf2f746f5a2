#include <absl/strings/str_cat.h>

#include "common/reason.h"
#include "coordinator/core/rules/cluster.h"
#include "coordinator/core/rules/rules.h"

namespace k3saga::core {

Verdict NotAborting(const State& state, const Context& context) {
  if (!state.aborting || !Begins(state, context)) return {};
  return {MakeReason(v1::ABORTED_BY_USER, "", absl::StrCat("aborted by ", state.commanded_by))};
}

}  // namespace k3saga::core
