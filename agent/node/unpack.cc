#include "agent/node/unpack.h"

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>

#include "common/host/files.h"
#include "common/host/log.h"
#include "common/host/process.h"
#include "common/reason.h"

namespace k3saga::node {
namespace {

constexpr char kSelinux[] = "/sys/fs/selinux/enforce";
constexpr char kCannotUnpack[] = "extracting data";  // how k3s begins what it says then

}  // namespace

absl::Status UnpackK3s(const std::string& binary, const std::string& data_dir,
                       std::chrono::milliseconds deadline) {
  if (Exists(kSelinux)) return absl::OkStatus();
  // The one command that every version has and that asks nobody for anything.
  const auto result = Run({.argv = {binary, "--data-dir", data_dir, "ctr", "--version"},
                           .environment = PlainEnvironment(),
                           .deadline = deadline});
  if (result.ok() && result->ok()) return absl::OkStatus();
  const std::string why = result.ok() ? result->Describe() : result.status().ToString();
  if (result.ok() && absl::StrContains(result->err, kCannotUnpack)) {
    return ReasonError(MakeReason(v1::LOCAL_FAILURE, data_dir,
                                  absl::StrCat(binary, " cannot unpack here: ", why),
                                  "make room on its file system"));
  }
  LogInfo(absl::StrCat(binary, " was not unpacked ahead, its start does it: ", why));
  return absl::OkStatus();
}

}  // namespace k3saga::node
