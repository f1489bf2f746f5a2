#include "coordinator/cli/release_images.h"

#include <absl/strings/ascii.h>
#include <absl/strings/str_split.h>

#include "common/host/files.h"
#include "common/release/files.h"
#include "coordinator/gate/http_get.h"

namespace k3saga::cli {
namespace {

constexpr char kList[] = "k3s-images.txt";
constexpr uint64_t kLargestList = 1 << 20;
constexpr std::chrono::seconds kTimeout{3};

absl::StatusOr<std::string> ReadList(const v1::ReleaseSource& source, const std::string& version) {
  if (source.kind() != v1::ReleaseSource::FOLDER && release::IsHttpUrl(source.location())) {
    return gate::HttpGet(release::UrlOf(source.location(), version, kList), kTimeout,
                         gate::Redirects::kFollow);
  }
  if (source.kind() == v1::ReleaseSource::COORDINATOR) {
    return ReadFile(JoinPath(JoinPath(source.location(), version), kList), kLargestList);
  }
  return absl::NotFoundError("not on this machine");
}

}  // namespace

std::vector<std::string> ReadTargetImages(const v1::Release& release) {
  for (const v1::ReleaseSource& source : release.sources()) {
    const auto list = ReadList(source, release.version());
    if (!list.ok()) continue;
    std::vector<std::string> images;
    for (const absl::string_view line : absl::StrSplit(*list, '\n')) {
      const absl::string_view image = absl::StripAsciiWhitespace(line);
      if (!image.empty()) images.emplace_back(image);
    }
    return images;
  }
  return {};
}

}  // namespace k3saga::cli
