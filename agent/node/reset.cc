#include "agent/node/reset.h"

#include <absl/strings/ascii.h>
#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_replace.h>
#include <unistd.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "agent/node/k3s_config.h"
#include "agent/node/unit_file.h"
#include "common/host/crash_point.h"
#include "common/host/files.h"
#include "common/host/process.h"
#include "common/reason.h"
#include "common/status_macros.h"
#include "common/version.h"

namespace k3saga::node {
namespace {

using nlohmann::json;

CrashPoint kBeforeReset("reset.before");
CrashPoint kAfterReset("reset.after");

constexpr size_t kOutputCap = 64 * 1024;
constexpr uint64_t kTokenCap = 1 << 16;

// What a reset is not to see: it is about this server alone, and about a file on it.
bool KeptFromReset(std::string_view flag) {
  constexpr std::string_view kNames[] = {"server", "config", "etcd-s3", "cluster-reset",
                                         "cluster-reset-restore-path"};
  return std::find(std::begin(kNames), std::end(kNames), flag) != std::end(kNames);
}

absl::Status Unusable(const v1::StoredBackup& backup, std::string_view detail, std::string_view remedy) {
  return ReasonError(MakeReason(v1::BACKUP_UNUSABLE, backup.id(), detail, remedy));
}

// "K10<hash>::server:SECRET" and "SECRET" are the same token.
std::string SecretOf(std::string_view token) {
  const std::string text(absl::StripAsciiWhitespace(absl::string_view(token.data(), token.size())));
  const size_t colon = text.rfind(':');
  return colon == std::string::npos ? text : text.substr(colon + 1);
}

std::string JoinFile(const Installation& node) {
  return absl::StrCat(node.unit_file, ".d/zz-k3saga-rejoin.conf");
}

// The token that k3s is told by its unit, environment or configuration; "" when it keeps its own.
std::string ConfiguredToken(const Installation& node) {
  std::string file;
  for (const Flag& setting : node.settings) {
    if (absl::StartsWith(setting.source, JoinFile(node))) continue;  // ours, of a run before this one
    const bool is_token = setting.name == "--token" || setting.name == "token" || setting.name == "K3S_TOKEN";
    if (is_token && !setting.value.empty()) return setting.value;
    if (setting.name == "--token-file" || setting.name == "token-file" || setting.name == "K3S_TOKEN_FILE") {
      file = setting.value;
    }
  }
  const auto text = file.empty() ? absl::NotFoundError("") : ReadFile(file, kTokenCap);
  return text.ok() ? *text : "";
}

// ExecStart= as it is without our drop-in; "" where no k3s can be told something at its end.
std::string ExecToExtend(const Installation& node) {
  std::string value;
  for (const UnitEntry& entry : node.full_unit.entries()) {
    if (entry.section == "Service" && entry.key == "ExecStart" && entry.file != JoinFile(node)) {
      value = entry.value;
    }
  }
  const auto command = ParseExec(value);
  const bool is_k3s = command.ok() && !command->words.empty() && command->words.front() == "server";
  return is_k3s ? value : "";
}

}  // namespace

absl::Status JudgeRestore(const Installation& node, const v1::StoredBackup& backup,
                          std::string_view backup_token) {
  if (node.datastore != backup.datastore()) {
    return Unusable(backup,
                    absl::StrCat("it holds a ", v1::Datastore_Name(backup.datastore()),
                                 ", this server has a ", v1::Datastore_Name(node.datastore)),
                    "choose a backup of this cluster");
  }
  if (!node.cluster_id.empty() && !backup.cluster_id().empty() && node.cluster_id != backup.cluster_id()) {
    return Unusable(backup, "it was taken in another cluster (its certificate authority is another one)",
                    "choose a backup of this cluster");
  }
  const auto taken_by = Version::Parse(backup.version());
  const auto in_place = Version::Parse(node.binary_version);
  if (!in_place.ok() || (taken_by.ok() && *in_place < *taken_by && in_place->minor() != taken_by->minor())) {
    return Unusable(backup,
                    absl::StrCat("it was taken by ", backup.version(), ", and ", node.binary, " is ",
                                 in_place.ok() ? node.binary_version : "of no known version"),
                    "put the release in place that took it, or a newer one");
  }
  const std::string configured = ConfiguredToken(node);
  if (!configured.empty() && !backup_token.empty() && SecretOf(configured) != SecretOf(backup_token)) {
    return Unusable(backup, "the server token was changed since: a snapshot opens with the token of its time",
                    absl::StrCat("write the old token (in the backup's file `token`) where k3s reads it on ",
                                 node.node_name));
  }
  return absl::OkStatus();
}

absl::StatusOr<ResetCall> PlanReset(const Installation& node, std::string_view snapshot,
                                    std::string_view token, std::string_view config_file) {
  ResetCall call;
  call.argv = {node.binary, "server"};
  for (std::string& word : WithoutFlags(node.arguments, KeptFromReset)) call.argv.push_back(std::move(word));
  call.argv.push_back(absl::StrCat("--config=", std::string(config_file)));
  call.argv.emplace_back("--cluster-reset");
  call.argv.push_back(absl::StrCat("--cluster-reset-restore-path=", std::string(snapshot)));

  call.environment = PlainEnvironment();
  for (const auto& [key, variable] : node.environment) {
    call.secrets.Add(SecretIn(key, variable.value));
    const auto flag = FlagOfVariable(key);
    if (key == "PATH" || (flag && KeptFromReset(*flag))) continue;
    call.environment.push_back(absl::StrCat(key, "=", variable.value));
  }
  const std::string secret(absl::StripAsciiWhitespace(absl::string_view(token.data(), token.size())));
  call.secrets.Add(secret);
  if (ConfiguredToken(node).empty() && !secret.empty()) {
    call.environment.push_back(absl::StrCat("K3S_TOKEN=", secret));
  }

  // Merged already: one file stands for config.yaml and all that is beside it. Lists, as k3s takes one for
  // any flag.
  K3SAGA_ASSIGN_OR_RETURN(const ConfigFiles files, ReadConfigFiles(node.config_file, node.binary_version));
  json config = json::object();
  for (const Flag& flag : files.flags) {
    call.secrets.Add(SecretIn(flag.name, flag.value));
    if (!KeptFromReset(flag.name)) config[flag.name].push_back(flag.value);
  }
  for (const Flag& flag : ParseFlags(node.arguments, "")) {
    call.secrets.Add(SecretIn(flag.name, flag.value));
  }
  call.config_file = std::string(config_file);
  call.config = config.dump(2) + "\n";
  return call;
}

absl::Status RunReset(const Installation& node, const ResetCall& call, std::chrono::milliseconds deadline) {
  // Left by a reset that was never followed by a normal start: k3s refuses another one then.
  K3SAGA_RETURN_IF_ERROR(RemoveFileDurably(node.data_dir + "/server/db/reset-flag"));
  K3SAGA_RETURN_IF_ERROR(MakeDirectories(DirName(call.config_file)));
  K3SAGA_RETURN_IF_ERROR(WriteFileDurably(call.config_file, call.config));
  kBeforeReset.MaybeDie();
  const auto result = Run(
      {.argv = call.argv, .environment = call.environment, .deadline = deadline, .output_cap = kOutputCap});
  kAfterReset.MaybeDie();
  K3SAGA_RETURN_IF_ERROR(RemoveFileDurably(call.config_file));  // it may hold a token
  if (!result.ok()) {
    const auto code = absl::IsDeadlineExceeded(result.status()) ? v1::TIMED_OUT : v1::RESTORE_FAILED;
    return ReasonError(MakeReason(code, node.node_name,
                                  call.secrets.Apply(absl::StrCat("k3s server --cluster-reset: ",
                                                                  std::string(result.status().message())))),
                       result.status().code());
  }
  std::string wrong;
  if (!result->ok()) wrong = result->Describe();
  if (wrong.empty() && !Exists(node.data_dir + "/server/db/etcd/member")) {
    wrong = absl::StrCat("it said it succeeded, but left no datastore in ", node.data_dir, "/server/db/etcd");
  }
  if (wrong.empty()) return absl::OkStatus();
  return ReasonError(MakeReason(v1::RESTORE_FAILED, node.node_name,
                                call.secrets.Apply(absl::StrCat("k3s server --cluster-reset: ", wrong)),
                                "the datastore that was there is kept beside it (server/k3saga-aside)"));
}

absl::Status PlaceToken(const Installation& node, std::string_view token, const std::string& aside) {
  const std::string file = node.data_dir + "/server/token";
  if (token.empty() || !ConfiguredToken(node).empty()) return absl::OkStatus();
  const auto now = ReadFile(file, kTokenCap);
  if (now.ok() && SecretOf(*now) == SecretOf(token)) return absl::OkStatus();
  const std::string copy = JoinPath(aside, "token");
  if (now.ok() && !Exists(copy)) {
    K3SAGA_RETURN_IF_ERROR(MakeDirectories(aside));
    K3SAGA_RETURN_IF_ERROR(CopyFileDurably(file, copy));
  }
  return WriteFileDurably(file, token);
}

absl::Status JoinThrough(const Installation& node, std::string_view server_url, Systemd& systemd) {
  std::vector<Variable> variables = {{"K3S_URL", std::string(server_url)}};
  std::string exec = ExecToExtend(node);
  std::string flags = QuoteUnitWord(absl::StrCat("--server=", std::string(server_url)));
  // k3s joins nobody without a token, not even with its own.
  if (ConfiguredToken(node).empty()) {
    variables.push_back({"K3S_TOKEN_FILE", node.token_file});
    absl::StrAppend(&flags, " ", QuoteUnitWord(absl::StrCat("--token-file=", node.token_file)));
  }
  std::string text = "# k3saga: this server joins its cluster again. Removed as soon as it has.\n[Service]\n";
  for (const Variable& variable : variables) {
    absl::StrAppend(&text, "Environment=", QuoteUnitWord(absl::StrCat(variable.key, "=", variable.value)),
                    "\n");
  }
  // A flag beats a variable, and the last of two flags the first.
  if (!exec.empty()) {
    absl::StrAppend(&text, "ExecStart=\nExecStart=", exec, " ", absl::StrReplaceAll(flags, {{"$", "$$"}}),
                    "\n");
  }
  const std::string file = JoinFile(node);
  K3SAGA_RETURN_IF_ERROR(MakeDirectories(DirName(file), 0755));
  K3SAGA_RETURN_IF_ERROR(WriteFileDurably(file, text, {.mode = 0644}));
  return systemd.DaemonReload();
}

absl::Status EndJoining(const Installation& node, Systemd& systemd) {
  const std::string file = JoinFile(node);
  if (!Exists(file)) return absl::OkStatus();
  K3SAGA_RETURN_IF_ERROR(RemoveFileDurably(file));
  (void)rmdir(DirName(file).c_str());  // only where there is nothing else in it
  return systemd.DaemonReload();
}

}  // namespace k3saga::node
