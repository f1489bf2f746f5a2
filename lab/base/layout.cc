#include "lab/base/layout.h"

#include <absl/time/clock.h>
#include <absl/time/time.h>
#include <limits.h>
#include <unistd.h>

#include <random>

#include "common/status_macros.h"
#include "lab/base/files.h"

namespace k3saga::lab {

using nlohmann::json;

NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(Timings, server_start_ms, worker_start_ms, heartbeat_ms,
                                                node_grace_ms, pod_start_ms, pod_stop_ms, restart_sec_ms)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(LabNode, name, server, address)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(Lab, network, cluster, version, datastore, token, timings,
                                                nodes)

const LabNode* Lab::FindNode(std::string_view name) const {
  for (const LabNode& node : nodes) {
    if (node.name == name) return &node;
  }
  return nullptr;
}

std::vector<LabNode> Lab::Servers() const {
  std::vector<LabNode> servers;
  for (const LabNode& node : nodes) {
    if (node.server) servers.push_back(node);
  }
  return servers;
}

absl::Status SaveLab(const Lab& lab) {
  return WriteFile(lab.dir / "lab.json", json(lab).dump(2) + "\n", 0600);
}

absl::StatusOr<Lab> LoadLab(const std::filesystem::path& dir) {
  const std::filesystem::path file = dir / "lab.json";
  if (!std::filesystem::exists(file)) {
    return absl::NotFoundError(
        absl::StrCat("no lab in ", dir.string(), "; start one with: k3saga-lab up --dir ", dir.string()));
  }
  K3SAGA_ASSIGN_OR_RETURN(std::string text, ReadFile(file));
  json parsed = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!parsed.is_object()) {
    return absl::DataLossError(absl::StrCat(file.string(), " is not JSON; remove the folder"));
  }
  Lab lab = parsed.get<Lab>();
  lab.dir = std::filesystem::absolute(dir).lexically_normal();
  return lab;
}

std::optional<NodeHome> FindNodeHome(const char* environment, const std::filesystem::path& path) {
  const std::filesystem::path start =
      environment != nullptr ? std::filesystem::path(environment) / "x" : path;
  for (std::filesystem::path at = start.parent_path(); at.has_relative_path(); at = at.parent_path()) {
    const std::filesystem::path nodes = at.parent_path();
    if (nodes.filename() == "nodes" && std::filesystem::exists(nodes.parent_path() / "lab.json")) {
      return NodeHome{nodes.parent_path(), at.filename().string()};
    }
  }
  char host[HOST_NAME_MAX + 1] = {};
  if (std::filesystem::exists(std::filesystem::path(kMachineLab) / "lab.json") &&
      gethostname(host, sizeof(host) - 1) == 0) {
    return NodeHome{kMachineLab, host};
  }
  return std::nullopt;
}

json ReadNodeFaults(const Layout& layout, std::string_view node) {
  auto text = ReadFile(layout.Node(node) / "fault.json");
  if (!text.ok()) return json::object();
  json faults = json::parse(*text, nullptr, /*allow_exceptions=*/false);
  return faults.is_object() ? faults : json::object();
}

int64_t NowMillis() { return absl::ToUnixMillis(absl::Now()); }

std::string FormatTime(int64_t unix_millis) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", absl::FromUnixMillis(unix_millis), absl::UTCTimeZone());
}

std::string FormatMicroTime(int64_t unix_millis) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%E6SZ", absl::FromUnixMillis(unix_millis), absl::UTCTimeZone());
}

int64_t ParseTime(std::string_view text) {
  absl::Time time;
  std::string error;
  if (!absl::ParseTime(absl::RFC3339_full, std::string(text), &time, &error)) return 0;
  return absl::ToUnixMillis(time);
}

std::string RandomHex(size_t bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::random_device random;
  std::string text;
  for (size_t i = 0; i < 2 * bytes; ++i) text += kDigits[random() & 15U];
  return text;
}

}  // namespace k3saga::lab
