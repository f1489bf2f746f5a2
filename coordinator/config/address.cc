#include "coordinator/config/address.h"

#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <arpa/inet.h>

#include <algorithm>
#include <cctype>
#include <optional>

namespace k3saga::config {
namespace {

constexpr size_t kLongestHost = 253;

bool IsAddress(int family, const std::string& text) {
  in6_addr ignored{};
  return inet_pton(family, text.c_str(), &ignored) == 1;
}

bool IsHostName(std::string_view text) {
  if (text.empty() || text.size() > kLongestHost || text.front() == '-' || text.front() == '.') return false;
  const bool letters =
      std::any_of(text.begin(), text.end(), [](unsigned char c) { return std::isalpha(c) != 0; });
  // Without a letter it is a mistyped IPv4 address.
  return letters && std::all_of(text.begin(), text.end(),
                                [](unsigned char c) { return std::isalnum(c) != 0 || c == '-' || c == '.'; });
}

std::optional<int> ParsePort(std::string_view text) {
  int port = 0;
  const bool digits =
      !text.empty() && text.size() <= 5 &&
      std::all_of(text.begin(), text.end(), [](unsigned char c) { return std::isdigit(c) != 0; });
  if (!digits || !absl::SimpleAtoi(std::string(text), &port) || port < 1 || port > 65535) return std::nullopt;
  return port;
}

}  // namespace

absl::StatusOr<std::string> AgentTarget(std::string_view text) {
  auto bad = [&text] {
    return absl::InvalidArgumentError(
        absl::StrCat("expected an address such as 10.0.0.11, 10.0.0.11:", kDefaultAgentPort,
                     " or [fd00::11]:", kDefaultAgentPort, ", found \"", std::string(text), "\""));
  };
  if (IsAddress(AF_INET6, std::string(text))) {
    return absl::StrCat("ipv6:[", std::string(text), "]:", kDefaultAgentPort);
  }
  std::string host(text);
  int port = kDefaultAgentPort;
  if (size_t colon = text.rfind(':'); colon != std::string_view::npos && text.back() != ']') {
    std::optional<int> parsed = ParsePort(text.substr(colon + 1));
    if (!parsed) return bad();
    port = *parsed;
    host = std::string(text.substr(0, colon));
  }
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
    if (!IsAddress(AF_INET6, host)) return bad();
    return absl::StrCat("ipv6:[", host, "]:", port);
  }
  if (IsAddress(AF_INET, host)) return absl::StrCat("ipv4:", host, ":", port);
  if (!IsHostName(host)) return bad();
  return absl::StrCat("dns:///", host, ":", port);
}

}  // namespace k3saga::config
