#include <absl/synchronization/mutex.h>

#include <CLI/CLI.hpp>
#include <cstdint>
#include <filesystem>
#include <iostream>
#include <string>

#include "agent/service/agent.h"
#include "agent/service/config.h"
#include "common/host/crash_point.h"
#include "common/host/log.h"

namespace {

constexpr int kFailed = 1;
constexpr int kBadInput = 2;

int Finish(const absl::Status& status) {
  if (status.ok()) return 0;
  k3saga::LogError(std::string(status.message()));
  return status.code() == absl::StatusCode::kInvalidArgument ? kBadInput : kFailed;
}

}  // namespace

int main(int argc, char** argv) {
  // gRPC's own locks are many; Debian's Abseil would check each for deadlocks.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);

  CLI::App app("k3saga-agent: upgrades k3s on this node when its coordinator asks", "k3saga-agent");
  std::string config_file = "/etc/k3saga/agent.yaml";
  bool list_crash_points = false;
  bool verbose = false;
  app.add_option("--config", config_file, "Configuration file")->capture_default_str();
  app.add_flag("--verbose", verbose, "Log more");
  app.add_flag("--list-crash-points", list_crash_points, "List where a test may let this program die")
      ->group("");
  app.set_version_flag("--version", std::string("k3saga-agent ") + K3SAGA_VERSION);

  std::string rollout;
  uint64_t sequence = 0;
  uint32_t attempt = 0;
  CLI::App* operation =
      app.add_subcommand("operation", "Run one accepted operation to its end (started by the agent)");
  operation->add_option("--config", config_file, "Configuration file");
  operation->add_option("ROLLOUT", rollout)->required();
  operation->add_option("SEQUENCE", sequence)->required();
  operation->add_option("ATTEMPT", attempt)->required();
  CLI::App* replace =
      app.add_subcommand("replace", "Put an uploaded agent in the place of this one (started by the agent)");
  replace->add_option("--config", config_file, "Configuration file");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kBadInput;
  }

  if (list_crash_points) {
    for (const std::string& name : k3saga::CrashPoint::All()) std::cout << name << "\n";
    return 0;
  }
  k3saga::InitLog(verbose ? k3saga::LogLevel::kDebug : k3saga::LogLevel::kInfo);
  auto config = k3saga::service::LoadAgentConfig(config_file);
  if (!config.ok()) return Finish(config.status());
  // Operations are started as this very program, wherever it lies and whatever the working directory.
  std::error_code error;
  config->file = std::filesystem::absolute(config_file, error).string();
  if (operation->parsed()) {
    return Finish(k3saga::service::RunOperation(*config, rollout, sequence, attempt));
  }
  const std::string program = std::filesystem::read_symlink("/proc/self/exe", error).string();
  if (replace->parsed()) return Finish(k3saga::service::RunReplacement(*config, program));
  return Finish(k3saga::service::Serve(*config, program));
}
