#pragma once

#include <absl/status/status.h>

#include <string>
#include <string_view>
#include <vector>

namespace k3saga::node {

// Air-gapped nodes load k3s's own images from an archive in <data-dir>/agent/images (docs.k3s.io, "Air-Gap
// Install").

// k3s's own archives that lie in <data-dir>/agent/images now, as paths; other people's archives are not ours.
std::vector<std::string> ImageArchives(const std::string& data_dir);

// Puts the staged archive there and removes k3s's older ones (they are kept: keep.h). Durable, idempotent.
absl::Status PlaceImages(const std::string& staged, const std::string& data_dir);

}  // namespace k3saga::node
