#include "tests/systemd/network.h"

#include <fcntl.h>
#include <sched.h>

#include <cstring>
#include <thread>

#include "common/host/unique_fd.h"

namespace k3saga::hosts {

absl::Status EnterNetwork(const std::string& path) {
  const UniqueFd file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.valid() || setns(file.get(), CLONE_NEWNET) != 0) {
    return absl::InternalError(absl::StrCat("cannot enter ", path, ": ", std::strerror(errno)));
  }
  return absl::OkStatus();
}

absl::Status InNetwork(const std::string& path, const std::function<absl::Status()>& work) {
  absl::Status result;
  std::thread thread([&] {
    result = EnterNetwork(path);
    if (result.ok()) {
      result = work();
    }
  });
  thread.join();
  return result;
}

}  // namespace k3saga::hosts
