#include "tests/systemd/hosts.h"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <iostream>

#include "common/host/files.h"
#include "common/status_macros.h"

namespace k3saga::hosts {
namespace {

constexpr std::chrono::minutes kRootDeadline{15};  // debootstrap, once
constexpr std::chrono::minutes kBootDeadline{6};

absl::StatusOr<ProcessResult> RunScript(std::vector<std::string> arguments,
                                        std::chrono::milliseconds deadline, std::string stdin_data = "") {
  Command command{.argv = {K3SAGA_HOSTS_SCRIPT}};
  command.argv.insert(command.argv.end(), std::make_move_iterator(arguments.begin()),
                      std::make_move_iterator(arguments.end()));
  command.environment = PlainEnvironment();
  command.environment.push_back(absl::StrCat("HOSTS_OWNER=", getpid()));
  for (const char* name :
       {"HOME", "XDG_CACHE_HOME", "http_proxy", "https_proxy", "no_proxy", "K3SAGA_REQUIRE_HOSTS"}) {
    if (const char* value = std::getenv(name)) {
      command.environment.push_back(absl::StrCat(name, "=", value));
    }
  }
  command.stdin_data = std::move(stdin_data);
  command.deadline = deadline;
  return k3saga::Run(command);
}

absl::StatusOr<std::string> ScriptOutput(const std::vector<std::string>& arguments,
                                         std::chrono::milliseconds deadline) {
  K3SAGA_ASSIGN_OR_RETURN(ProcessResult result, RunScript(arguments, deadline));
  if (!result.ok()) {
    return absl::InternalError(
        absl::StrCat("hosts ", absl::StrJoin(arguments, " "), ": ", result.Describe(), "\n", result.err));
  }
  return std::move(result.out);
}

std::string LastLine(std::string_view text) {
  const std::vector<std::string> lines = absl::StrSplit(std::string(text), '\n', absl::SkipWhitespace());
  return lines.empty() ? "" : lines.back();
}

}  // namespace

std::optional<int> ExitWhereImpossible() {
  const absl::StatusOr<ProcessResult> result = RunScript({"possible"}, std::chrono::minutes(2));
  if (!result.ok()) {
    std::cerr << result.status().message() << "\n";
    return 1;
  }
  if (result->ok()) return std::nullopt;
  const bool skipped = result->exit_code != 1;
  std::cerr << (skipped ? "skipped: " : "required, and impossible: ")
            << LastLine(absl::StrCat(result->err, "\n", result->out)) << "\n";
  return result->exit_code;
}

absl::StatusOr<std::unique_ptr<Hosts>> Hosts::Boot(const HostsOptions& options) {
  K3SAGA_RETURN_IF_ERROR(ScriptOutput({"sweep"}, kBootDeadline).status());
  std::vector<std::string> root_arguments = {"rootfs"};
  root_arguments.insert(root_arguments.end(), options.debian_packages.begin(), options.debian_packages.end());
  K3SAGA_ASSIGN_OR_RETURN(const std::string root_output, ScriptOutput(root_arguments, kRootDeadline));

  // Overlays want a real file system below them: /var/tmp is one where /tmp may not be.
  std::string folder = "/var/tmp/k3saga-hosts-XXXXXX";
  if (mkdtemp(folder.data()) == nullptr) {
    return absl::InternalError("cannot make a folder in /var/tmp");
  }
  auto hosts = std::unique_ptr<Hosts>(new Hosts);
  hosts->folder_ = folder;
  hosts->names_ = options.names;
  std::vector<std::string> arguments = {"up", folder, LastLine(root_output)};
  for (const HostsOptions::Bind& bind : options.read_only) {
    arguments.insert(arguments.end(), {"--bind-ro", absl::StrCat(bind.source, ":", bind.target)});
  }
  arguments.insert(arguments.end(), options.names.begin(), options.names.end());
  K3SAGA_RETURN_IF_ERROR(ScriptOutput(arguments, kBootDeadline).status());
  for (const std::string& name : options.names) {
    K3SAGA_ASSIGN_OR_RETURN(const std::string address,
                            ScriptOutput({"address", folder, name}, kBootDeadline));
    hosts->addresses_.push_back(LastLine(address));
  }
  K3SAGA_ASSIGN_OR_RETURN(const std::string id, k3saga::ReadFile(folder + "/id"));
  hosts->network_namespace_ = absl::StrCat("/run/netns/k3saga-", LastLine(id));
  return hosts;
}

Hosts::~Hosts() {
  const absl::StatusOr<std::string> ended = ScriptOutput({"down", folder_}, kBootDeadline);
  if (!ended.ok()) {
    std::fprintf(stderr, "%s\n", std::string(ended.status().message()).c_str());
  }
  std::error_code ignored;
  std::filesystem::remove(folder_, ignored);  // empty, or not there any more
}

const std::string& Hosts::Address(std::string_view name) const {
  const auto at = std::find(names_.begin(), names_.end(), name);
  return addresses_.at(static_cast<size_t>(at - names_.begin()));
}

std::vector<std::string> Hosts::CommandIn(std::string_view name, const std::vector<std::string>& argv) const {
  std::vector<std::string> command = {K3SAGA_HOSTS_SCRIPT, "exec", folder_, std::string(name)};
  command.insert(command.end(), argv.begin(), argv.end());
  return command;
}

absl::StatusOr<ProcessResult> Hosts::Run(std::string_view name, std::vector<std::string> argv,
                                         std::chrono::milliseconds deadline, std::string stdin_data) const {
  argv.insert(argv.begin(), {"exec", folder_, std::string(name)});
  return RunScript(std::move(argv), deadline, std::move(stdin_data));
}

absl::StatusOr<std::string> Hosts::Output(std::string_view name, std::vector<std::string> argv,
                                          std::chrono::milliseconds deadline) const {
  const std::string what = absl::StrJoin(argv, " ");
  K3SAGA_ASSIGN_OR_RETURN(ProcessResult result, Run(name, std::move(argv), deadline));
  if (!result.ok()) {
    return absl::InternalError(
        absl::StrCat(std::string(name), ": ", what, ": ", result.Describe(), "\n", result.out));
  }
  return std::move(result.out);
}

absl::StatusOr<std::string> Hosts::ReadFile(std::string_view name, const std::string& path) const {
  return Output(name, {"cat", path});
}

absl::Status Hosts::WriteFile(std::string_view name, const std::string& path, std::string content,
                              int mode) const {
  char octal[8];
  std::snprintf(octal, sizeof octal, "%o", static_cast<unsigned>(mode));
  K3SAGA_ASSIGN_OR_RETURN(const ProcessResult result,
                          Run(name, {"install", "-D", absl::StrCat("--mode=", octal), "/dev/stdin", path},
                              std::chrono::minutes(5), std::move(content)));
  return result.ok()
             ? absl::OkStatus()
             : absl::InternalError(absl::StrCat(std::string(name), ": ", path, ": ", result.Describe()));
}

absl::Status Hosts::Unplug(std::string_view name) {
  return ScriptOutput({"unplug", folder_, std::string(name)}, kBootDeadline).status();
}
absl::Status Hosts::PowerOn(std::string_view name) {
  return ScriptOutput({"boot", folder_, std::string(name)}, kBootDeadline).status();
}
absl::Status Hosts::CutNetwork(std::string_view name) {
  return ScriptOutput({"cut", folder_, std::string(name)}, kBootDeadline).status();
}
absl::Status Hosts::MendNetwork(std::string_view name) {
  return ScriptOutput({"mend", folder_, std::string(name)}, kBootDeadline).status();
}

}  // namespace k3saga::hosts
