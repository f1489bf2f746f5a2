#pragma once

#include "coordinator/core/state.h"

namespace k3saga::core {

// Counts as unavailable: being worked on, left cordoned or broken by us, or away before we came and not yet
// seen Ready.
bool Unavailable(const NodeState& node);

// Lets the fold change one node and keeps the tally true: leaves it on construction, joins it again at the
// end.
class NodeEdit {
 public:
  NodeEdit(State& state, uint32_t index);
  ~NodeEdit();
  NodeEdit(const NodeEdit&) = delete;
  NodeEdit& operator=(const NodeEdit&) = delete;

  NodeState* operator->() { return &node_; }
  NodeState& operator*() { return node_; }

 private:
  Tally& tally_;
  NodeState& node_;
};

// A node that was just added to the state.
void Join(const NodeState& node, Tally& tally);

}  // namespace k3saga::core
