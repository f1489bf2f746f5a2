#include "common/host/secrets.h"

#include <absl/strings/ascii.h>
#include <absl/strings/match.h>
#include <absl/strings/str_replace.h>

#include <algorithm>

namespace k3saga {
namespace {

constexpr std::string_view kMask = "***";
constexpr size_t kShortestSecret = 4;

// "--Agent_Token" -> "agent-token", "K3S_AGENT_TOKEN" -> "agent-token".
std::string Canonical(std::string_view name) {
  std::string canonical = absl::AsciiStrToLower(std::string(name));
  std::replace(canonical.begin(), canonical.end(), '_', '-');
  canonical.erase(0, std::min(canonical.find_first_not_of('-'), canonical.size()));
  if (absl::StartsWith(canonical, "k3s-")) canonical.erase(0, 4);
  return canonical;
}

}  // namespace

bool IsSecretName(std::string_view name) {
  const std::string canonical = Canonical(name);
  if (absl::EndsWith(canonical, "-file") || absl::EndsWith(canonical, "-keyfile")) return false;
  if (canonical == "t" || canonical == "datastore-endpoint") return true;
  for (const char* word : {"token", "password", "passwd", "passphrase", "secret", "secret-key", "access-key",
                           "api-key", "private-key", "vpn-auth", "credential"}) {
    if (absl::EndsWith(canonical, word)) return true;
  }
  return false;
}

std::string MaskUrl(std::string_view url) {
  const size_t scheme = url.find("://");
  if (scheme == std::string_view::npos) return std::string(url);
  const size_t begin = scheme + 3;
  const size_t end = std::min(url.find_first_of("/?#", begin), url.size());
  // A password may hold an "@" that nobody escaped: the last one before the path ends it.
  const size_t at = url.substr(0, end).rfind('@');
  if (at == std::string_view::npos || at < begin) return std::string(url);
  return std::string(url.substr(0, begin)) + std::string(kMask) + std::string(url.substr(at));
}

std::string_view SecretIn(std::string_view name, std::string_view value) {
  if (IsSecretName(name)) return value;
  // Flags of the programs inside of k3s: "kube-apiserver-arg", "kubelet-arg", "etcd-arg".
  if (!absl::EndsWith(Canonical(name), "-arg")) return "";
  const size_t equals = value.find('=');
  return equals == std::string_view::npos ? "" : SecretIn(value.substr(0, equals), value.substr(equals + 1));
}

std::string MaskValue(std::string_view name, std::string_view value) {
  const std::string_view secret = SecretIn(name, value);
  if (secret.empty()) return MaskUrl(value);
  return std::string(value.substr(0, value.size() - secret.size())) + std::string(kMask);
}

void SecretMask::Add(std::string_view secret) {
  if (secret.size() < kShortestSecret) return;
  secrets_.emplace_back(secret);
  std::sort(secrets_.begin(), secrets_.end(),
            [](const std::string& a, const std::string& b) { return a.size() > b.size(); });
}

std::string SecretMask::Apply(std::string_view text) const {
  std::string masked(text);
  for (const std::string& secret : secrets_) {
    absl::StrReplaceAll({{secret, std::string(kMask)}}, &masked);
  }
  return masked;
}

}  // namespace k3saga
