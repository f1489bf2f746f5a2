#include "lab/systemd/daemon.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <ctime>
#include <fstream>
#include <queue>

#include "common/status_macros.h"
#include "lab/base/files.h"
#include "lab/base/processes.h"
#include "lab/base/unix_socket.h"
#include "lab/systemd/manager.h"

namespace k3saga::lab {
namespace {

using nlohmann::json;

constexpr size_t kLongestRequest = 1 << 20;

int64_t MonotonicMicros() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<int64_t>(now.tv_sec) * 1'000'000 + now.tv_nsec / 1000;
}

struct Timer {
  int64_t due_micros;
  std::string node;
  std::string unit;
  uint64_t token;
  bool operator>(const Timer& other) const { return due_micros > other.due_micros; }
};

class Daemon;

// The machine as one node's services see it.
class NodeHost final : public ServiceHost {
 public:
  NodeHost(Daemon& daemon, std::string node) : daemon_(daemon), node_(std::move(node)) {}
  absl::StatusOr<int> Spawn(const std::string& unit, const UnitFile& file) override;
  void Signal(int pid, int signal, bool group) override {
    if (pid > 0) kill(group ? -pid : pid, signal);
  }
  int64_t NowMicros() const override { return MonotonicMicros(); }
  void WakeLater(const std::string& unit, int64_t millis, uint64_t token) override;
  void Log(const std::string& unit, const std::string& line) override;

 private:
  Daemon& daemon_;
  std::string node_;
};

struct NodeState {
  std::unique_ptr<NodeHost> host;
  std::unique_ptr<Manager> manager;
};

struct Owner {
  std::string node;
  std::string unit;
};

class Daemon {
 public:
  explicit Daemon(const Lab& lab) : lab_(lab), layout_{lab.dir} {}

  absl::Status Run();

 private:
  friend class NodeHost;

  absl::Status Open();
  void Watch(int fd);
  void Accept();
  void Receive(int fd);
  void Handle(int fd, const json& request);
  void Answer(int fd, uint64_t connection, const json& reply);
  void Reap();
  void ReadNotification();
  void FireTimers();
  int MillisToNextTimer() const;
  json Pids() const;
  bool SignalUnit(const json& request);
  void Reboot(const std::string& node);
  void KillAll();

  struct Connection {
    uint64_t id = 0;
    std::string input;
  };

  const Lab& lab_;
  Layout layout_;
  int epoll_ = -1;
  int listener_ = -1;
  int signals_ = -1;
  int notify_ = -1;
  std::string notify_name_;
  std::map<std::string, NodeState> nodes_;
  std::map<int, Owner> owners_;  // main processes by pid
  std::priority_queue<Timer, std::vector<Timer>, std::greater<>> timers_;
  std::map<int, Connection> connections_;
  uint64_t next_connection_ = 1;
  bool down_ = false;
};

absl::StatusOr<int> NodeHost::Spawn(const std::string& unit, const UnitFile& file) {
  const std::filesystem::path node_dir = daemon_.layout_.Node(node_);
  std::map<std::string, std::string> variables = {
      {"PATH", (node_dir / "bin").string() + ":/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
      {"LANG", "C.UTF-8"},
      {"INVOCATION_ID", RandomHex(16)}};
  const auto add = [&variables](const std::map<std::string, std::string>& more) {
    for (const auto& [key, value] : more) variables[key] = value;
  };
  for (const std::string& assignment : file.environment) add(ParseEnvironmentText(assignment));
  for (std::string path : file.environment_files) {
    const bool optional = path.front() == '-';
    if (optional) path.erase(0, 1);
    auto text = ReadFile(path);
    if (!text.ok() && !optional) return absl::NotFoundError("Failed to load environment files: " + path);
    if (text.ok()) add(ParseEnvironmentText(*text));
  }
  // The lab's own: marks for `down`, and what a fault wants every process of the node to see.
  if (auto text = ReadFile(node_dir / "manager.env"); text.ok()) add(ParseEnvironmentText(*text));
  if (unit == "k3saga-agent.service") {
    // For one start only: an agent that a variable made crash comes back without it.
    if (auto text = ReadFile(node_dir / "agent-once.env"); text.ok()) add(ParseEnvironmentText(*text));
    unlink((node_dir / "agent-once.env").c_str());
  }
  variables["K3SAGA_LAB_DIR"] = daemon_.lab_.dir.string();
  variables["K3SAGA_LAB_NODE_DIR"] = node_dir.string();
  if (file.type == UnitFile::Type::kNotify) variables["NOTIFY_SOCKET"] = "@" + daemon_.notify_name_;

  SpawnRequest request;
  request.arguments = file.exec_start;
  if (request.arguments[0].front() == '-') request.arguments[0].erase(0, 1);
  for (const auto& [key, value] : variables) request.environment.push_back(key + "=" + value);
  request.log = node_dir / "journal" / (unit + ".log");
  K3SAGA_ASSIGN_OR_RETURN(const int pid, SpawnChild(request));
  daemon_.owners_[pid] = {node_, unit};
  return pid;
}

void NodeHost::WakeLater(const std::string& unit, int64_t millis, uint64_t token) {
  daemon_.timers_.push({MonotonicMicros() + millis * 1000, node_, unit, token});
}

void NodeHost::Log(const std::string& unit, const std::string& line) {
  std::ofstream(daemon_.layout_.Node(node_) / "journal" / (unit + ".log"), std::ios::app) << line << "\n";
}

void Daemon::Watch(int fd) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = fd;
  epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event);
}

