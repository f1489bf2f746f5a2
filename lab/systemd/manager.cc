#include "lab/systemd/manager.h"

#include <absl/strings/match.h>
#include <absl/strings/numbers.h>
#include <absl/strings/strip.h>

#include <algorithm>
#include <deque>
#include <fstream>

#include "lab/base/files.h"

namespace k3saga::lab {
namespace {

// Exit codes of systemctl that callers look at.
constexpr int kFailed = 1;
constexpr int kNoSuchUnit = 5;
constexpr int kInactive = 3;

std::string UnitName(const std::string& name) {
  return absl::EndsWith(name, ".service") ? name : name + ".service";
}

CommandReply Refuse(const std::string& program, const std::string& what) {
  return {kFailed, "", program + ": " + what + " (the lab's stand-in knows only what k3saga calls)\n"};
}

}  // namespace

Manager::Manager(std::filesystem::path root, std::filesystem::path journal, ServiceHost& host,
                 std::function<void()> reboot)
    : root_(std::move(root)), journal_(std::move(journal)), host_(host), reboot_(std::move(reboot)) {}

std::vector<std::filesystem::path> Manager::Folders() const {
  return {root_ / "etc/systemd/system", root_ / "usr/lib/systemd/system"};
}

void Manager::Run(const std::string& program, const std::vector<std::string>& arguments, ReplyDone done) {
  if (program == "systemctl") return Systemctl(arguments, std::move(done));
  if (program == "systemd-run") return SystemdRun(arguments, std::move(done));
  if (program == "journalctl") return done(Journalctl(arguments));
  done(Refuse(program, "unknown program"));
}

Service* Manager::Find(const std::string& unit) {
  auto found = services_.find(unit);
  return found == services_.end() ? nullptr : found->second.get();
}

std::vector<std::string> Manager::UnitNames() const {
  std::vector<std::string> names;
  for (const auto& [name, service] : services_) names.push_back(name);
  return names;
}

// A unit is read when it is first named and again on daemon-reload, not when its file changes.
Service* Manager::Load(const std::string& unit, std::string* problem) {
  if (Service* known = Find(unit)) return known;
  auto loaded = LoadUnit(Folders(), unit);
  if (!loaded.has_value()) {
    *problem = "Unit " + unit + " not found.";
    return nullptr;
  }
  if (!loaded->ok()) {
    *problem = "Unit " + unit + " has a bad unit file setting: " + std::string(loaded->status().message());
    return nullptr;
  }
  auto service = std::make_unique<Service>(unit, **std::move(loaded), host_);
  return (services_[unit] = std::move(service)).get();
}

void Manager::Systemctl(const std::vector<std::string>& arguments, ReplyDone done) {
  std::string verb;
  std::string properties;
  std::vector<std::string> units;
  bool block = true;
  bool quiet = false;
  for (size_t i = 0; i < arguments.size(); ++i) {
    const std::string& argument = arguments[i];
    if (argument == "--no-block") {
      block = false;
    } else if (argument == "--quiet" || argument == "-q") {
      quiet = true;
    } else if (absl::StartsWith(argument, "--property=")) {
      properties = argument.substr(argument.find('=') + 1);
    } else if ((argument == "--property" || argument == "-p") && i + 1 < arguments.size()) {
      properties = arguments[++i];
    } else if (argument == "--no-pager" || argument == "--") {
      continue;
    } else if (absl::StartsWith(argument, "-")) {
      return done(Refuse("systemctl", "unknown option " + argument));
    } else if (verb.empty()) {
      verb = argument;
    } else {
      units.push_back(UnitName(argument));
    }
  }
  if (verb == "daemon-reload") return done(DaemonReload());
  if (verb == "reboot") {
    reboot_();
    return done({});
  }
  if (units.size() != 1) return done(Refuse("systemctl", verb + " wants one unit"));
  const std::string& unit = units.front();
  if (verb == "show") return done(Show(unit, properties));
  if (verb == "enable" || verb == "disable") return done(Enable(unit, verb == "enable"));
  if (verb == "is-enabled") {
    CommandReply reply = IsEnabled(unit);
    if (quiet) reply.out.clear();
    return done(reply);
  }
  if (verb == "is-active") {
    CommandReply reply = Show(unit, "ActiveState");
    reply.out = reply.out.substr(reply.out.find('=') + 1);
    reply.code = reply.out == "active\n" ? 0 : kInactive;
    if (quiet) reply.out.clear();
    return done(reply);
  }
  if (verb == "reset-failed") {
    Service* service = Find(unit);
    if (service == nullptr) return done({kFailed, "", "Unit " + unit + " not loaded.\n"});
    service->ResetFailed();
    Collect(unit);
    return done({});
  }
  if (verb == "start" || verb == "stop" || verb == "restart") return Job(verb, unit, block, std::move(done));
  done(Refuse("systemctl", "unknown verb " + verb));
}

void Manager::Job(const std::string& verb, const std::string& unit, bool block, ReplyDone done) {
  std::string problem;
  Service* service = Load(unit, &problem);
  if (service == nullptr) {
    return done({kNoSuchUnit, "", "Failed to " + verb + " " + unit + ": " + problem + "\n"});
  }
  JobDone job = [](const std::string&) {};
  if (block) {
    job = [done](const std::string& failure) {
      done(failure.empty() ? CommandReply{} : CommandReply{kFailed, "", failure + "\n"});
    };
  }
  if (verb == "start") service->Start(std::move(job));
  if (verb == "stop") service->Stop(std::move(job));
  if (verb == "restart") service->Restart(std::move(job));
  Collect(unit);
  if (!block) done({});
}

CommandReply Manager::DaemonReload() {
  for (auto at = services_.begin(); at != services_.end();) {
    auto& [name, service] = *at;
    if (transient_.count(name) > 0) {
      ++at;
      continue;
    }
    auto loaded = LoadUnit(Folders(), name);
    if (loaded.has_value() && loaded->ok()) service->Reload(**std::move(loaded));
    const bool gone = !loaded.has_value() && service->Idle();
    at = gone ? services_.erase(at) : std::next(at);
  }
  return {};
}

CommandReply Manager::Show(const std::string& unit, const std::string& properties) {
  std::string problem;
  Service* service = Load(unit, &problem);
  std::map<std::string, std::string> values = {
      {"Id", unit},
      {"LoadState", absl::EndsWith(problem, "not found.") ? "not-found" : "bad-setting"},
      {"ActiveState", "inactive"},
      {"SubState", "dead"},
      {"MainPID", "0"},
      {"NRestarts", "0"},
      {"ExecMainStartTimestampMonotonic", "0"},
      {"ExecMainStatus", "0"},
      {"Result", "success"},
      {"FragmentPath", ""},
      {"DropInPaths", ""}};
  if (service != nullptr) {
    values = service->Properties();
    if (transient_.count(unit) == 0 && !std::filesystem::exists(service->file().fragment_path) &&
        !service->Running()) {
      values["LoadState"] = "not-found";
    }
  }
  CommandReply reply;
  if (properties.empty()) {
    for (const auto& [key, value] : values) absl::StrAppend(&reply.out, key, "=", value, "\n");
  }
  for (absl::string_view key : absl::StrSplit(properties, ',', absl::SkipEmpty())) {
    auto found = values.find(std::string(key));
    if (found != values.end()) absl::StrAppend(&reply.out, found->first, "=", found->second, "\n");
  }
  return reply;
}

CommandReply Manager::Enable(const std::string& unit, bool enable) {
  auto loaded = LoadUnit(Folders(), unit);
  if (!loaded.has_value())
    return {kFailed, "", "Failed to enable unit: Unit file " + unit + " does not exist.\n"};
  if (!loaded->ok()) return {kFailed, "", std::string(loaded->status().message()) + "\n"};
  if ((*loaded)->wanted_by.empty()) return {0, "", "The unit file has no installation config.\n"};
  const std::filesystem::path link = Folders().front() / ((*loaded)->wanted_by + ".wants") / unit;
  std::error_code ignored;
  std::filesystem::create_directories(link.parent_path(), ignored);
  std::filesystem::remove(link, ignored);
  if (enable) std::filesystem::create_symlink((*loaded)->fragment_path, link, ignored);
  return DaemonReload();  // enable reloads as well
}

CommandReply Manager::IsEnabled(const std::string& unit) const {
  auto loaded = LoadUnit(Folders(), unit);
  if (!loaded.has_value() || !loaded->ok()) {
    return {kFailed, "", "Failed to get unit file state for " + unit + ": No such file or directory\n"};
  }
  const std::filesystem::path link = Folders().front() / ((*loaded)->wanted_by + ".wants") / unit;
  if ((*loaded)->wanted_by.empty()) return {0, "static\n", ""};
  if (!std::filesystem::is_symlink(link)) return {kFailed, "disabled\n", ""};
  return {0, "enabled\n", ""};
}

void Manager::SystemdRun(const std::vector<std::string>& arguments, ReplyDone done) {
  std::string unit;
  UnitFile file;
  bool collect = false;
  size_t at = 0;
  for (; at < arguments.size() && absl::StartsWith(arguments[at], "-"); ++at) {
    absl::string_view argument = arguments[at];
    if (argument == "--") {
      ++at;
      break;
    }
    if (absl::ConsumePrefix(&argument, "--unit=")) {
      unit = UnitName(std::string(argument));
    } else if (argument == "--collect" || argument == "-G") {
      collect = true;
    } else if (argument == "--quiet" || argument == "-q") {
      continue;
    } else if (absl::ConsumePrefix(&argument, "--service-type=")) {
      (void)ApplySetting("Type", std::string(argument), unit, file);
    } else if (absl::ConsumePrefix(&argument, "--setenv=")) {
      file.environment.emplace_back(argument);
    } else if (absl::ConsumePrefix(&argument, "--property=") || absl::ConsumePrefix(&argument, "-p")) {
      const std::pair<std::string, std::string> setting = absl::StrSplit(argument, absl::MaxSplits('=', 1));
      absl::Status applied = ApplySetting(setting.first, setting.second, unit, file);
      if (!applied.ok()) return done({kFailed, "", std::string(applied.message()) + "\n"});
    } else {
      return done(Refuse("systemd-run", "unknown option " + arguments[at]));
    }
  }
  file.exec_start.assign(arguments.begin() + static_cast<long>(at), arguments.end());
  if (file.exec_start.empty() || unit.empty())
    return done(Refuse("systemd-run", "wants --unit and a command"));
  if (Service* present = Find(unit); present != nullptr) {
    const bool failed_kept = present->Idle() && collected_.count(unit) > 0;
    if (!failed_kept) {
      return done({kFailed, "",
                   "Failed to start transient service unit: Unit " + unit +
                       " was already loaded or has a "
                       "fragment file.\n"});
    }
  }
  transient_.insert(unit);
  if (collect) collected_.insert(unit);
  auto service = std::make_unique<Service>(unit, std::move(file), host_);
  Service* started = (services_[unit] = std::move(service)).get();
  // Type=exec: done when the program was executed, which a spawn tells at once.
  started->Start([done](const std::string& failure) {
    done(failure.empty() ? CommandReply{} : CommandReply{kFailed, "", failure + "\n"});
  });
  Collect(unit);
}

// systemd keeps a transient unit only while it runs; a failed one too unless --collect was given.
void Manager::Collect(const std::string& unit) {
  Service* service = Find(unit);
  if (service == nullptr || transient_.count(unit) == 0 || !service->Idle()) return;
  const bool failed = service->Properties()["ActiveState"] == "failed";
  if (failed && collected_.count(unit) == 0) return;
  services_.erase(unit);
  transient_.erase(unit);
  collected_.erase(unit);
}

CommandReply Manager::Journalctl(const std::vector<std::string>& arguments) const {
  std::string unit;
  size_t lines = 0;
  for (size_t i = 0; i < arguments.size(); ++i) {
    absl::string_view argument = arguments[i];
    if (absl::ConsumePrefix(&argument, "--unit=")) {
      unit = UnitName(std::string(argument));
    } else if (argument == "-u" && i + 1 < arguments.size()) {
      unit = UnitName(arguments[++i]);
    } else if (absl::ConsumePrefix(&argument, "--lines=")) {
      if (!absl::SimpleAtoi(argument, &lines)) return Refuse("journalctl", "--lines wants a number");
    } else if (argument != "--output=cat" && argument != "--no-pager" && argument != "--quiet") {
      return Refuse("journalctl", "unknown option " + arguments[i]);
    }
  }
  std::ifstream file(journal_ / (unit + ".log"));
  if (!file) return {0, "-- No entries --\n", ""};
  std::deque<std::string> last;
  for (std::string line; std::getline(file, line);) {
    last.push_back(line);
    if (lines > 0 && last.size() > lines) last.pop_front();
  }
  CommandReply reply;
  for (const std::string& line : last) absl::StrAppend(&reply.out, line, "\n");
  return reply;
}

void Manager::MainProcessExited(const std::string& unit, int wait_status) {
  if (Service* service = Find(unit)) service->MainProcessExited(wait_status);
  Collect(unit);
}

void Manager::NotifiedReady(const std::string& unit) {
  if (Service* service = Find(unit)) service->NotifiedReady();
}

void Manager::Wake(const std::string& unit, uint64_t token) {
  if (Service* service = Find(unit)) service->Wake(token);
  Collect(unit);
}

void Manager::StartEnabled() {
  const std::filesystem::path wants = Folders().front() / "multi-user.target.wants";
  std::error_code none;
  for (const auto& entry : std::filesystem::directory_iterator(wants, none)) {
    std::string problem;
    Service* service = Load(entry.path().filename().string(), &problem);
    if (service != nullptr) service->Start([](const std::string&) {});
  }
}

void Manager::PowerOff() {
  services_.clear();
  transient_.clear();
  collected_.clear();
}

}  // namespace k3saga::lab
