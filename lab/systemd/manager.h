#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "lab/systemd/service.h"

namespace k3saga::lab {

// What systemctl, systemd-run or journalctl prints and exits with.
struct CommandReply {
  int code = 0;
  std::string out;
  std::string err;
};
using ReplyDone = std::function<void(CommandReply)>;

// One node's systemd: its units by name, and the command lines that k3saga and the installer use. Not
// thread-safe.
class Manager {
 public:
  // `root`: the node's root folder; units lie below ROOT/etc/systemd/system and ROOT/usr/lib/systemd/system.
  // `reboot` asks the daemon to kill the node's processes and to start what is enabled.
  Manager(std::filesystem::path root, std::filesystem::path journal, ServiceHost& host,
          std::function<void()> reboot);

  // A command line as the shim got it: program is "systemctl", "systemd-run" or "journalctl". `done` may be
  // called later: a start blocks until the service says that it is ready, as the real one does.
  void Run(const std::string& program, const std::vector<std::string>& arguments, ReplyDone done);

  // Events for a unit; unknown ones are ignored.
  void MainProcessExited(const std::string& unit, int wait_status);
  void NotifiedReady(const std::string& unit);
  void Wake(const std::string& unit, uint64_t token);

  Service* Find(const std::string& unit);
  std::vector<std::string> UnitNames() const;
  void StartEnabled();
  // Forgets every service, without a word to their processes: the node was switched off.
  void PowerOff();

 private:
  struct Parsed;

  std::vector<std::filesystem::path> Folders() const;
  Service* Load(const std::string& unit, std::string* problem);
  void Systemctl(const std::vector<std::string>& arguments, ReplyDone done);
  void SystemdRun(const std::vector<std::string>& arguments, ReplyDone done);
  CommandReply Journalctl(const std::vector<std::string>& arguments) const;
  CommandReply Show(const std::string& unit, const std::string& properties);
  CommandReply Enable(const std::string& unit, bool enable);
  CommandReply IsEnabled(const std::string& unit) const;
  void Job(const std::string& verb, const std::string& unit, bool block, ReplyDone done);
  CommandReply DaemonReload();
  void Collect(const std::string& unit);

  std::filesystem::path root_;
  std::filesystem::path journal_;
  ServiceHost& host_;
  std::function<void()> reboot_;
  std::map<std::string, std::unique_ptr<Service>> services_;
  std::set<std::string> transient_;
  std::set<std::string> collected_;  // transient units that vanish when they end
};

}  // namespace k3saga::lab
