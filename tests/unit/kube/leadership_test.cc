#include "agent/kube/leadership.h"

#include "agent/kube/kube.h"
#include "tests/support/fake_kubernetes.h"

namespace k3saga::kube {
namespace {

using ::testing::ElementsAre;
using testing::FakeKubernetes;
using testing::FakeTime;
using ::testing::IsEmpty;

constexpr char kLeases[] = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/";
const Patience kPatient{std::chrono::seconds(5), {}};

class LeadershipTest : public ::testing::Test {
 protected:
  void SetUp() override {
    api_.AddKind("/apis/coordination.k8s.io/v1", "leases", "Lease", true);
    api_.AddKind("/api/v1", "endpoints", "Endpoints", true);
    Hold("kube-controller-manager", "s1_5adeb477");
    Hold("kube-scheduler", "s2_79503a03");
    Hold("cloud-controller-manager", "s1_27001475");
    Hold("metallb-speaker", "s1_0a1b2c3d");  // a pod on the host's network: it goes on
    const std::string url = api_.Url();
    const int port = std::stoi(url.substr(url.rfind(':') + 1));
    api_.PutObject(
        "/api/v1/namespaces/default/endpoints/kubernetes",
        {{"metadata", {{"name", "kubernetes"}, {"namespace", "default"}}},
         {"subsets",
          {{{"addresses", {{{"ip", "127.0.0.1"}}}}, {"ports", {{{"name", "https"}, {"port", port}}}}}}}});
  }
  void Hold(const std::string& lease, const std::string& holder) {
    api_.PutObject(kLeases + lease,
                   {{"metadata", {{"name", lease}, {"namespace", "kube-system"}, {"resourceVersion", "7"}}},
                    {"spec", {{"holderIdentity", holder}, {"leaseDurationSeconds", 15}}}});
  }
  std::string HolderOf(const std::string& lease) {
    return api_.Object(kLeases + lease)["spec"]["holderIdentity"];
  }
  Leadership Read(const std::string& host) {
    auto leadership = kube_->LeadershipOf(host, kPatient);
    EXPECT_TRUE(leadership.ok()) << leadership.status();
    return leadership.ok() ? *leadership : Leadership();
  }

  FakeTime time_;
  FakeKubernetes api_{time_};
  std::unique_ptr<Kube> kube_ = MakeKube([this] { return api_.KubeconfigPath(); }, time_, time_);
};

TEST_F(LeadershipTest, IsWhatRunsInsideThisK3sAndNothingElse) {
  const Leadership leadership = Read("s1");
  std::vector<std::string> leases;
  for (const Leadership::Held& held : leadership.held) leases.push_back(held.lease);
  EXPECT_THAT(leases, ElementsAre("cloud-controller-manager", "kube-controller-manager"));
  EXPECT_THAT(leadership.servers, ElementsAre(api_.Url()));
  EXPECT_THAT(Read("s3").held, IsEmpty());
  EXPECT_THAT(Read("s").held, IsEmpty()) << "another host whose name begins alike";
}

TEST_F(LeadershipTest, IsGivenBackSoThatTheNextMayHaveItAtOnce) {
  const Leadership leadership = Read("s1");
  ASSERT_TRUE(kube_->GiveBackLeadership(leadership, kPatient).ok());
  EXPECT_EQ(HolderOf("kube-controller-manager"), "");
  EXPECT_EQ(HolderOf("cloud-controller-manager"), "");
  EXPECT_EQ(HolderOf("kube-scheduler"), "s2_79503a03");
  EXPECT_EQ(HolderOf("metallb-speaker"), "s1_0a1b2c3d");
}

TEST_F(LeadershipTest, IsLeftAloneOnceSomebodyElseHasIt) {
  const Leadership leadership = Read("s1");
  Hold("kube-controller-manager", "s3_11223344");
  ASSERT_TRUE(kube_->GiveBackLeadership(leadership, kPatient).ok());
  EXPECT_EQ(HolderOf("kube-controller-manager"), "s3_11223344");
}

TEST_F(LeadershipTest, IsNotTakenFromWhoeverWasFaster) {
  const Leadership leadership = Read("s1");
  api_.before = [this](const std::string& method, const std::string& path) {
    if (method != "PATCH" || path != std::string(kLeases) + "kube-controller-manager") return;
    Json lease = api_.Object(path);
    lease["metadata"]["resourceVersion"] = "8";
    lease["spec"]["holderIdentity"] = "s3_11223344";
    api_.PutObject(path, lease);
  };
  EXPECT_TRUE(kube_->GiveBackLeadership(leadership, kPatient).ok());
  EXPECT_EQ(HolderOf("kube-controller-manager"), "s3_11223344");
}

TEST_F(LeadershipTest, GoesToTheNextServerWhereOneIsAway) {
  Leadership leadership = Read("s1");
  leadership.servers.insert(leadership.servers.begin(), "https://127.0.0.1:1");
  ASSERT_TRUE(kube_->GiveBackLeadership(leadership, kPatient).ok());
  EXPECT_EQ(HolderOf("kube-controller-manager"), "");
  leadership.servers = {"https://127.0.0.1:1"};
  EXPECT_FALSE(kube_->GiveBackLeadership(leadership, kPatient).ok());
}

}  // namespace
}  // namespace k3saga::kube
