#include "coordinator/cli/target.h"

#include <set>

#include "coordinator/cli/release_images.h"
#include "coordinator/driver/release_cache.h"

namespace k3saga::cli {
namespace {

bool Told(const std::vector<v1::Reason>& reasons, const v1::Reason& reason) {
  for (const v1::Reason& each : reasons) {
    if (each.subject() == reason.subject() && each.detail() == reason.detail()) return true;
  }
  return false;
}

}  // namespace

void LookAtTarget(const Session& session, const std::vector<v1::NodeFacts>& facts,
                  const std::vector<std::string>& hops, core::PlanRequest* request) {
  request->target_images = ReadTargetImages(request->release);
  std::set<std::string> architectures;
  for (const v1::NodeFacts& node : facts) {
    if (!node.architecture().empty()) architectures.insert(node.architecture());
  }
  const driver::ReleaseCache cache(session.release_cache());
  v1::Release release = request->release;
  for (const std::string& hop : hops) {
    release.set_version(hop);
    for (v1::Reason& reason :
         cache.Look(release, {architectures.begin(), architectures.end()}, session.file().path)) {
      if (!Told(request->release_missing, reason)) request->release_missing.push_back(std::move(reason));
    }
  }
}

}  // namespace k3saga::cli
