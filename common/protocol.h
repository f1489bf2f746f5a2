#pragma once

#include <cstdint>
#include <vector>

#include "k3saga/v1/operation.pb.h"

namespace k3saga {

// What coordinator and agents speak with each other; grows by one when a verb, an event or the meaning of a
// field is added. Each side says its own in facts and plans; neither asks the other for what it does not
// know.
inline constexpr uint32_t kProtocol = 1;

// What is promised (docs/install.md): a coordinator works with agents of its own protocol, of the one before,
// and of later ones. Nothing was released before 1.
inline constexpr uint32_t kOldestProtocol = kProtocol > 1 ? kProtocol - 1 : 1;

// A verb, and the protocol that brought it: agents of an earlier one do not know it.
struct VerbSince {
  v1::OperationSpec::VerbCase verb;
  uint32_t protocol;
};

// Every verb of operation.proto. A new one is entered here together with a new kProtocol; a plan that needs
// it is then refused where an agent lacks it (coordinator/core/planner/agent_checks.cc).
const std::vector<VerbSince>& VerbsByProtocol();

}  // namespace k3saga
