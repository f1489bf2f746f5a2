#pragma once

#include <string>
#include <vector>

namespace k3saga::testing {

// `count` loopback addresses (127.x.y.z) on which none of `ports` is taken: tests that run side by side get
// different ones, and fixed ports stay possible. Aborts when there are none.
std::vector<std::string> OwnLoopbackAddresses(size_t count, const std::vector<int>& ports);

}  // namespace k3saga::testing
