#include "coordinator/config/cluster_file.h"

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>

#include <map>
#include <utility>

#include "common/host/files.h"
#include "common/release/files.h"
#include "common/version.h"
#include "common/yaml/section.h"
#include "coordinator/config/address.h"
#include "coordinator/config/policies.h"

namespace k3saga::config {
namespace {

constexpr char kDefaultSource[] = "https://github.com/k3s-io/k3s/releases";
constexpr char kDefaultInstaller[] = "https://get.k3s.io";
constexpr char kDefaultChannelServer[] = "https://update.k3s.io/v1-release/channels";
constexpr char kCoordinatorPrefix[] = "coordinator:";
constexpr uint64_t kLargestFile = 4 << 20;

// One parse: what every section's reader shares.
struct Context {
  std::string folder;  // of the file
  const FileExists& exists;

  // A file of this machine that cluster.yaml names.
  std::string Resolve(const std::string& name) const {
    if (name.empty() || name.front() == '/' || folder.empty()) return name;
    return absl::StrCat(folder, "/", name);
  }
  void RequireFile(yaml::Section& section, std::string_view key, const std::string& path) const {
    if (!path.empty() && !exists(path)) section.AddProblem(key, absl::StrCat("no such file: ", path));
  }
};

std::string CheckedName(yaml::Section& section, std::string_view key, std::string_view expected,
                        absl::Status (*check)(std::string_view)) {
  std::string name = section.RequiredText(key, expected);
  if (name.empty()) return name;
  if (absl::Status status = check(name); !status.ok()) {
    section.AddProblem(key, std::string(status.message()));
  }
  return name;
}

tls::IdentityFiles ReadIdentity(yaml::Section section, const Context& context) {
  auto file = [&](std::string_view key, std::string_view expected) {
    std::string path = context.Resolve(section.RequiredText(key, expected));
    context.RequireFile(section, key, path);
    return path;
  };
  tls::IdentityFiles files;
  files.ca = file("ca", "the authority's certificate file");
  files.certificate = file("certificate", "the coordinator's certificate file");
  files.key = file("key", "the coordinator's private key file");
  section.Finish();
  return files;
}

std::vector<ClusterNode> ReadNodes(yaml::Section& top) {
  std::vector<ClusterNode> nodes;
  std::map<std::string, std::string> seen;  // name or address -> where it was first given
  auto require_new = [&seen](yaml::Section& section, std::string_view key, const std::string& value) {
    if (value.empty()) return;
    auto [earlier, is_new] = seen.emplace(absl::StrCat(std::string(key), " ", value), section.PathOf(key));
    if (!is_new) section.AddProblem(key, absl::StrCat("\"", value, "\" is already ", earlier->second));
  };
  bool server = false;
  for (yaml::Section& section : top.Children("nodes")) {
    ClusterNode node;
    node.name = CheckedName(section, "name", "the node's name in Kubernetes", tls::CheckNodeName);
    require_new(section, "name", node.name);
    if (!section.Has("role")) section.AddProblem("role", "missing; expected server | worker");
    node.role = section.Choice<v1::Role>("role", {{"server", v1::ROLE_SERVER}, {"worker", v1::ROLE_WORKER}},
                                         v1::ROLE_UNSPECIFIED);
    server = server || node.role != v1::ROLE_WORKER;
    const std::string address = section.RequiredText("agent", "the address of the node's agent");
    if (!address.empty()) {
      if (auto target = AgentTarget(address); target.ok()) {
        node.agent = *target;
        require_new(section, "agent", node.agent);
      } else {
        section.AddProblem("agent", std::string(target.status().message()));
      }
    }
    section.Finish();
    nodes.push_back(std::move(node));
  }
  if (nodes.empty()) {
    top.AddProblem("nodes", "expected at least one node");
  } else if (!server) {
    top.AddProblem("nodes", "expected at least one node with role: server");
  }
  return nodes;
}

// What stands behind "coordinator:": a path of this machine, which has to be there, or a URL that it fetches.
std::string HereOrUrl(yaml::Section& section, std::string_view key, const std::string& text,
                      const Context& context) {
  const std::string named = text.substr(sizeof kCoordinatorPrefix - 1);
  if (release::IsHttpUrl(named)) return named;
  std::string path = context.Resolve(named);
  context.RequireFile(section, key, path);
  return path;
}

// "https://..." | "/folder/on/the/node" | "coordinator:/folder/here" | "coordinator:https://..."
void AddSource(yaml::Section& section, std::string_view key, const std::string& text, const Context& context,
               v1::Release* release) {
  v1::ReleaseSource* source = release->add_sources();
  source->set_location(text);
  if (release::IsHttpUrl(text)) {
    source->set_kind(v1::ReleaseSource::GITHUB);
  } else if (absl::StartsWith(text, kCoordinatorPrefix)) {
    source->set_kind(v1::ReleaseSource::COORDINATOR);
    source->set_location(HereOrUrl(section, key, text, context));
  } else if (absl::StartsWith(text, "/")) {
    source->set_kind(v1::ReleaseSource::FOLDER);
  } else {
    section.AddProblem(
        key, absl::StrCat("expected https://..., /folder (on each node), coordinator:/folder (on this "
                          "machine) or coordinator:https://... (fetched by this machine), found \"",
                          text, "\""));
  }
}

void ReadInstaller(yaml::Section& section, const Context& context, v1::Installer* installer) {
  const std::string text = section.Text("installer", kDefaultInstaller);
  installer->set_location(text);
  if (text == "none") {
    installer->set_kind(v1::Installer::NONE);
    installer->clear_location();
  } else if (release::IsHttpUrl(text)) {
    installer->set_kind(v1::Installer::URL);
  } else if (absl::StartsWith(text, kCoordinatorPrefix)) {
    installer->set_kind(v1::Installer::COORDINATOR);
    installer->set_location(HereOrUrl(section, "installer", text, context));
  } else if (absl::StartsWith(text, "/")) {
    installer->set_kind(v1::Installer::FILE);
  } else {
    section.AddProblem("installer",
                       absl::StrCat("expected https://..., /file (on each node), coordinator:/file (on this "
                                    "machine), coordinator:https://... (fetched by this machine) or none, "
                                    "found \"",
                                    text, "\""));
  }
  installer->set_sha256(section.Text("installer_sha256"));
  const std::string& hash = installer->sha256();
  if (!hash.empty() &&
      (hash.size() != 64 || hash.find_first_not_of("0123456789abcdef") != std::string::npos)) {
    section.AddProblem("installer_sha256", "expected 64 lower-case hexadecimal digits");
  }
}

void ReadRelease(yaml::Section section, const Context& context, ClusterFile* file) {
  v1::Release* release = &file->release;
  AddSource(section, "source", section.Text("source", kDefaultSource), context, release);
  for (const std::string& fallback : section.Texts("fallback_sources")) {
    AddSource(section, "fallback_sources", fallback, context, release);
  }
  ReadInstaller(section, context, release->mutable_installer());
  file->channel_server = section.Text("channel_server", kDefaultChannelServer);
  if (!release::IsHttpUrl(file->channel_server)) {
    section.AddProblem("channel_server", "expected a URL that starts with http:// or https://");
  }
  release->set_images(section.Bool("images", false));
  section.Finish();
}

SystemUpgradeController ReadSystemUpgradeController(yaml::Section section) {
  SystemUpgradeController controller;
  controller.enabled = section.Bool("enabled", false);
  controller.version = section.Text("version");
  controller.channel = section.Text("channel");
  if (!controller.version.empty()) {
    if (auto version = Version::Parse(controller.version); !version.ok()) {
      section.AddProblem("version", std::string(version.status().message()));
    }
    if (!controller.channel.empty())
      section.AddProblem("channel", "expected either a version or a channel, found both");
  }
  if (!controller.channel.empty() && !release::IsHttpUrl(controller.channel)) {
    section.AddProblem("channel",
                       "expected the URL of a channel, such as "
                       "https://update.k3s.io/v1-release/channels/stable");
  }
  section.Finish();
  return controller;
}

std::string ReadDistribution(yaml::Section& top) {
  std::string distribution = top.Text("distribution", "k3s");
  if (distribution != "k3s") {
    top.AddProblem("distribution", absl::StrCat("expected k3s, found \"", distribution,
                                                "\"; no other distribution is supported"));
  }
  return distribution;
}

}  // namespace

absl::StatusOr<ClusterFile> ParseClusterFile(const std::string& text, const std::string& path,
                                             const FileExists& exists) {
  yaml::Problems problems(path);
  YAML::Node document = yaml::ParseDocument(text, &problems);
  if (!problems.empty()) return problems.ToStatus();

  const Context context{path.find('/') == std::string::npos ? "" : DirName(path), exists};
  yaml::Section top(document, "", &problems);
  ClusterFile file;
  file.path = path;
  file.name = CheckedName(top, "name", "the cluster's name", tls::CheckClusterName);
  file.distribution = ReadDistribution(top);
  file.identity = ReadIdentity(top.Child("identity"), context);
  file.nodes = ReadNodes(top);
  ReadRelease(top.Child("release"), context, &file);

  file.policies = DefaultPolicies();
  ReadBackupPolicy(top.Child("backup"), file.policies.mutable_backup());
  yaml::Section policies = top.Child("policies");
  ReadServerPolicy(policies.Child("servers"), file.policies.mutable_servers());
  ReadWorkerPolicy(policies.Child("workers"), file.policies.mutable_workers());
  policies.Finish();
  ReadGate(top.Child("gate"), file.policies.mutable_gate());
  file.known_trouble = context.Resolve(top.Text("known_trouble"));
  context.RequireFile(top, "known_trouble", file.known_trouble);
  file.system_upgrade_controller = ReadSystemUpgradeController(top.Child("system_upgrade_controller"));
  top.Finish();

  if (!problems.empty()) return problems.ToStatus();
  std::string* copy_to = file.policies.mutable_backup()->mutable_copy_to();
  *copy_to = context.Resolve(*copy_to);
  return file;
}

absl::StatusOr<ClusterFile> LoadClusterFile(const std::string& path) {
  auto text = ReadFile(path, kLargestFile);
  if (absl::IsNotFound(text.status())) {
    return absl::NotFoundError(absl::StrCat(
        path, ": no such file; `k3saga init` writes one, --file or $K3SAGA_CLUSTER names another"));
  }
  if (!text.ok()) return text.status();
  return ParseClusterFile(*text, path, [](const std::string& name) { return Exists(name); });
}

}  // namespace k3saga::config
