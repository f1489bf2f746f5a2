#include "agent/kube/components.h"

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>

#include "common/reason.h"

namespace k3saga::kube {
namespace {

constexpr char kHelmJob[] = "Job";
constexpr char kFailedTimes[] = "failed ";

v1::PackagedComponent Begin(const char* kind, const Json& object) {
  v1::PackagedComponent component;
  component.set_kind(kind);
  component.set_name(TextAt(object, {"metadata", "name"}));
  for (const Json& container : ListAt(object, {"spec", "template", "spec", "containers"})) {
    component.add_images(TextAt(container, {"image"}));
  }
  return component;
}

v1::PackagedComponent WorkloadOf(const char* kind, const Json& object, int64_t wanted, int64_t updated,
                                 int64_t available) {
  const bool observed =
      NumberAt(object, {"status", "observedGeneration"}) >= NumberAt(object, {"metadata", "generation"});
  v1::PackagedComponent component = Begin(kind, object);
  component.set_ready(observed && updated >= wanted && available >= wanted);
  if (!component.ready()) {
    component.set_detail(observed
                             ? absl::StrCat(available, " of ", wanted, " available, ", updated, " up to date")
                             : "its change was not taken up yet");
  }
  return component;
}

}  // namespace

bool IsPackaged(const Json& object) {
  for (const auto& [key, value] : LabelsAt(object, {"metadata", "annotations"})) {
    if (absl::StartsWith(key, "objectset.rio.cattle.io/")) return true;
  }
  const Labels labels = LabelsAt(object, {"metadata", "labels"});
  if (labels.contains("helmcharts.helm.cattle.io/chart")) return true;  // a helm job
  const auto manager = labels.find("app.kubernetes.io/managed-by");
  return manager != labels.end() && manager->second == "Helm";
}

v1::PackagedComponent DeploymentOf(const Json& object) {
  return WorkloadOf("Deployment", object, NumberAt(object, {"spec", "replicas"}, 1),
                    NumberAt(object, {"status", "updatedReplicas"}),
                    NumberAt(object, {"status", "availableReplicas"}));
}

v1::PackagedComponent DaemonSetOf(const Json& object) {
  return WorkloadOf("DaemonSet", object, NumberAt(object, {"status", "desiredNumberScheduled"}),
                    NumberAt(object, {"status", "updatedNumberScheduled"}),
                    NumberAt(object, {"status", "numberAvailable"}));
}

v1::PackagedComponent HelmJobOf(const Json& object) {
  v1::PackagedComponent component = Begin(kHelmJob, object);
  component.set_ready(NumberAt(object, {"status", "succeeded"}) > 0);
  const int64_t failed = NumberAt(object, {"status", "failed"});
  if (!component.ready()) {
    component.set_detail(failed > 0 ? absl::StrCat(kFailedTimes, failed, " times") : "not done yet");
  }
  return component;
}

v1::Reason TroubleOf(const v1::PackagedComponent& component) {
  const bool under_way = component.kind() == kHelmJob && !absl::StartsWith(component.detail(), kFailedTimes);
  if (component.ready() || under_way) return {};
  return MakeReason(v1::COMPONENT_NOT_READY, absl::StrCat(component.kind(), " ", component.name()),
                    component.detail(),
                    "kubectl -n kube-system describe " + component.kind() + " " + component.name());
}

}  // namespace k3saga::kube
