#pragma once

#include "agent/node/distribution.h"

namespace k3saga::node {

// k3s, as install.sh and its packages set it up.
const Distribution& K3s();

}  // namespace k3saga::node
