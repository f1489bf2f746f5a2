#pragma once

#include <absl/status/statusor.h>

#include <string>
#include <string_view>

namespace k3saga::kube {

// What the current context of a kubeconfig comes to. Secrets: never printed.
struct Kubeconfig {
  std::string server;  // "https://127.0.0.1:6443"
  std::string ca_pem;
  std::string client_certificate_pem;
  std::string client_key_pem;
  std::string token;  // "" where the client certificate does
};

// Reads a kubeconfig as k3s writes it: data inside (base64) or paths of files, relative to the kubeconfig's
// folder. Errors name the file and the key, never a value. An https server and a CA are required.
absl::StatusOr<Kubeconfig> LoadKubeconfig(const std::string& path);

// The same from text; `path` is for messages and relative paths.
absl::StatusOr<Kubeconfig> ParseKubeconfig(std::string_view text, const std::string& path);

}  // namespace k3saga::kube
