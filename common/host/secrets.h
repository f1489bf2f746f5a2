#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace k3saga {

// Whether a flag, configuration key or variable of k3s holds a secret by its name: "--token", "K3S_TOKEN",
// "datastore-endpoint", "etcd-s3-secret-key". Names of *files* that hold secrets ("token-file") are not
// secrets.
bool IsSecretName(std::string_view name);

// The part of a value that is secret, by the name it stands behind: all of a token's, and what follows the
// inner name in "--kube-apiserver-arg oidc-client-secret=...". "" when nothing of it is.
std::string_view SecretIn(std::string_view name, std::string_view value);

// "https://user:password@host/path" becomes "https://***@host/path"; anything else comes back as it was.
std::string MaskUrl(std::string_view url);

// What may be shown of a value: "***" for what is secret in it, else with passwords in URLs masked.
std::string MaskValue(std::string_view name, std::string_view value);

// Removes known secrets from text that others wrote (output of programs) before it is logged or reported.
class SecretMask {
 public:
  // Values shorter than four bytes are not remembered: masking them would only make noise.
  void Add(std::string_view secret);
  std::string Apply(std::string_view text) const;

 private:
  std::vector<std::string> secrets_;  // longest first, so that a part never spoils the whole
};

}  // namespace k3saga
