#include "common/later_setting.h"

#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>

namespace k3saga {
namespace {

constexpr std::string_view kSince = "since v1.";
constexpr std::string_view kColon = ": ";

}  // namespace

std::string LaterSettingKey(const LaterSetting& setting) {
  return absl::StrCat("since v1.", setting.minor, ": ", setting.flag);
}

std::optional<LaterSetting> ParseLaterSettingKey(std::string_view key) {
  const size_t colon = key.find(kColon);
  if (key.substr(0, kSince.size()) != kSince || colon == std::string_view::npos) return std::nullopt;
  LaterSetting setting;
  setting.flag = std::string(key.substr(colon + kColon.size()));
  const std::string minor(key.substr(kSince.size(), colon - kSince.size()));
  if (!absl::SimpleAtoi(minor, &setting.minor)) return std::nullopt;
  return setting;
}

}  // namespace k3saga
