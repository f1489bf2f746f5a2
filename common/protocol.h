#pragma once

#include <cstdint>

namespace k3saga {

// What coordinator and agents speak with each other; grows by one when a verb, an event or the meaning of a
// field is added. Each side says its own in facts and plans; neither asks the other for what it does not
// know.
inline constexpr uint32_t kProtocol = 1;

}  // namespace k3saga
