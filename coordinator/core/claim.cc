#include "coordinator/core/claim.h"

#include <absl/strings/str_cat.h>
#include <absl/time/time.h>

namespace k3saga::core {

std::string DescribeClaim(const v1::Claim& claim) {
  const absl::Time since = absl::FromUnixMillis(claim.since_unix_ms());
  return absl::StrCat(claim.holder(), " since ",
                      absl::FormatTime("%Y-%m-%d %H:%M:%S UTC", since, absl::UTCTimeZone()), ", epoch ",
                      claim.epoch());
}

}  // namespace k3saga::core
