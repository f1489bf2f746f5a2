#pragma once

#include <string>

#include "agent/replace/agent_host.h"
#include "common/host/files.h"
#include "tests/unit/common/temp_dir.h"

namespace k3saga::replace {

// A machine by hand: the program is a file, the service runs what lay there when it was last started.
class FakeAgentHost final : public AgentHost {
 public:
  explicit FakeAgentHost(const TempDir& dir) : program_(dir.Write("bin/k3saga-agent", "old", 0755)) {}

  const std::string& program() const override { return program_; }
  absl::StatusOr<Offered> Inspect(const std::string&) override { return offered; }
  absl::StatusOr<Installed> LookAtInstalled(uint32_t) override { return installed; }
  absl::StatusOr<int> Compare(Form, const std::string& one, const std::string& other) override {
    return CompareVersions(one, other);
  }
  absl::Status Install(const std::string& file, bool) override {
    ++installs;
    if (!install_error.ok()) return install_error;
    const auto content = ReadFile(file);
    if (!content.ok()) return content.status();
    const absl::Status written = WriteFileDurably(program_, *content, {.mode = 0755});
    if (restarts_itself) (void)Restart();
    return written;
  }
  absl::Status Restart() override {
    ++restarts;
    ++pid;
    running = *ReadFile(program_);
    return absl::OkStatus();
  }
  absl::StatusOr<ServiceState> Look() override {
    if (running == "crashes") ++pid;  // again and again
    const bool serves = running != "crashes" && running != "hangs";
    return ServiceState{serves, pid, running == *ReadFile(program_),
                        serves ? "active/running" : "activating/start"};
  }
  std::string LastWords() override { return "I cannot"; }

  Offered offered{Form::kPackage, "k3saga-agent", "0.2.0", "amd64"};
  Installed installed{Form::kPackage, "0.1.0", "amd64", true, true};
  absl::Status install_error;
  bool restarts_itself = true;
  std::string running = "old";
  uint32_t pid = 100;
  int installs = 0;
  int restarts = 0;

 private:
  const std::string program_;
};

}  // namespace k3saga::replace
