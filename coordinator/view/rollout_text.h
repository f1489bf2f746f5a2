#pragma once

#include <vector>

#include "coordinator/view/model.h"
#include "coordinator/view/style.h"

namespace k3saga::view {

// A rollout as a page: headline, steps, nodes, what holds it, how it ended. `status` prints it once; the live
// view redraws it. With a height in the style, nodes that nothing happens to are counted instead of listed.
std::vector<Line> RolloutPage(const Model& model, const Style& style);

// How it ended in a sentence, and what to do next: the last words of `upgrade`. Empty while it runs.
std::vector<Line> Conclusion(const Model& model);

}  // namespace k3saga::view
