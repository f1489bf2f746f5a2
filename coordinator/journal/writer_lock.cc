#include "coordinator/journal/writer_lock.h"

#include <fcntl.h>
#include <pwd.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <ctime>
#include <nlohmann/json.hpp>
#include <thread>

#include "common/host/clock.h"
#include "common/reason.h"

namespace k3saga::journal {
namespace {

constexpr int kTries = 20;
constexpr std::chrono::milliseconds kBetweenTries(25);
constexpr size_t kMaxFileBytes = 4096;

absl::Status SystemError(const std::string& path, const char* doing, int error) {
  return absl::FailedPreconditionError(absl::StrCat(path, ": ", doing, ": ", std::strerror(error)));
}

std::string UtcTime(int64_t unix_ms) {
  const time_t seconds = unix_ms / 1000;
  tm parts{};
  gmtime_r(&seconds, &parts);
  char text[32];
  strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S UTC", &parts);
  return text;
}

std::string ToJson(const Holder& holder) {
  const nlohmann::json json = {{"who", holder.who},
                               {"pid", holder.pid},
                               {"host", holder.host},
                               {"since_unix_ms", holder.since_unix_ms},
                               {"socket", holder.socket}};
  // A host's name is bytes to the kernel; what is not UTF-8 is replaced rather than thrown at us.
  return json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

// A file that is being written, or was cut short, still says that somebody is or was there.
Holder FromJson(const std::string& text) {
  Holder holder;
  holder.who = "unknown";
  const nlohmann::json json = nlohmann::json::parse(text, nullptr, false);
  if (!json.is_object()) return holder;
  const auto string = [&](const char* key, std::string otherwise) {
    const auto found = json.find(key);
    return found != json.end() && found->is_string() ? found->get<std::string>() : std::move(otherwise);
  };
  const auto integer = [&](const char* key) {
    const auto found = json.find(key);
    return found != json.end() && found->is_number_integer() ? found->get<int64_t>() : int64_t{0};
  };
  holder.who = string("who", holder.who);
  holder.host = string("host", "");
  holder.socket = string("socket", "");
  holder.pid = static_cast<int>(integer("pid"));
  holder.since_unix_ms = integer("since_unix_ms");
  return holder;
}

Holder ReadHolder(int fd) {
  std::string text(kMaxFileBytes, '\0');
  const ssize_t got = pread(fd, text.data(), text.size(), 0);
  text.resize(got > 0 ? static_cast<size_t>(got) : 0);
  return FromJson(text);
}

absl::Status WriteHolder(int fd, const Holder& holder) {
  const std::string text = ToJson(holder);
  // Longer first, then cut: a reader that comes between sees the new text with a tail, never an empty file.
  if (pwrite(fd, text.data(), text.size(), 0) != static_cast<ssize_t>(text.size()) ||
      ftruncate(fd, static_cast<off_t>(text.size())) != 0) {
    return absl::ResourceExhaustedError(absl::StrCat("the journal's lock file: ", std::strerror(errno)));
  }
  return absl::OkStatus();
}

}  // namespace

std::string Describe(const Holder& holder) {
  std::string text = holder.who;
  if (holder.pid != 0) absl::StrAppend(&text, " (pid ", holder.pid, " on ", holder.host, ")");
  if (holder.since_unix_ms != 0) absl::StrAppend(&text, ", since ", UtcTime(holder.since_unix_ms));
  return text;
}

Holder ThisProcess() {
  char host[256] = {};
  gethostname(host, sizeof host - 1);
  passwd entry{};
  passwd* found = nullptr;
  char buffer[4096];
  getpwuid_r(getuid(), &entry, buffer, sizeof buffer, &found);
  const std::string user = found != nullptr ? found->pw_name : absl::StrCat("uid", getuid());
  Holder me;
  me.pid = getpid();
  me.host = host;
  me.who = absl::StrCat(user, "@", me.host, ":", me.pid);
  me.since_unix_ms = SystemClock().WallUnixMillis();
  return me;
}

WriterLock::WriterLock(int fd, Holder holder) : fd_(fd), holder_(std::move(holder)) {}

WriterLock::WriterLock(WriterLock&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), holder_(std::move(other.holder_)) {}

WriterLock& WriterLock::operator=(WriterLock&& other) noexcept {
  std::swap(fd_, other.fd_);
  std::swap(holder_, other.holder_);
  return *this;
}

WriterLock::~WriterLock() {
  if (fd_ >= 0) close(fd_);
}

absl::StatusOr<WriterLock> WriterLock::Take(std::string_view path, const Holder& me) {
  const std::string file(path);
  const int fd = open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) return SystemError(file, "open", errno);
  WriterLock lock(fd, me);
  for (int i = 0; flock(fd, LOCK_EX | LOCK_NB) != 0; ++i) {
    if (errno != EWOULDBLOCK && errno != EINTR) return SystemError(file, "flock", errno);
    if (i == kTries) {
      return ReasonError(MakeReason(v1::CLUSTER_HELD, "",
                                    absl::StrCat("the journal is in use by ", Describe(ReadHolder(fd))),
                                    "use pause, abort or status from here, or wait until it has ended"));
    }
    std::this_thread::sleep_for(kBetweenTries);
  }
  absl::Status written = WriteHolder(fd, me);
  if (!written.ok()) return written;
  return lock;
}

absl::StatusOr<std::optional<Holder>> WriterLock::WhoWrites(std::string_view path) {
  const std::string file(path);
  const int fd = open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0) {
    if (errno == ENOENT) return std::optional<Holder>();
    return SystemError(file, "open", errno);
  }
  const bool free = flock(fd, LOCK_SH | LOCK_NB) == 0;
  Holder holder = ReadHolder(fd);
  holder.alive = !free;
  close(fd);
  return std::optional<Holder>(std::move(holder));
}

absl::Status WriterLock::Announce(std::string_view socket) {
  holder_.socket = std::string(socket);
  return WriteHolder(fd_, holder_);
}

}  // namespace k3saga::journal
