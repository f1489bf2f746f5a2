#pragma once

#include <string_view>
#include <vector>

#include "coordinator/core/state.h"

// "May this be done to that node now?" One rule a file; each looks at one thing and answers with typed
// reasons. Status, plan and view print those reasons and never work them out again.
namespace k3saga::core {

// Empty: allowed.
using Verdict = std::vector<v1::Reason>;

// What is about to be done to a node.
enum class Act : uint8_t {
  kBegin,  // take the node: its first cordon, drain or install
  kTouch,  // stop its k3s: install or put back
  // The datastore's way back, on servers.
  kStop,    // its k3s is stopped, and stays so
  kSwap,    // the files of a stopped server go back
  kReset,   // its datastore is replaced by the backup's
  kRejoin,  // it joins the server that was reset
};

enum class Direction : uint8_t { kForward, kBack };

struct Context {
  const NodeState& node;
  Act act = Act::kTouch;
  Direction direction = Direction::kForward;
};

struct Rule {
  std::string_view name;
  Verdict (*judge)(const State&, const Context&);
};

// In the order in which they are asked; the first that refuses answers.
using RuleTable = std::vector<Rule>;
const RuleTable& AllRules();

Verdict Judge(const RuleTable& rules, const State& state, const Context& context);

}  // namespace k3saga::core
