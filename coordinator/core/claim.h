#pragma once

#include <string>

#include "k3saga/v1/facts.pb.h"

namespace k3saga::core {

// Who, since when, from where: "ann@laptop:4711 since 2026-01-31 14:25:07 UTC, epoch 4".
std::string DescribeClaim(const v1::Claim& claim);

}  // namespace k3saga::core
