// k3saga-lab-k3s: a simulated k3s. Every release of a lab is a copy of this program with its version behind
// it.
#include <absl/synchronization/mutex.h>

#include <csignal>
#include <iostream>

#include "lab/k3s/etcd_member.h"
#include "lab/k3s/instance.h"
#include "lab/k3s/server.h"

namespace {

using k3saga::lab::Instance;

constexpr int kFailed = 1;

int PrintVersion() {
  auto release = k3saga::lab::OwnRelease();
  if (!release.ok()) {
    std::cerr << release.status().message() << "\n";
    return kFailed;
  }
  std::cout << "k3s version " << release->version << " ("
            << "1ab00000)\ngo version go1.22.9\n";
  return 0;
}

// k3s etcd-snapshot [save|ls|list] --name X. Old versions know no subcommands: there, even "ls" takes one.
int RunSnapshot(const std::vector<std::string>& arguments) {
  auto instance = k3saga::lab::LoadInstance(/*server=*/true, arguments);
  if (!instance.ok()) {
    std::cerr << instance.status().message() << "\n";
    return kFailed;
  }
  if (!arguments.empty() && (arguments[0] == "ls" || arguments[0] == "list")) {
    std::error_code none;
    for (const auto& entry :
         std::filesystem::directory_iterator(instance->DataDir() / "server/db/snapshots", none)) {
      std::cout << entry.path().filename().string() << " file://" << entry.path().string() << "\n";
    }
    return 0;
  }
  auto file = SaveSnapshot(*instance, instance->options.Text("name", "on-demand"));
  if (!file.ok()) {
    k3saga::lab::LogK3s("fatal", std::string(file.status().message()));
    return kFailed;
  }
  k3saga::lab::LogK3s("info", "Snapshot " + std::filesystem::path(*file).filename().string() + " saved.");
  return 0;
}

int RunNode(bool server, const std::vector<std::string>& arguments) {
  auto instance = k3saga::lab::LoadInstance(server, arguments);
  if (!instance.ok()) {
    k3saga::lab::LogK3s("fatal", std::string(instance.status().message()));
    return kFailed;
  }
  return server ? RunServer(*instance) : RunWorker(*instance);
}

}  // namespace

int main(int argc, char** argv) {
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  if (argc > 2 && std::string_view(argv[1]) == "--data-dir") {  // also accepted before the command
    argv += 2;
    argc -= 2;
  }
  const std::string command = argc > 1 ? argv[1] : "--help";
  const std::vector<std::string> arguments(argv + std::min(argc, 2), argv + argc);
  if (command == "--version" || command == "-v") return PrintVersion();
  if (command == "server") return RunNode(/*server=*/true, arguments);
  if (command == "agent") return RunNode(/*server=*/false, arguments);
  if (command == "etcd-snapshot") return RunSnapshot(arguments);
  if (command == "ctr") return 0;  // carries nothing to unpack
  if (command == "secrets-encrypt") {
    std::cout << "Encryption Status: Disabled, no configuration file found\n";
    return 0;
  }
  std::cerr << "k3s (simulated): server, agent, ctr, etcd-snapshot, secrets-encrypt status, --version\n";
  return command == "--help" ? 0 : kFailed;
}
