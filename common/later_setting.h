#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace k3saga {

// A flag in a configuration file that the k3s of a node does not read, but every release since v1.MINOR does.
// Among a node's facts it is a setting with a key of its own, so that nobody takes it for one that counts.
struct LaterSetting {
  std::string flag;  // "disable"
  int minor = 0;
};

// "since v1.21: disable"
std::string LaterSettingKey(const LaterSetting& setting);
// nullopt: a setting like any other.
std::optional<LaterSetting> ParseLaterSettingKey(std::string_view key);

}  // namespace k3saga
