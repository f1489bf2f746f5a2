// What etcd may have in the way of an upgrade, with real etcd: an alarm, a learner that a join left behind, a
// member whose server is gone. Each is refused by name, nothing is touched, and what docs/recovery.md says
// clears it.

#include <absl/strings/str_replace.h>
#include <absl/strings/str_split.h>

#include "common/host/files.h"
#include "common/host/process.h"
#include "lab/control/cluster_client.h"
#include "tests/e2e/outcome.h"
#include "tests/support/eventually.h"

namespace k3saga::testing {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr std::chrono::seconds kSettles{60};

class EtcdInTheWay : public ::testing::Test {
 protected:
  void SetUp() override {
    auto up = LabCluster::Up({.servers = 3, .workers = 0});
    ASSERT_TRUE(up.ok()) << up.status();
    lab_ = *std::move(up);
    layout_ = *lab::LoadLab(lab_->dir());
    client_ = std::make_unique<lab::ClusterClient>(layout_);
    etcd_ = client_->Etcd(*layout_.FindNode("s1"));
    ASSERT_NE(etcd_, nullptr);
    ASSERT_NO_FATAL_FAILURE(ReadRunbook());
  }

  // The page's commands, and the environment that it sets: as on server s1 of the lab.
  void ReadRunbook() {
    const auto page = ReadFile(K3SAGA_RECOVERY);
    ASSERT_TRUE(page.ok()) << page.status();
    const std::string k3s = lab_->Path("nodes/s1/root/var/lib/rancher/k3s");
    for (absl::string_view line : absl::StrSplit(*page, '\n')) {
      if (absl::ConsumePrefix(&line, "    export ")) {
        for (absl::string_view variable : absl::StrSplit(line, ' ')) {
          environment_.push_back(absl::StrReplaceAll(
              variable, {{"/var/lib/rancher/k3s", k3s}, {"127.0.0.1", layout_.FindNode("s1")->address}}));
        }
      } else if (absl::StartsWith(line, "    etcdctl ")) {
        commands_.emplace_back(absl::StripLeadingAsciiWhitespace(line));
      }
    }
    ASSERT_THAT(commands_,
                ElementsAre("etcdctl member list", "etcdctl endpoint status --write-out=json",
                            "etcdctl compact REVISION", "etcdctl defrag --cluster --command-timeout=60s",
                            "etcdctl alarm disarm", "etcdctl member remove MEMBER"))
        << "the page and this test have to say the same";
  }
  std::string Follow(size_t command, const std::map<std::string, std::string>& words = {}) {
    Command run;
    run.argv = absl::StrSplit(absl::StrReplaceAll(commands_[command], words), ' ');
    run.environment = PlainEnvironment();
    run.environment.insert(run.environment.end(), environment_.begin(), environment_.end());
    run.deadline = std::chrono::seconds(90);
    const auto ended = k3saga::Run(run);
    EXPECT_TRUE(ended.ok() && ended->ok()) << commands_[command] << ": " << (ended.ok() ? ended->err : "");
    return ended.ok() ? ended->out : "";
  }

  // Both commands say all of it, and nothing moves.
  void ExpectRefused(const ::testing::Matcher<std::string>& words) {
    const auto check = lab_->K3saga({"check", "--to", kNew});
    EXPECT_EQ(check.exit_code, 3) << check.err;
    EXPECT_THAT(check.out, words);
    const auto upgrade = lab_->K3saga({"upgrade", "--to", kNew, "--yes", "--allow-outage"});
    EXPECT_EQ(upgrade.exit_code, 3) << upgrade.err;
    EXPECT_THAT(upgrade.out, words);
    EXPECT_THAT(upgrade.out, HasSubstr("nothing was touched"));
    for (const char* node : {"s1", "s2", "s3"}) EXPECT_EQ(InstallerRuns(*lab_, node), 0) << node;
    EXPECT_TRUE(lab_->K3sagaJson({"history"})["rollouts"].empty());
  }
  // Heartbeats that were refused meanwhile may have to come first.
  void ExpectClear() {
    LabCluster::Ended check;
    EXPECT_TRUE(Eventually(
        [&] {
          check = lab_->K3saga({"check", "--to", kNew, "--allow-outage"});
          return check.exit_code == 0;
        },
        kSettles))
        << check.out << check.err;
  }
  uint64_t MemberOf(const std::string& server) {
    const auto members = etcd_->Members(std::chrono::seconds(5));
    EXPECT_TRUE(members.ok()) << members.status();
    if (!members.ok()) return 0;
    for (const auto& member : members->members()) {
      if (absl::StartsWith(member.name(), server + "-")) return member.id();
    }
    ADD_FAILURE() << "no member of " << server;
    return 0;
  }

