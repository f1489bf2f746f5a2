#include "lab/k3s/instance.h"

#include <absl/strings/ascii.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <iostream>

#include "common/status_macros.h"
#include "lab/base/files.h"

namespace k3saga::lab {

std::filesystem::path Instance::DataDir() const {
  return options.Text("data-dir", (Root() / "var/lib/rancher/k3s").string());
}

std::string Instance::LocalAddress() const { return lab.dir == kMachineLab ? "127.0.0.1" : node.address; }

std::string Instance::NodeName() const { return options.Text("node-name", node.name); }

absl::StatusOr<std::string> Instance::Token() const {
  if (options.Has("token")) return options.Text("token");
  if (options.Has("token-file")) {
    K3SAGA_ASSIGN_OR_RETURN(std::string text, ReadFile(options.Text("token-file")));
    return std::string(absl::StripAsciiWhitespace(text));
  }
  return std::string();
}

absl::StatusOr<Instance> LoadInstance(bool server, const std::vector<std::string>& arguments) {
  Instance instance;
  instance.server = server;
  instance.arguments = arguments;
  const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe");
  const auto home = FindNodeHome(std::getenv("K3SAGA_LAB_NODE_DIR"), self);
  if (!home.has_value()) {
    return absl::FailedPreconditionError(absl::StrCat(
        self.string(), " is a simulated k3s of k3saga-lab and runs below a lab's DIR/nodes/NAME/root only"));
  }
  K3SAGA_ASSIGN_OR_RETURN(instance.lab, LoadLab(home->lab_dir));
  const LabNode* node = instance.lab.FindNode(home->name);
  if (node == nullptr) return absl::NotFoundError(absl::StrCat("the lab has no node ", home->name));
  instance.node = *node;
  K3SAGA_ASSIGN_OR_RETURN(instance.release, OwnRelease());
  K3SAGA_ASSIGN_OR_RETURN(instance.options,
                          ParseK3sOptions(arguments, instance.Root() / "etc/rancher/k3s/config.yaml"));
  instance.faults = instance.release.faults;
  const nlohmann::json node_faults = ReadNodeFaults(instance.layout(), node->name);
  const std::string only = node_faults.value("version", "");
  if (only.empty() || only == instance.release.version) instance.faults.update(node_faults);
  return instance;
}

std::string TokenSecret(std::string_view token) {
  const size_t colon = token.rfind(':');
  return std::string(colon == std::string_view::npos ? token : token.substr(colon + 1));
}

std::string FullToken(const std::string& ca_certificate, std::string_view who, std::string_view secret) {
  return absl::StrCat("K10", Sha256Hex(ca_certificate), "::", std::string(who), ":", std::string(secret));
}

void LogK3s(std::string_view level, std::string_view message) {
  std::cerr << "time=\"" << FormatTime(NowMillis()) << "\" level=" << level << " msg=\"" << message << "\"\n"
            << std::flush;
}

void NotifyReady() {
  const char* name = std::getenv("NOTIFY_SOCKET");
  if (name == nullptr || *name == '\0') return;
  const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, name, sizeof(address.sun_path) - 1);
  if (name[0] == '@') address.sun_path[0] = '\0';
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + std::strlen(name));
  constexpr char kReady[] = "READY=1\n";
  (void)sendto(fd, kReady, sizeof(kReady) - 1, MSG_NOSIGNAL, reinterpret_cast<const sockaddr*>(&address),
               size);
  close(fd);
}

}  // namespace k3saga::lab
