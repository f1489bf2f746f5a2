#include "agent/kube/manifests.h"

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>

#include "common/host/log.h"
#include "common/reason.h"
#include "common/status_macros.h"

namespace k3saga::kube {
namespace {

constexpr size_t kLongestManifest = 256 * 1024;

absl::Status RemedyFailed(std::string_view object, std::string_view detail, std::string_view remedy = "") {
  return ReasonError(MakeReason(v1::REMEDY_FAILED, object, detail, remedy));
}

std::string RolloutOf(const Json& object) {
  const Labels annotations = LabelsAt(object, {"metadata", "annotations"});
  const auto found = annotations.find(kRolloutAnnotation);
  return found == annotations.end() ? "" : found->second;
}

absl::StatusOr<Json> Parse(const std::string& manifest) {
  if (manifest.size() > kLongestManifest) return RemedyFailed("", "a manifest is longer than 256 KiB");
  Json object = Json::parse(manifest, nullptr, /*allow_exceptions=*/false);
  const bool whole = object.is_object() && !TextAt(object, {"apiVersion"}).empty() &&
                     !TextAt(object, {"kind"}).empty() && !TextAt(object, {"metadata", "name"}).empty();
  if (!whole) return RemedyFailed("", "a manifest is no object with apiVersion, kind and metadata.name");
  return object;
}

}  // namespace

absl::StatusOr<ObjectPlace> Manifests::Locate(const Json& object, const Patience& patience) {
  const std::string version = TextAt(object, {"apiVersion"});
  const std::string kind = TextAt(object, {"kind"});
  ObjectPlace place;
  place.name = TextAt(object, {"metadata", "name"});
  place.shown = absl::StrCat(kind, " ", place.name);
  const std::string group = absl::StrCat(absl::StrContains(version, "/") ? "/apis/" : "/api/", version);
  const auto resources = api_.Get(group, patience);
  if (absl::IsNotFound(resources.status())) {
    return RemedyFailed(place.shown, absl::StrCat("this cluster has no API ", version));
  }
  K3SAGA_RETURN_IF_ERROR(resources.status());
  for (const Json& resource : ListAt(resources->json, {"resources"})) {
    const std::string plural = TextAt(resource, {"name"});
    if (TextAt(resource, {"kind"}) != kind || absl::StrContains(plural, "/")) continue;
    place.collection = absl::StrCat(group, "/", plural);
    if (!TrueAt(resource, {"namespaced"})) return place;
    std::string name_space = TextAt(object, {"metadata", "namespace"});
    if (name_space.empty()) name_space = "default";
    place.collection = absl::StrCat(group, "/namespaces/", Escape(name_space), "/", plural);
    return place;
  }
  return RemedyFailed(place.shown, absl::StrCat("the API ", version, " of this cluster has no such kind"));
}

absl::Status Manifests::Apply(const std::string& manifest, std::string_view rollout,
                              const Patience& patience) {
  K3SAGA_ASSIGN_OR_RETURN(Json object, Parse(manifest));
  K3SAGA_ASSIGN_OR_RETURN(const ObjectPlace place, Locate(object, patience));
  object["metadata"]["annotations"][kRolloutAnnotation] = std::string(rollout);
  const Api::Request create{.method = "POST", .path = place.collection, .body = object};
  K3SAGA_ASSIGN_OR_RETURN(const Answer created, api_.Send(create, patience));
  if (created.ok()) return absl::OkStatus();
  if (created.status != 409) {
    return RemedyFailed(place.shown, std::string(ErrorOf(created, "POST " + create.path).message()));
  }
  K3SAGA_ASSIGN_OR_RETURN(const Answer there, api_.Get(place.Path(), patience));
  const std::string owner = RolloutOf(there.json);
  if (owner == rollout) return absl::OkStatus();  // by a request whose answer was lost
  if (owner.empty()) {
    return RemedyFailed(place.shown, "somebody else's object has this name; it was left alone",
                        "look whether it does what is needed, or remove it");
  }
  // A rollout of ours that never came to removing it: this one's now.
  Json metadata = {{"annotations", {{kRolloutAnnotation, std::string(rollout)}}}};
  metadata["resourceVersion"] = TextAt(there.json, {"metadata", "resourceVersion"});
  const Api::Request adopt{.method = "PATCH",
                           .path = place.Path(),
                           .content_type = "application/merge-patch+json",
                           .body = {{"metadata", metadata}}};
  K3SAGA_ASSIGN_OR_RETURN(const Answer adopted, api_.Send(adopt, patience));
  if (adopted.ok()) return absl::OkStatus();
  return RemedyFailed(place.shown, std::string(ErrorOf(adopted, "PATCH " + adopt.path).message()));
}

absl::Status Manifests::Remove(const std::string& manifest, std::string_view rollout,
                               const Patience& patience) {
  K3SAGA_ASSIGN_OR_RETURN(const Json object, Parse(manifest));
  K3SAGA_ASSIGN_OR_RETURN(const ObjectPlace place, Locate(object, patience));
  const auto there = api_.Get(place.Path(), patience);
  if (absl::IsNotFound(there.status())) return absl::OkStatus();
  K3SAGA_RETURN_IF_ERROR(there.status());
  if (RolloutOf(there->json) != rollout) {
    LogInfo(absl::StrCat(place.shown, " is not this rollout's; it was left alone"));
    return absl::OkStatus();
  }
  // Only the very object that was looked at.
  const Json preconditions = {{"uid", TextAt(there->json, {"metadata", "uid"})}};
  const Api::Request remove{
      .method = "DELETE",
      .path = place.Path(),
      .body = {{"kind", "DeleteOptions"}, {"apiVersion", "v1"}, {"preconditions", preconditions}}};
  K3SAGA_ASSIGN_OR_RETURN(const Answer removed, api_.Send(remove, patience));
  const bool gone = removed.ok() || removed.status == 404 || removed.status == 409;
  return gone ? absl::OkStatus()
              : RemedyFailed(place.shown, std::string(ErrorOf(removed, "DELETE " + remove.path).message()));
}

}  // namespace k3saga::kube
