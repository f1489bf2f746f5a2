#pragma once

#include <absl/status/statusor.h>

#include <filesystem>
#include <string>
#include <string_view>

#include "lab/base/layout.h"
#include "lab/base/pki.h"
#include "lab/k3s/options.h"
#include "lab/k3s/release_file.h"

namespace k3saga::lab {

// One run of a simulated k3s: which lab and node it is on, what it is, and how it was started. A value.
struct Instance {
  Lab lab;
  LabNode node;  // the machine: its address; whether it is a server depends on the command
  ReleaseInfo release;
  K3sOptions options;
  std::vector<std::string> arguments;  // as given, for the node-args annotation
  bool server = false;
  nlohmann::json faults;  // of the release and of the node, those that count for this version

  Layout layout() const { return {lab.dir}; }
  std::filesystem::path Root() const { return layout().Root(node.name); }
  std::filesystem::path DataDir() const;
  std::filesystem::path Tls() const { return DataDir() / "server/tls"; }
  std::string NodeName() const;
  // Where it listens for what only its own machine asks: loopback, or the node's own address where nodes
  // share one.
  std::string LocalAddress() const;
  // The token as given: the secret alone or the full form K10<hash>::server:<secret>. Empty when there is
  // none.
  absl::StatusOr<std::string> Token() const;
};

absl::StatusOr<Instance> LoadInstance(bool server, const std::vector<std::string>& arguments);

// The secret part of a token.
std::string TokenSecret(std::string_view token);
// The full form, pinned to the cluster's authority.
std::string FullToken(const std::string& ca_certificate, std::string_view who, std::string_view secret);

// One line in k3s's log (stderr), in its form: time, level, message.
void LogK3s(std::string_view level, std::string_view message);

// READY=1 to systemd.
void NotifyReady();

}  // namespace k3saga::lab
