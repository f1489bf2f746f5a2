#pragma once

#include <string>
#include <vector>

#include "k3saga/v1/operation.pb.h"

namespace k3saga::cli {

// What `release` lists in its k3s-images.txt, from the first source that this machine can read (https, or a
// folder here; not a folder on the nodes). Empty when none has it: a plan does without. Blocks for a few
// seconds at most.
std::vector<std::string> ReadTargetImages(const v1::Release& release);

}  // namespace k3saga::cli
