#pragma once

#include <absl/status/status.h>

#include <functional>
#include <string>

#include "agent/operations/effects.h"
#include "common/host/pause.h"
#include "common/reason.h"

namespace k3saga::service {

// How long a call of an effect may take, and who may end it.
inline Patience PatienceOf(const operations::EffectContext& context) {
  return {context.Remaining(), context.StopToken()};
}

// Done, interrupted (somebody asked to stop), or failed with the error's own reason: at a deadline that one
// says more than the clock.
inline operations::EffectResult ToResult(const absl::Status& status, const operations::EffectContext& context,
                                         std::string_view subject = "") {
  if (status.ok()) return operations::EffectResult::Done();
  if (context.StopToken().stop_requested()) return operations::EffectResult::Interrupted();
  return operations::EffectResult::Failed(ReasonOf(status, subject));
}

// Passes what a room says on to whoever watches.
inline std::function<void(const std::string&)> Sayer(operations::EffectContext& context) {
  return [&context](const std::string& said) { context.Report(said, 0); };
}

}  // namespace k3saga::service
