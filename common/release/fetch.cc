#include "common/release/fetch.h"

#include <absl/strings/str_cat.h>

#include "common/host/files.h"
#include "common/reason.h"
#include "common/status_macros.h"

namespace k3saga::release {

absl::Status FetchVerified(const Wanted& wanted,
                           const std::function<absl::Status(const std::string& partial)>& fetch) {
  if (auto have = Sha256OfFile(wanted.path); have.ok() && *have == wanted.sha256) return absl::OkStatus();
  const std::string partial = wanted.path + ".part";
  std::string got;
  for (bool begun_earlier = Exists(partial);; begun_earlier = false) {
    K3SAGA_RETURN_IF_ERROR(fetch(partial));
    K3SAGA_ASSIGN_OR_RETURN(got, Sha256OfFile(partial));
    if (got == wanted.sha256) return RenameDurably(partial, wanted.path);
    K3SAGA_RETURN_IF_ERROR(RemoveFileDurably(partial));
    if (!begun_earlier) break;
  }
  return ReasonError(
      MakeReason(v1::CHECKSUM_MISMATCH, wanted.name,
                 absl::StrCat("SHA-256 of what ", wanted.source, " has is ", got.substr(0, 12),
                              "..., its checksum file says ", wanted.sha256.substr(0, 12), "..."),
                 "the download was damaged or the source is not to be trusted"));
}

absl::Status TransferError(const absl::Status& error, std::string_view subject, std::string_view machine) {
  v1::Reason reason = ReasonOf(error, subject);
  if (reason.code() == v1::LOCAL_FAILURE) {
    reason.set_code(absl::IsNotFound(error) ? v1::RELEASE_UNAVAILABLE : v1::DOWNLOAD_FAILED);
  } else if (reason.code() == v1::DISK_FULL) {
    reason.set_code(v1::DISK_SPACE);
    reason.set_remedy(absl::StrCat("make room on ", std::string(machine)));
  }
  return ReasonError(reason, error.code());
}

}  // namespace k3saga::release