absl::Status Daemon::Open() {
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  sigset_t watched;
  sigemptyset(&watched);
  sigaddset(&watched, SIGCHLD);
  sigaddset(&watched, SIGTERM);
  sigaddset(&watched, SIGINT);
  sigprocmask(SIG_BLOCK, &watched, nullptr);
  signals_ = signalfd(-1, &watched, SFD_CLOEXEC | SFD_NONBLOCK);

  // An abstract name: short whatever the lab's folder is called.
  notify_ = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  notify_name_ = absl::StrCat("k3saga-lab/", getpid(), "/", RandomHex(4));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path + 1, notify_name_.data(), notify_name_.size());
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + notify_name_.size());
  if (bind(notify_, reinterpret_cast<sockaddr*>(&address), size) != 0) {
    return absl::ErrnoToStatus(errno, "the notification socket");
  }
  const int yes = 1;
  setsockopt(notify_, SOL_SOCKET, SO_PASSCRED, &yes, sizeof(yes));

  K3SAGA_ASSIGN_OR_RETURN(listener_, ListenUnix(layout_.DaemonSocket()));
  epoll_ = epoll_create1(EPOLL_CLOEXEC);
  Watch(signals_);
  Watch(notify_);
  Watch(listener_);
  std::vector<std::string> names = {"lab"};  // the lab's own services
  for (const LabNode& node : lab_.nodes) names.push_back(node.name);
  for (const std::string& name : names) {
    NodeState& state = nodes_[name];
    state.host = std::make_unique<NodeHost>(*this, name);
    state.manager = std::make_unique<Manager>(layout_.Root(name), layout_.Node(name) / "journal", *state.host,
                                              [this, name] { Reboot(name); });
    K3SAGA_RETURN_IF_ERROR(MakeDirectories(layout_.Node(name) / "journal"));
  }
  return WriteFile(layout_.DaemonPid(), std::to_string(getpid()) + "\n");
}

absl::Status Daemon::Run() {
  K3SAGA_RETURN_IF_ERROR(Open());
  while (!down_) {
    epoll_event events[32];
    const int count = epoll_wait(epoll_, events, 32, MillisToNextTimer());
    for (int i = 0; i < count; ++i) {
      const int fd = events[i].data.fd;
      if (fd == signals_) {
        Reap();
      } else if (fd == notify_) {
        ReadNotification();
      } else if (fd == listener_) {
        Accept();
      } else {
        Receive(fd);
      }
    }
    FireTimers();
  }
  KillAll();
  unlink(layout_.DaemonSocket().c_str());
  unlink(layout_.DaemonPid().c_str());
  return absl::OkStatus();
}

int Daemon::MillisToNextTimer() const {
  if (timers_.empty()) return -1;
  const int64_t left = timers_.top().due_micros - MonotonicMicros();
  return left <= 0 ? 0 : static_cast<int>(left / 1000 + 1);
}

void Daemon::FireTimers() {
  while (!timers_.empty() && timers_.top().due_micros <= MonotonicMicros()) {
    const Timer timer = timers_.top();
    timers_.pop();
    nodes_[timer.node].manager->Wake(timer.unit, timer.token);
  }
}

void Daemon::Reap() {
  signalfd_siginfo info{};
  while (read(signals_, &info, sizeof(info)) == sizeof(info)) {
    if (info.ssi_signo != SIGCHLD) down_ = true;
  }
  int status = 0;
  for (int pid = 0; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
    auto owner = owners_.find(pid);
    if (owner == owners_.end()) continue;  // an orphan that came to its subreaper
    const Owner who = owner->second;
    owners_.erase(owner);
    nodes_[who.node].manager->MainProcessExited(who.unit, status);
  }
}

void Daemon::ReadNotification() {
  char text[4096];
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(ucred))];
  iovec part{text, sizeof(text)};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof(control);
  const ssize_t size = recvmsg(notify_, &message, 0);
  if (size <= 0) return;
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr; header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_type != SCM_CREDENTIALS) continue;
    ucred sender{};
    std::memcpy(&sender, CMSG_DATA(header), sizeof(sender));
    auto owner = owners_.find(sender.pid);
    if (owner == owners_.end()) continue;  // NotifyAccess=main
    if (std::string_view(text, static_cast<size_t>(size)).find("READY=1") != std::string_view::npos) {
      nodes_[owner->second.node].manager->NotifiedReady(owner->second.unit);
    }
  }
}

