#include "agent/replace/agent_host.h"

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_split.h>
#include <absl/strings/strip.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <map>
#include <tuple>
#include <utility>

#include "common/host/files.h"
#include "common/host/process.h"
#include "common/host/unique_fd.h"
#include "common/status_macros.h"

namespace k3saga::replace {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kShort{20'000};
// apt waits for other apt and dpkg runs on the machine for a part of it.
constexpr milliseconds kInstall{300'000};
constexpr int kWords = 3;

absl::StatusOr<Form> FormOf(const std::string& file) {
  UniqueFd fd(open(file.c_str(), O_RDONLY | O_CLOEXEC));
  char head[8] = {};
  if (!fd.valid() || pread(fd.get(), head, sizeof(head), 0) != sizeof(head)) {
    return absl::InvalidArgumentError(absl::StrCat(file, " cannot be read, or is too short"));
  }
  const std::string_view start(head, sizeof(head));
  if (start == "!<arch>\n") return Form::kPackage;
  if (start.substr(0, 4) ==
      "\x7f"
      "ELF") {
    return Form::kProgram;
  }
  return absl::InvalidArgumentError(absl::StrCat(file, " is neither a Debian package nor a program"));
}

Command Tool(std::vector<std::string> argv, milliseconds deadline = kShort) {
  return {.argv = std::move(argv), .environment = PlainEnvironment(), .deadline = deadline};
}

// "Package: k3saga-agent\nVersion: 0.2.0\n": the fields of a package's control file.
std::map<std::string, std::string> Fields(const std::string& text) {
  std::map<std::string, std::string> fields;
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    std::pair<std::string, std::string> field = absl::StrSplit(line, absl::MaxSplits(": ", 1));
    fields.insert(std::move(field));
  }
  return fields;
}

// What a program calls itself. One for another kind of machine, or whose libraries are missing, is an error.
absl::StatusOr<std::pair<std::string, std::string>> NameAndVersion(const std::string& program) {
  K3SAGA_ASSIGN_OR_RETURN(const std::string out, RunForOutput(Tool({program, "--version"})));
  std::pair<std::string, std::string> words =
      absl::StrSplit(absl::StripAsciiWhitespace(out), absl::MaxSplits(' ', 1));
  return words;
}

class ToolAgentHost final : public AgentHost {
 public:
  ToolAgentHost(node::HostPaths paths, node::Systemd* systemd, std::string program)
      : paths_(std::move(paths)), systemd_(*systemd), program_(std::move(program)) {}

  const std::string& program() const override { return program_; }

  absl::StatusOr<Offered> Inspect(const std::string& file) override {
    Offered offered;
    K3SAGA_ASSIGN_OR_RETURN(offered.form, FormOf(file));
    if (offered.form == Form::kPackage) {
      K3SAGA_ASSIGN_OR_RETURN(
          const std::string out,
          RunForOutput(Tool({"dpkg-deb", "--field", file, "Package", "Version", "Architecture"})));
      std::map<std::string, std::string> fields = Fields(out);
      offered.name = fields["Package"];
      offered.version = fields["Version"];
      offered.architecture = fields["Architecture"];
      return offered;
    }
    if (chmod(file.c_str(), 0700) != 0) {
      return absl::InternalError(absl::StrCat(file, " cannot be made executable"));
    }
    K3SAGA_ASSIGN_OR_RETURN(std::tie(offered.name, offered.version), NameAndVersion(file));
    return offered;
  }

  absl::StatusOr<Installed> LookAtInstalled(uint32_t service_pid) override {
    Installed installed;
    installed.architecture = node::MachineArchitecture();
    K3SAGA_ASSIGN_OR_RETURN(const ServiceState service, Look());
    installed.own_unit = service.main_pid == service_pid;
    installed.runs = service.runs_installed;
    // No dpkg, or a program that it does not know: the tarball's.
    const auto owner = RunForOutput(Tool({"dpkg-query", "--search", program_}));
    if (!owner.ok() || !absl::StartsWith(*owner, "k3saga-agent:")) {
      K3SAGA_ASSIGN_OR_RETURN(std::tie(std::ignore, installed.version), NameAndVersion(program_));
      return installed;
    }
    installed.form = Form::kPackage;
    K3SAGA_ASSIGN_OR_RETURN(
        const std::string shown,
        RunForOutput(
            Tool({"dpkg-query", "--show", "--showformat=Version: ${Version}\nArchitecture: ${Architecture}\n",
                  "k3saga-agent"})));
    std::map<std::string, std::string> fields = Fields(shown);
    installed.version = fields["Version"];
    installed.architecture = fields["Architecture"];
    return installed;
  }

  absl::StatusOr<int> Compare(Form form, const std::string& one, const std::string& other) override {
    if (one == other) return 0;
    if (form == Form::kProgram) return CompareVersions(one, other);
    K3SAGA_ASSIGN_OR_RETURN(const ProcessResult result,
                            Run(Tool({"dpkg", "--compare-versions", one, "lt", other})));
    return result.ok() ? -1 : 1;
  }

  absl::Status Install(const std::string& file, bool allow_downgrade) override {
    K3SAGA_ASSIGN_OR_RETURN(const Form form, FormOf(file));
    if (form == Form::kProgram) return ReplaceFileDurably(file, program_, 0755);
    std::vector<std::string> argv = {"apt-get",
                                     "install",
                                     "--yes",
                                     "--quiet",
                                     "--no-install-recommends",
                                     "--no-remove",
                                     "--option=Dpkg::Options::=--force-confdef",
                                     "--option=Dpkg::Options::=--force-confold",
                                     "--option=DPkg::Lock::Timeout=120",
                                     "--option=APT::Sandbox::User=root"};
    if (allow_downgrade) argv.emplace_back("--allow-downgrades");
    argv.push_back(file);
    Command command = Tool(std::move(argv), kInstall);
    // Nothing asks, and nothing else on the machine is restarted on this occasion.
    for (const char* variable :
         {"DEBIAN_FRONTEND=noninteractive", "APT_LISTCHANGES_FRONTEND=none", "NEEDRESTART_SUSPEND=1"}) {
      command.environment.emplace_back(variable);
    }
    return RunForOutput(command).status();
  }

  absl::Status Restart() override { return systemd_.Restart(kAgentUnit); }

  absl::StatusOr<ServiceState> Look() override {
    K3SAGA_ASSIGN_OR_RETURN(const node::UnitStatus unit, systemd_.Show(kAgentUnit));
    ServiceState state;
    state.active = unit.active();
    state.main_pid = unit.main_pid;
    state.words = unit.Describe();
    struct stat running {};
    struct stat installed {};
    const std::string executable = absl::StrCat(paths_.proc, "/", unit.main_pid, "/exe");
    state.runs_installed = unit.main_pid != 0 && stat(executable.c_str(), &running) == 0 &&
                           stat(program_.c_str(), &installed) == 0 && running.st_dev == installed.st_dev &&
                           running.st_ino == installed.st_ino;
    return state;
  }

  std::string LastWords() override {
    const auto lines = systemd_.Journal(kAgentUnit, kWords);
    if (!lines.ok()) return "";
    return absl::StrJoin(absl::StrSplit(*lines, '\n', absl::SkipWhitespace()), "; ");
  }

 private:
  const node::HostPaths paths_;
  node::Systemd& systemd_;
  const std::string program_;
};

}  // namespace

std::unique_ptr<AgentHost> MakeAgentHost(node::HostPaths paths, node::Systemd* systemd, std::string program) {
  return std::make_unique<ToolAgentHost>(std::move(paths), systemd, std::move(program));
}

}  // namespace k3saga::replace
