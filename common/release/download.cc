#include "common/release/download.h"

#include <absl/strings/str_cat.h>
#include <curl/curl.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <thread>

#include "common/host/clock.h"
#include "common/host/files.h"
#include "common/host/secrets.h"
#include "common/host/unique_fd.h"
#include "common/status_macros.h"

namespace k3saga::release {
namespace {

using std::chrono::milliseconds;

constexpr int kMostTriesWithoutProgress = 5;
constexpr milliseconds kFirstPause{200};
constexpr milliseconds kLongestPause{5'000};
constexpr milliseconds kGlance{200};  // how often a pause looks whether anybody still waits
constexpr long kConnectTimeoutMs = 15'000;
constexpr long kStalledSeconds = 30;  // nothing at all for this long is a cut

struct FreeCurl {
  void operator()(CURL* curl) const { curl_easy_cleanup(curl); }
};

// One transfer's state, seen by curl's callbacks.
struct Transfer {
  CURL* curl = nullptr;
  int fd = -1;
  uint64_t start = 0;  // where this try began
  uint64_t written = 0;
  bool disk_full = false;
  bool too_large = false;
  bool cancelled = false;
  absl::Status space;
  const std::string* path = nullptr;
  const DownloadOptions* options = nullptr;
};

size_t OnData(char* data, size_t, size_t size, void* user) {
  auto* transfer = static_cast<Transfer*>(user);
  if (transfer->start + transfer->written + size > transfer->options->size_cap) {
    transfer->too_large = true;
    return 0;
  }
  for (size_t done = 0; done < size;) {
    const ssize_t n = write(transfer->fd, data + done, size - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      transfer->disk_full = errno == ENOSPC || errno == EDQUOT;
      return 0;
    }
    done += static_cast<size_t>(n);
  }
  transfer->written += size;
  return size;
}

int OnProgress(void* user, curl_off_t total, curl_off_t, curl_off_t, curl_off_t) {
  auto* transfer = static_cast<Transfer*>(user);
  const DownloadOptions& options = *transfer->options;
  const uint64_t done = transfer->start + transfer->written;
  const uint64_t whole = total > 0 ? transfer->start + static_cast<uint64_t>(total) : 0;
  if (options.keep_free > 0 && whole > done) {
    transfer->space = CheckSpace(*transfer->path, whole - done, options.keep_free);
  }
  transfer->cancelled = options.progress && !options.progress(done, whole);
  return transfer->cancelled || !transfer->space.ok() ? 1 : 0;
}

// How one try ended.
struct Try {
  CURLcode code = CURLE_OK;
  long http_status = 0;
  Transfer transfer;
};

Try TryOnce(const std::string& url, const std::string& path, int fd, uint64_t start, milliseconds left,
            const DownloadOptions& options) {
  Try attempt;
  const std::unique_ptr<CURL, FreeCurl> curl(curl_easy_init());
  attempt.transfer.curl = curl.get();
  attempt.transfer.fd = fd;
  attempt.transfer.start = start;
  attempt.transfer.path = &path;
  attempt.transfer.options = &options;
  CURL* handle = curl.get();
  curl_easy_setopt(handle, CURLOPT_URL, url.c_str());
  curl_easy_setopt(handle, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(handle, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(handle, CURLOPT_FOLLOWLOCATION, 1L);
  curl_easy_setopt(handle, CURLOPT_MAXREDIRS, 10L);
  curl_easy_setopt(handle, CURLOPT_FAILONERROR, 1L);
  curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(handle, CURLOPT_USERAGENT, "k3saga/" K3SAGA_VERSION);
  curl_easy_setopt(handle, CURLOPT_CONNECTTIMEOUT_MS, kConnectTimeoutMs);
  curl_easy_setopt(handle, CURLOPT_TIMEOUT_MS, static_cast<long>(left.count()));
  curl_easy_setopt(handle, CURLOPT_LOW_SPEED_LIMIT, 1L);
  curl_easy_setopt(handle, CURLOPT_LOW_SPEED_TIME, kStalledSeconds);
  curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, &OnData);
  curl_easy_setopt(handle, CURLOPT_WRITEDATA, &attempt.transfer);
  curl_easy_setopt(handle, CURLOPT_NOPROGRESS, 0L);
  curl_easy_setopt(handle, CURLOPT_XFERINFOFUNCTION, &OnProgress);
  curl_easy_setopt(handle, CURLOPT_XFERINFODATA, &attempt.transfer);
  if (start > 0) curl_easy_setopt(handle, CURLOPT_RESUME_FROM_LARGE, static_cast<curl_off_t>(start));
  if (!options.proxy.empty()) curl_easy_setopt(handle, CURLOPT_PROXY, options.proxy.c_str());
  if (!options.no_proxy.empty()) curl_easy_setopt(handle, CURLOPT_NOPROXY, options.no_proxy.c_str());
  attempt.code = curl_easy_perform(handle);
  curl_easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &attempt.http_status);
  return attempt;
}

// Errors that no further try would cure; ok for "try again".
absl::Status Verdict(const Try& attempt, const std::string& shown_url) {
  if (attempt.transfer.cancelled)
    return absl::CancelledError(absl::StrCat("download of ", shown_url, " was stopped"));
  if (!attempt.transfer.space.ok()) return attempt.transfer.space;
  if (attempt.transfer.too_large) {
    return absl::ResourceExhaustedError(absl::StrCat(shown_url, " is larger than the ",
                                                     attempt.transfer.options->size_cap, " bytes allowed"));
  }
  if (attempt.transfer.disk_full) {
    return absl::ResourceExhaustedError(absl::StrCat("the disk is full while fetching ", shown_url));
  }
  if (attempt.http_status == 404 || attempt.http_status == 410) {
    return absl::NotFoundError(absl::StrCat(shown_url, ": HTTP status ", attempt.http_status));
  }
  if (attempt.code == CURLE_UNSUPPORTED_PROTOCOL || attempt.code == CURLE_URL_MALFORMAT) {
    return absl::InvalidArgumentError(absl::StrCat(shown_url, " is no http or https URL"));
  }
  return absl::OkStatus();
}

// Before the next try. False: nobody waits any more.
bool Pause(milliseconds duration, uint64_t done, const DownloadOptions& options) {
  while (duration.count() > 0) {
    if (options.progress && !options.progress(done, 0)) return false;
    const milliseconds glance = std::min(duration, kGlance);
    std::this_thread::sleep_for(glance);
    duration -= glance;
  }
  return true;
}

}  // namespace

absl::Status CheckSpace(const std::string& path, uint64_t more, uint64_t keep_free) {
  K3SAGA_ASSIGN_OR_RETURN(const uint64_t free, FreeBytes(DirName(path)));
  if (free >= more + keep_free) return absl::OkStatus();
  return absl::ResourceExhaustedError(absl::StrCat(DirName(path), " has ", free >> 20, " MiB free, ",
                                                   BaseName(path), " needs ", more >> 20,
                                                   " MiB more and a reserve"));
}

absl::Status Download(const std::string& url, const std::string& path, const DownloadOptions& options) {
  static const CURLcode initialized = curl_global_init(CURL_GLOBAL_DEFAULT);
  if (initialized != CURLE_OK) return absl::InternalError("libcurl cannot be initialized");
  const std::string shown_url = MaskUrl(url);
  const SystemClock clock;
  const milliseconds end = clock.Steady() + options.deadline;
  UniqueFd fd(open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
  if (!fd.valid()) return absl::InternalError(absl::StrCat("cannot open ", path, " for writing"));

  milliseconds pause = kFirstPause;
  int tries_left = kMostTriesWithoutProgress;
  std::string last_error = "no time to try";
  while (tries_left > 0) {
    const milliseconds left = end - clock.Steady();
    if (left.count() <= 0) {
      return absl::DeadlineExceededError(absl::StrCat(shown_url, ": not complete in time; ", last_error));
    }
    const off_t start = lseek(fd.get(), 0, SEEK_END);
    Try attempt =
        TryOnce(url, path, fd.get(), static_cast<uint64_t>(std::max<off_t>(start, 0)), left, options);
    absl::Status verdict = Verdict(attempt, shown_url);
    if (!verdict.ok()) return verdict;
    if (attempt.code == CURLE_OK) {
      if (fsync(fd.get()) != 0) return absl::InternalError(absl::StrCat("cannot sync ", path));
      return absl::OkStatus();
    }
    // Nothing beyond what we have (416), or a server that cannot resume: begin again.
    if (attempt.http_status == 416 || attempt.code == CURLE_RANGE_ERROR) {
      if (ftruncate(fd.get(), 0) != 0) return absl::InternalError(absl::StrCat("cannot truncate ", path));
    }
    last_error = attempt.http_status >= 400 ? absl::StrCat("HTTP status ", attempt.http_status)
                                            : std::string(curl_easy_strerror(attempt.code));
    if (attempt.transfer.written > 0) {
      tries_left = kMostTriesWithoutProgress;
      pause = kFirstPause;
    } else {
      --tries_left;
    }
    const uint64_t done = attempt.transfer.start + attempt.transfer.written;
    if (!Pause(std::min(pause, end - clock.Steady()), done, options)) {
      return absl::CancelledError(absl::StrCat("download of ", shown_url, " was stopped"));
    }
    pause = std::min(pause * 2, kLongestPause);
  }
  return absl::UnavailableError(absl::StrCat(shown_url, ": ", last_error));
}

}  // namespace k3saga::release