void Daemon::Accept() {
  const int fd = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (fd < 0) return;
  connections_[fd].id = next_connection_++;
  Watch(fd);
}

void Daemon::Receive(int fd) {
  Connection& connection = connections_[fd];
  char buffer[65536];
  const ssize_t size = read(fd, buffer, sizeof(buffer));
  if (size < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (size <= 0 || connection.input.size() > kLongestRequest) {
    connections_.erase(fd);
    close(fd);
    return;
  }
  connection.input.append(buffer, static_cast<size_t>(size));
  const size_t end = connection.input.find('\n');
  if (end == std::string::npos) return;
  const json request = json::parse(connection.input.substr(0, end), nullptr, /*allow_exceptions=*/false);
  connection.input.erase(0, end + 1);
  if (request.is_object()) Handle(fd, request);
}

void Daemon::Answer(int fd, uint64_t connection, const json& reply) {
  auto found = connections_.find(fd);
  if (found == connections_.end() || found->second.id != connection) return;  // the caller did not wait
  const std::string line = reply.dump(-1, ' ', false, json::error_handler_t::replace) + "\n";
  // A reply may be larger than the socket's buffer: block for it, the reader is a shim that only reads.
  fcntl(fd, F_SETFL, 0);
  for (size_t sent = 0; sent < line.size();) {
    const ssize_t size = send(fd, line.data() + sent, line.size() - sent, MSG_NOSIGNAL);
    if (size <= 0) break;
    sent += static_cast<size_t>(size);
  }
  connections_.erase(found);
  close(fd);
}

void Daemon::Handle(int fd, const json& request) {
  const uint64_t connection = connections_[fd].id;
  const std::string command = request.value("lab", "");
  if (command == "down") {
    down_ = true;
    return Answer(fd, connection, {{"code", 0}});
  }
  if (command == "pids") return Answer(fd, connection, Pids());
  if (command == "signal") return Answer(fd, connection, {{"code", SignalUnit(request) ? 0 : 1}});
  auto node = nodes_.find(request.value("node", ""));
  if (node == nodes_.end()) return Answer(fd, connection, {{"code", 1}, {"err", "no such node\n"}});
  node->second.manager->Run(
      request.value("program", ""), request.value("arguments", std::vector<std::string>()),
      [this, fd, connection](const CommandReply& reply) {
        Answer(fd, connection, {{"code", reply.code}, {"out", reply.out}, {"err", reply.err}});
      });
}

json Daemon::Pids() const {
  const std::vector<Process> all = AllProcesses();
  json nodes = json::object();
  for (const auto& [pid, owner] : owners_) {
    json& list = nodes[owner.node];
    list.push_back({{"pid", pid}, {"unit", owner.unit}, {"main", true}});
    for (const Process& child : Descendants(all, pid)) {
      list.push_back({{"pid", child.pid},
                      {"unit", owner.unit},
                      {"main", false},
                      {"command", child.command},
                      {"state", child.state}});
    }
  }
  return {{"code", 0}, {"nodes", nodes}};
}

// A unit's name, or the beginning of names with a "*" behind it.
bool MatchesUnit(const std::string& unit, const std::string& pattern) {
  if (pattern.empty() || pattern.back() != '*') return unit == pattern;
  return unit.compare(0, pattern.size() - 1, pattern, 0, pattern.size() - 1) == 0;
}

// Signals the main process, or with "child" the descendants of that command name.
bool Daemon::SignalUnit(const json& request) {
  const std::string child = request.value("child", "");
  const int signal = request.value("signal", 0);
  bool found = false;
  for (const auto& [pid, owner] : owners_) {
    if (owner.node != request.value("node", "") || !MatchesUnit(owner.unit, request.value("unit", "")))
      continue;
    if (child.empty()) {
      found = kill(pid, signal) == 0 || found;
      continue;
    }
    for (const Process& process : Descendants(AllProcesses(), pid)) {
      if (process.command == child) found = kill(process.pid, signal) == 0 || found;
    }
  }
  return found;
}

void Daemon::Reboot(const std::string& node) {
  Manager& manager = *nodes_[node].manager;
  const std::vector<Process> all = AllProcesses();
  for (auto at = owners_.begin(); at != owners_.end();) {
    if (at->second.node != node) {
      ++at;
      continue;
    }
    for (const Process& process : Descendants(all, at->first)) KillExactly(process);
    kill(at->first, SIGKILL);
    at = owners_.erase(at);
  }
  // Called from within a command of this manager; what it holds is dropped once that has returned.
  manager.PowerOff();
  manager.StartEnabled();
}

void Daemon::KillAll() {
  for (int round = 0; round < 200; ++round) {
    const std::vector<Process> below = Descendants(AllProcesses(), getpid());
    if (below.empty()) return;
    for (const Process& process : below) KillExactly(process);
    while (waitpid(-1, nullptr, WNOHANG) > 0) {
    }
    usleep(5000);
  }
}

}  // namespace

absl::Status RunDaemon(const Lab& lab) { return Daemon(lab).Run(); }

}  // namespace k3saga::lab
