#pragma once

#include <cstdint>

namespace k3saga {

// What coordinator and agents speak with each other; grows by one when a verb, an event or the meaning of a
// field is added. Each side says its own in facts and plans; neither asks the other for what it does not
// know.
inline constexpr uint32_t kProtocol = 1;

// What is promised (docs/install.md): a coordinator works with agents of its own protocol, of the one before,
// and of later ones. Nothing was released before 1.
inline constexpr uint32_t kOldestProtocol = kProtocol > 1 ? kProtocol - 1 : 1;

}  // namespace k3saga
