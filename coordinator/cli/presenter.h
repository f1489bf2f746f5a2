#pragma once

#include <absl/time/time.h>

#include <functional>
#include <memory>
#include <string>

#include "common/host/clock.h"
#include "common/host/loop.h"
#include "coordinator/cli/console.h"
#include "coordinator/cli/options.h"
#include "coordinator/driver/observer.h"

namespace k3saga::cli {

// Shows a rollout while it runs: redrawn in place on a terminal, a line a change in a pipe, a JSON object a
// line for programs. Lives on the loop's thread.
class Presenter : public driver::Observer {
 public:
  // Events up to this number are history: folded into what is shown, but not told one by one (a live view
  // that attaches in the middle). Call before the first event.
  virtual void SkipUntil(uint64_t event) = 0;
  // A line for people that is not an event ("pausing ...").
  virtual void Say(const std::string& text) = 0;
  // The last picture and how it ended. Nothing is shown afterwards.
  virtual void Finish() = 0;
};

// `loop` and `console` outlive it.
std::unique_ptr<Presenter> MakePresenter(OutputFormat format, const Console& console, Loop& loop,
                                         const Clock& clock);

}  // namespace k3saga::cli
