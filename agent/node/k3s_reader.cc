#include "agent/node/k3s_reader.h"

#include <absl/strings/ascii.h>
#include <absl/strings/match.h>
#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <absl/strings/strip.h>
#include <sys/utsname.h>

#include <algorithm>

#include "agent/node/strangers.h"
#include "agent/node/unit_finder.h"
#include "common/host/files.h"
#include "common/host/secrets.h"
#include "common/reason.h"
#include "common/status_macros.h"

namespace k3saga::node {
namespace {

std::string Message(const absl::Status& status) { return std::string(status.message()); }

void AddProblem(Installation* node, v1::ReasonCode code, std::string_view detail,
                std::string_view remedy = "") {
  node->problems.push_back(MakeReason(code, node->unit, detail, remedy));
}

std::string HostName() {
  utsname name{};
  uname(&name);
  return absl::AsciiStrToLower(name.nodename);
}

// %n, %N, ... of this unit, as far as a k3s unit can sensibly use them.
Specifiers SpecifiersOf(const std::string& unit) {
  const std::string stem = unit.substr(0, unit.rfind('.'));
  const std::string host = HostName();
  return {{'n', unit},   {'N', stem}, {'p', stem},
          {'i', ""},     {'H', host}, {'l', host.substr(0, host.find('.'))},
          {'u', "root"}, {'U', "0"},  {'h', "/root"}};
}

std::vector<std::string> ExpandWords(const std::vector<std::string>& words, const Specifiers& specifiers,
                                     Installation* node) {
  std::vector<std::string> expanded;
  for (const std::string& word : words) {
    auto text = ExpandSpecifiers(word, specifiers);
    if (!text.ok())
      AddProblem(node, v1::LOCAL_FAILURE, absl::StrCat(node->unit_file, ": ", Message(text.status())));
    expanded.push_back(text.ok() ? *text : word);
  }
  return expanded;
}

// ---- which distribution, which unit ----

bool IsRancherManaged(const HostPaths& paths) {
  // Rancher's provisioning writes its settings there and runs its own agent beside k3s.
  return Exists(paths.Below("etc/rancher/k3s/config.yaml.d/50-rancher.yaml")) ||
         Exists(paths.Below("etc/systemd/system/rancher-system-agent.service"));
}

std::string ConfigFile(const HostPaths& paths) { return paths.Below("etc/rancher/k3s/config.yaml"); }
std::string Kubeconfig(const HostPaths& paths) { return paths.Below("etc/rancher/k3s/k3s.yaml"); }

// What an installer that died half-way leaves beside the unit that it removed.
bool HasLeftovers(const HostPaths& paths, const std::string& binary) {
  const std::string data_dir = K3sDataDirectory(paths);
  return Exists(binary) || Exists(data_dir + "/agent") || Exists(data_dir + "/server");
}

void ExplainMissingUnit(const HostPaths& paths, Installation* node) {
  const std::string binary = JoinPath(paths.BinDirectory(), "k3s");
  if (const auto stranger = FindStranger(paths, kK3s)) {
    node->distribution = stranger->name;
    AddProblem(node, v1::DISTRIBUTION_UNSUPPORTED, stranger->Describe(), "k3saga upgrades k3s only, for now");
  } else if (Exists(paths.Below("sbin/openrc-run")) &&
             (Exists(paths.Below("etc/init.d/k3s")) || Exists(paths.Below("etc/init.d/k3s-agent")))) {
    node->distribution = kK3s;
    AddProblem(node, v1::INIT_SYSTEM_UNSUPPORTED, "k3s is run by OpenRC here",
               "only systemd hosts are supported");
  } else if (HasLeftovers(paths, binary)) {
    node->distribution = kK3s;
    node->binary = Exists(binary) ? binary : "";
    AddProblem(node, v1::NODE_UNHEALTHY,
               "k3s was installed here, but no unit runs it: an installer may have died half-way",
               "put back the unit (k3saga does it where it kept one), or run the installer again");
  } else {
    AddProblem(node, v1::NODE_UNHEALTHY, "no k3s was found: no unit starts `k3s server` or `k3s agent`",
               "install k3s first");
  }
}

// Two units happen: a bare installer run on a worker leaves a second one, a server's. What runs counts, then
// what is enabled; a tie is not broken by guessing.
std::optional<K3sUnit> ChooseUnit(std::vector<K3sUnit> units, Systemd& systemd, Installation* node) {
  if (units.empty()) return std::nullopt;
  if (units.size() == 1) return std::move(units[0]);
  std::vector<size_t> active;
  std::vector<size_t> enabled;
  std::vector<std::string> names;
  for (size_t i = 0; i < units.size(); ++i) {
    names.push_back(units[i].name);
    auto status = systemd.Show(units[i].name);
    if (status.ok() && status->main_pid != 0) active.push_back(i);
    auto is_enabled = systemd.IsEnabled(units[i].name);
    if (is_enabled.ok() && *is_enabled == "enabled") enabled.push_back(i);
  }
  const std::vector<size_t>& candidates = active.empty() ? enabled : active;
  if (candidates.size() != 1) {
    AddProblem(node, v1::NODE_LAYOUT_UNSUPPORTED,
               absl::StrCat("several units run k3s (", absl::StrJoin(names, ", "),
                            ") and it cannot be told which one counts"),
               "stop and disable all but one");
    return std::nullopt;
  }
  K3sUnit chosen = std::move(units[candidates[0]]);
  names.erase(std::find(names.begin(), names.end(), chosen.name));
  AddProblem(
      node, v1::NODE_LAYOUT_UNSUPPORTED,
      absl::StrCat("besides ", chosen.name, " there is ", absl::StrJoin(names, ", "), ", which runs k3s too"),
      absl::StrCat("remove it: systemctl disable --now ", names[0]));
  return chosen;
}

void TakeUnit(K3sUnit unit, Installation* node) {
  node->distribution = kK3s;
  node->unit = unit.name;
  node->unit_file = unit.file;
  node->drop_ins = std::move(unit.drop_ins);
  node->main_unit = std::move(unit.main);
  node->full_unit = std::move(unit.full);
  node->command = unit.command;
  node->role = unit.command == "server" ? v1::ROLE_SERVER : v1::ROLE_WORKER;
  node->binary = unit.exec.path;
  node->environment_file = unit.file + ".env";
  if (const UnitEntry* type = node->main_unit.Last("Service", "Type")) node->service_type = type->value;
  // What an installer has to repeat stands in the main file; a drop-in goes on overriding it.
  const std::vector<UnitEntry> starts = node->main_unit.All("Service", "ExecStart");
  if (starts.size() == 1) {
    auto exec = ParseExec(starts[0].value);
    auto command = exec.ok() ? FindK3sCommand(*exec) : std::nullopt;
    if (command) {
      node->raw_arguments = command->arguments;
      node->plain_exec = !command->wrapped && exec->prefix.empty() && command->command == node->command &&
                         BaseName(command->binary) == "k3s";
    }
  }
}

// ---- environment ----

void ReadEnvironment(const Specifiers& specifiers, Installation* node) {
  auto add = [node](const Variable& variable, const std::string& source) {
    node->environment[variable.key] = {variable.value, source};
  };
  for (const UnitEntry& entry : node->full_unit.All("Service", "Environment")) {
    auto words = SplitUnitWords(entry.value);
    if (!words.ok()) {
      AddProblem(node, v1::LOCAL_FAILURE,
                 absl::StrCat(entry.file, ":", entry.line, ": ", Message(words.status())));
      continue;
    }
    for (const std::string& word : ExpandWords(*words, specifiers, node)) {
      const size_t equals = word.find('=');
      if (equals == std::string::npos || equals == 0) continue;
      const Variable variable{word.substr(0, equals), word.substr(equals + 1)};
      add(variable, absl::StrCat(entry.file, ":Environment"));
      if (entry.file == node->unit_file) node->unit_variables.push_back(variable);
    }
  }
  // Files come after Environment=, whatever their order in the unit.
  for (const UnitEntry& entry : node->full_unit.All("Service", "EnvironmentFile")) {
    const bool optional = entry.value[0] == '-';
    const std::string path = ExpandWords({entry.value.substr(optional ? 1 : 0)}, specifiers, node)[0];
    if (path == node->environment_file) node->environment_file_read = true;
    auto text = ReadFile(path);
    node->environment_files.push_back({path, entry.file, text.ok()});
    if (!text.ok()) {
      if (absl::IsNotFound(text.status()) && optional) continue;
      AddProblem(node, v1::LOCAL_FAILURE,
                 absl::StrCat(Message(text.status()), ", which ", node->unit, " needs"));
      continue;
    }
    for (const Variable& variable : ParseEnvironmentFile(*text)) {
      add(variable, path);
      if (path == node->environment_file) node->installer_variables.push_back(variable);
    }
  }
}

// ---- what runs ----

void ReadProcess(Systemd& systemd, ProcessInspector& processes, Installation* node) {
  auto status = systemd.Show(node->unit);
  if (status.ok()) {
    node->status = *std::move(status);
  } else {
    AddProblem(node, v1::LOCAL_FAILURE, Message(status.status()));
  }
  auto enabled = systemd.IsEnabled(node->unit);
  node->enabled = enabled.ok() && *enabled == "enabled";
  if (node->status.main_pid != 0) {
    // A process that ended between the two questions is no running one.
    if (auto process = processes.Inspect(node->status.main_pid); process.ok())
      node->process = *std::move(process);
  }
  auto version = processes.VersionOfFile(node->binary);
  if (version.ok()) {
    node->binary_version = *std::move(version);
    node->binary_is_running = processes.IsRunning(node->process, node->binary);
  } else {
    AddProblem(node, v1::NODE_UNHEALTHY, Message(version.status()), "the binary is missing or damaged");
  }
}

// ---- flags and what follows ----

// Which of the files count depends on the release, and another one than runs may lie on disk.
void ReadConfiguration(Installation* node) {
  const std::string& running = node->process.version;
  auto read = ReadConfigFiles(node->config_file, running.empty() ? node->binary_version : running);
  auto next = ReadConfigFiles(node->config_file, node->binary_version);
  for (const auto* files : {&read, &next}) {
    if (files->ok()) continue;
    AddProblem(node, v1::LOCAL_FAILURE, Message(files->status()), "k3s would not start with it");
    break;
  }
  if (read.ok()) node->configuration = *std::move(read);
  if (next.ok()) node->binary_configuration = *std::move(next);
}

FlagSet ReadFlags(const HostPaths& paths, Installation* node) {
  std::vector<Flag> command_line = ParseFlags(
      node->arguments, absl::StrCat(node->full_unit.All("Service", "ExecStart").back().file, ":ExecStart"));
  std::map<std::string, Flag> environment;
  for (const auto& [key, variable] : node->environment) {
    if (auto flag = FlagOfVariable(key)) environment[*flag] = {*flag, variable.value, variable.source};
  }
  // The variable beats the flag here: k3s looks for its configuration before it parses anything.
  node->config_file = ConfigFile(paths);
  for (const Flag& flag : command_line) {
    if (flag.name == "config") node->config_file = flag.value;
  }
  if (environment.contains("config")) node->config_file = environment["config"].value;
  ReadConfiguration(node);
  std::vector<Flag> config_flags = node->configuration.flags;

  for (const Flag& flag : command_line) node->settings.push_back({"--" + flag.name, flag.value, flag.source});
  for (const Flag& flag : config_flags) node->settings.push_back(flag);
  for (const auto& [key, variable] : node->environment)
    node->settings.push_back({key, variable.value, variable.source});
  return FlagSet(std::move(command_line), std::move(config_flags), std::move(environment));
}

std::string DataDirectory(const HostPaths& paths, const FlagSet& flags) {
  std::string folder = flags.Value("data-dir");
  if (folder.empty()) return K3sDataDirectory(paths);
  while (folder.size() > 1 && folder.back() == '/') folder.pop_back();
  return folder;
}

v1::Datastore DatastoreOf(const FlagSet& flags, const std::string& data_dir) {
  const std::string endpoint = flags.Value("datastore-endpoint");
  if (!endpoint.empty()) {
    return absl::StartsWith(endpoint, "sqlite") ? v1::DATASTORE_SQLITE : v1::DATASTORE_EXTERNAL;
  }
  const bool etcd = flags.IsTrue("cluster-init") || !flags.Value("server").empty() ||
                    flags.IsTrue("disable-etcd") || Exists(data_dir + "/server/db/etcd");
  return etcd ? v1::DATASTORE_EMBEDDED_ETCD : v1::DATASTORE_SQLITE;
}

std::string NodeName(const HostPaths& paths, const FlagSet& flags) {
  std::string name = flags.Value("node-name");
  if (name.empty()) name = HostName();
  if (flags.IsTrue("with-node-id")) {
    auto id = ReadFile(paths.Below("etc/rancher/node/id"), 256);
    if (id.ok()) absl::StrAppend(&name, "-", std::string(absl::StripAsciiWhitespace(*id)));
  }
  return name;
}

// k3s keeps "<stage>-<hash>" there while keys are rotated.
bool SecretsEncryptionRotating(const std::string& data_dir) {
  auto state = ReadFile(data_dir + "/server/cred/encryption-state.json", 1 << 16);
  if (!state.ok()) return false;
  for (const char* stage : {"prepare", "rotate", "reencrypt_request", "reencrypt_active"}) {
    if (absl::StrContains(*state, stage)) return true;
  }
  return false;
}

void ReadServer(const FlagSet& flags, Installation* node) {
  node->datastore = DatastoreOf(flags, node->data_dir);
  node->runs_etcd = node->datastore == v1::DATASTORE_EMBEDDED_ETCD && !flags.IsTrue("disable-etcd");
  node->runs_apiserver = !flags.IsTrue("disable-apiserver");
  node->runs_kubelet = !flags.IsTrue("disable-agent");
  node->secrets_encryption_rotating = SecretsEncryptionRotating(node->data_dir);
  int port = 0;
  if (absl::SimpleAtoi(flags.Value("https-listen-port"), &port)) node->https_port = port;
}

void ReadState(const HostPaths& paths, const FlagSet& flags, Installation* node) {
  const std::string& data = node->data_dir;
  const bool server = node->role == v1::ROLE_SERVER;
  node->node_name = NodeName(paths, flags);
  node->server_url = flags.Value("server");
  node->token_file = flags.Value("token-file");
  if (server) {
    ReadServer(flags, node);
    if (Exists(data + "/server/token")) node->token_file = data + "/server/token";
    node->kubeconfig = data + "/server/cred/admin.kubeconfig";
    if (!Exists(node->kubeconfig)) {
      const std::string written = flags.Value("write-kubeconfig");
      node->kubeconfig = written.empty() ? Kubeconfig(paths) : written;
    }
  } else {
    node->runs_kubelet = true;
  }
  for (const std::string& ca : {data + "/server/tls/server-ca.crt", data + "/agent/server-ca.crt"}) {
    auto fingerprint = CertificateFingerprint(ca);
    if (!fingerprint.ok()) continue;
    node->cluster_id = *fingerprint;
    break;
  }
  node->certificate_expiry_unix =
      EarliestExpiry({data + "/server/tls", data + "/server/tls/etcd", data + "/agent"});
}

}  // namespace

std::string K3sDataDirectory(const HostPaths& paths) { return paths.Below("var/lib/rancher/k3s"); }

Installation ReadK3s(const HostPaths& paths, Systemd& systemd, ProcessInspector& processes) {
  Installation node;
  std::vector<std::string> unreadable;
  std::optional<K3sUnit> unit = ChooseUnit(FindK3sUnits(paths, &unreadable), systemd, &node);
  for (const std::string& problem : unreadable) AddProblem(&node, v1::LOCAL_FAILURE, problem);
  node.rancher_managed = IsRancherManaged(paths);
  if (!unit) {
    if (node.problems.empty()) ExplainMissingUnit(paths, &node);
    if (node.distribution.empty() && !node.problems.empty() && !unreadable.empty()) node.distribution = kK3s;
    return node;
  }
  const std::vector<std::string> unexpanded = unit->arguments;
  TakeUnit(*std::move(unit), &node);
  const Specifiers specifiers = SpecifiersOf(node.unit);
  ReadEnvironment(specifiers, &node);
  std::map<std::string, std::string> variables;
  for (const auto& [key, variable] : node.environment) variables[key] = variable.value;
  node.arguments = ExpandVariables(ExpandWords(unexpanded, specifiers, &node), variables);
  ReadProcess(systemd, processes, &node);  // first: which files count depends on the version
  const FlagSet flags = ReadFlags(paths, &node);
  node.data_dir = DataDirectory(paths, flags);
  ReadState(paths, flags, &node);
  return node;
}

}  // namespace k3saga::node
