#include "agent/kube/drain_rules.h"

#include "agent/kube/json.h"

namespace k3saga::kube {
namespace {

struct Case {
  const char* name;
  const char* pod;  // merged into a running pod of a ReplicaSet
  bool delete_empty_dir_data;
  bool force_unmanaged;
  PodFate expected;
};

constexpr char kPod[] = R"({
  "metadata": {"namespace": "shop", "name": "web-1", "uid": "u1",
               "ownerReferences": [{"kind": "ReplicaSet", "uid": "r1", "controller": true}]},
  "spec": {"nodeName": "w1", "volumes": [{"name": "config", "configMap": {}}]},
  "status": {"phase": "Running"}})";

constexpr char kUnmanaged[] = R"({"metadata": {"ownerReferences": null}})";
constexpr char kEmptyDir[] = R"({"spec": {"volumes": [{"name": "cache", "emptyDir": {}}]}})";
constexpr char kDaemon[] =
    R"({"metadata": {"ownerReferences": [{"kind": "DaemonSet", "uid": "d1", "controller": true}]}})";

// A kubelet before 1.22 leaves the object for up to 10 s after this.
constexpr char kEnded[] = R"({
  "metadata": {"deletionTimestamp": "2026-11-23T02:35:51Z"},
  "spec": {"containers": [{"name": "web"}], "volumes": [{"secret": {}}, {"projected": {}}]},
  "status": {"containerStatuses": [{"state": {"terminated": {"exitCode": 137}}}]}})";

const Case kCases[] = {
    {"a plain managed pod", "{}", false, false, PodFate::kEvict},
    {"a static pod's mirror", R"({"metadata": {"annotations": {"kubernetes.io/config.mirror": "abc"}}})",
     true, true, PodFate::kStays},
    {"a finished mirror stays too",
     R"({"metadata": {"annotations": {"kubernetes.io/config.mirror": ""}}, "status": {"phase": "Failed"}})",
     true, true, PodFate::kStays},
    {"a DaemonSet's pod", kDaemon, true, true, PodFate::kStays},
    {"a DaemonSet's finished pod",
     R"({"metadata": {"ownerReferences": [{"kind": "DaemonSet", "uid": "d1", "controller": true}]},
         "status": {"phase": "Failed"}})",
     false, false, PodFate::kEvict},
    {"nobody's pod", kUnmanaged, true, false, PodFate::kUnmanaged},
    {"nobody's pod, allowed", kUnmanaged, false, true, PodFate::kEvict},
    {"an owner that does not control it",
     R"({"metadata": {"ownerReferences": [{"kind": "Widget", "uid": "x"}]}})", false, false,
     PodFate::kUnmanaged},
    {"nobody's finished pod", R"({"metadata": {"ownerReferences": null}, "status": {"phase": "Succeeded"}})",
     false, false, PodFate::kEvict},
    {"an emptyDir", kEmptyDir, false, true, PodFate::kEmptyDir},
    {"an emptyDir, allowed", kEmptyDir, true, false, PodFate::kEvict},
    {"a finished pod's emptyDir",
     R"({"spec": {"volumes": [{"name": "cache", "emptyDir": {}}]}, "status": {"phase": "Succeeded"}})", false,
     false, PodFate::kEvict},
    {"an emptyDir and nobody's: the data is said first",
     R"({"metadata": {"ownerReferences": null}, "spec": {"volumes": [{"emptyDir": {}}]}})", false, false,
     PodFate::kEmptyDir},
    {"a DaemonSet's pod with an emptyDir",
     R"({"metadata": {"ownerReferences": [{"kind": "DaemonSet", "uid": "d1", "controller": true}]},
         "spec": {"volumes": [{"emptyDir": {}}]}})",
     false, false, PodFate::kStays},
    {"a pod that waits for a node's resources", R"({"status": {"phase": "Pending"}})", false, false,
     PodFate::kEvict},
    {"a deleted pod whose containers have ended", kEnded, false, false, PodFate::kStays},
    {"a deleted pod whose container was gone before anybody looked",
     R"({"metadata": {"deletionTimestamp": "2026-11-23T03:54:38Z"}, "spec": {"containers": [{}]},
         "status": {"containerStatuses": [{"state": {"waiting": {"reason": "ContainerCreating"}},
                    "lastState": {"terminated": {"reason": "ContainerStatusUnknown"}}}]}})",
     false, false, PodFate::kStays},
};

// What makes the pod of kEnded one that is still waited for.
const Case kNotEnded[] = {
    {"not deleted", R"({"metadata": {"deletionTimestamp": null}})", false, false, PodFate::kEvict},
    {"a container still runs",
     R"({"spec": {"containers": [{}, {}]},
         "status": {"containerStatuses": [{"state": {"terminated": {}}}, {"state": {"running": {}}}]}})",
     false, false, PodFate::kEvict},
    {"a container says nothing", R"({"spec": {"containers": [{}, {}]}})", false, false, PodFate::kEvict},
    {"a container waits to be started again",
     R"({"status": {"containerStatuses": [{"state": {"waiting": {"reason": "CrashLoopBackOff"}},
                    "lastState": {"terminated": {"reason": "Error"}}}]}})",
     false, false, PodFate::kEvict},
    {"no container says anything", R"({"status": {"containerStatuses": null}})", false, false,
     PodFate::kEvict},
    {"an init container runs", R"({"status": {"initContainerStatuses": [{"state": {"running": {}}}]}})",
     false, false, PodFate::kEvict},
    {"a volume is to be detached", R"({"spec": {"volumes": [{"persistentVolumeClaim": {}}]}})", false, false,
     PodFate::kEvict},
    {"a StatefulSet's next pod waits for the name",
     R"({"metadata": {"ownerReferences": [{"kind": "StatefulSet", "uid": "s1", "controller": true}]}})",
     false, false, PodFate::kEvict},
};

TEST(DrainRules, MeanWhatKubectlDrainMeans) {
  for (const Case& c : kCases) {
    Json object = Json::parse(kPod);
    object.merge_patch(Json::parse(c.pod));
    v1::DrainPolicy policy;
    policy.set_delete_empty_dir_data(c.delete_empty_dir_data);
    policy.set_force_unmanaged(c.force_unmanaged);
    EXPECT_EQ(FateOf(PodOf(object), policy), c.expected) << c.name;
  }
}

TEST(DrainRules, WaitForADeletedPodUntilNothingOfItMatters) {
  for (const Case& c : kNotEnded) {
    Json object = Json::parse(kPod);
    object.merge_patch(Json::parse(kEnded));
    object.merge_patch(Json::parse(c.pod));
    EXPECT_EQ(FateOf(PodOf(object), v1::DrainPolicy()), c.expected) << c.name;
  }
}

TEST(DrainRules, SayWhatToDoAboutAPodInTheWay) {
  const Pod pod = PodOf(Json::parse(kPod));
  for (const PodFate fate : {PodFate::kEmptyDir, PodFate::kUnmanaged}) {
    const v1::Reason reason = InTheWay(pod, fate);
    EXPECT_EQ(reason.code(), v1::POD_IN_THE_WAY);
    EXPECT_EQ(reason.subject(), "shop/web-1");
    EXPECT_THAT(reason.remedy(), ::testing::HasSubstr("drain."));
  }
}

}  // namespace
}  // namespace k3saga::kube