  std::unique_ptr<LabCluster> lab_;
  lab::Lab layout_;
  std::unique_ptr<lab::ClusterClient> client_;
  std::unique_ptr<lab::EtcdClient> etcd_;
  std::vector<std::string> environment_;
  std::vector<std::string> commands_;
};

TEST_F(EtcdInTheWay, AnAlarmIsNamedWithItsMember) {
  ASSERT_TRUE(etcd_->RaiseNoSpace(MemberOf("s2")).ok());
  ExpectRefused(
      AllOf(HasSubstr("s2: its etcd member raises the alarm NOSPACE"), HasSubstr("docs/recovery.md")));

  const auto status = nlohmann::json::parse(Follow(1), nullptr, false);
  ASSERT_TRUE(status.is_array()) << status;
  Follow(2, {{"REVISION", status[0]["Status"]["header"]["revision"].dump()}});
  Follow(3);
  EXPECT_THAT(Follow(4), HasSubstr("NOSPACE"));
  ExpectClear();
}

TEST_F(EtcdInTheWay, ALearnerThatAJoinLeftBehindIsNamed) {
  const auto added = etcd_->AddLearner("https://" + layout_.network + ".99:2380");
  ASSERT_TRUE(added.ok()) << added.status();
  const std::string id = absl::StrCat(absl::Hex(added->member().id()));
  ExpectRefused(AllOf(HasSubstr("member " + id + ": this etcd member"), HasSubstr(".99:2380"),
                      HasSubstr("is a learner, left over from a join"), HasSubstr("docs/recovery.md")));

  EXPECT_THAT(Follow(0), HasSubstr(id));
  Follow(5, {{"MEMBER", id}});
  ExpectClear();
}

// Its machine does not answer any more, and its user takes it out of the cluster file: etcd still counts it.
TEST_F(EtcdInTheWay, AMemberWhoseServerIsGoneIsNamed) {
  for (const char* what : {"etcd", "k3s", "agent"})
    ASSERT_EQ(lab_->Lab({"fault", "pause", "s3", what}).exit_code, 0) << what;
  ExpectRefused(
      AllOf(HasSubstr("s3: its agent at"), HasSubstr("did not answer"), Not(HasSubstr("remove the member"))));

  auto file = ReadFile(lab_->Path("cluster.yaml"));
  ASSERT_TRUE(file.ok());
  std::string others;
  for (absl::string_view line : absl::StrSplit(*file, '\n')) {
    if (!absl::StrContains(line, "name: s3")) absl::StrAppend(&others, line, "\n");
  }
  ASSERT_NE(others.size(), file->size() + 1) << "the file names s3 in a line of its own: " << *file;
  ASSERT_TRUE(WriteFileDurably(lab_->Path("cluster.yaml"), others, {.mode = 0644}).ok());
  const std::string id = absl::StrCat(absl::Hex(MemberOf("s3")));
  ExpectRefused(AllOf(HasSubstr("s3-"), HasSubstr("etcd lists this member (id " + id),
                      HasSubstr("no server in cluster.yaml runs it"), HasSubstr("docs/recovery.md"),
                      HasSubstr("s3: the cluster has this Node, cluster.yaml has not")));

  Follow(5, {{"MEMBER", id}});
  ASSERT_TRUE(client_->Call("DELETE", "/api/v1/nodes/s3").ok());
  ExpectClear();
}

}  // namespace
}  // namespace k3saga::testing
