// A release that the nodes are to get through this machine is looked for before anything is touched.
#include <nlohmann/json.hpp>

#include "tests/support/release_server.h"
#include "tests/unit/coordinator/cli/served_cluster.h"

namespace k3saga::cli {
namespace {

using ::testing::AllOf;
using ::testing::Each;
using ::testing::HasSubstr;

constexpr char kTo[] = "v1.32.0+k3s1";

class ReleaseLook : public ServedCluster {
 protected:
  void SetUp() override {
    ServedCluster::SetUp();
    const auto text = ReadFile(At("cluster.yaml"));
    ASSERT_TRUE(text.ok());
    const std::string ours = absl::StrReplaceAll(
        *text, {{"source: /srv/releases", absl::StrCat("source: coordinator:", server_.Url())}});
    ASSERT_NE(ours, *text);
    ASSERT_TRUE(WriteFileDurably(At("cluster.yaml"), ours).ok());
  }

  k3saga::testing::ReleaseServer server_;
};

TEST_F(ReleaseLook, CheckPlanAndUpgradeRefuseWhatIsNotThere) {
  for (const std::vector<std::string>& command : {std::vector<std::string>{"check", "--to", kTo},
                                                  {"plan", "--to", kTo},
                                                  {"upgrade", "--to", kTo, "--yes"}}) {
    const ProcessResult result = K3saga(command);
    EXPECT_EQ(result.exit_code, 3) << command[0] << result.out << result.err;
    EXPECT_THAT(result.out, AllOf(HasSubstr(server_.Url()), HasSubstr("HTTP status 404"),
                                  HasSubstr("release.source in cluster.yaml")))
        << command[0];
  }
  EXPECT_TRUE(cluster_.Installs().empty());
}

TEST_F(ReleaseLook, NoBinaryIsFetchedForIt) {
  server_.PutRelease("k3s");
  const ProcessResult result = K3saga({"check", "--to", kTo});
  EXPECT_EQ(result.exit_code, 0) << result.out << result.err;
  EXPECT_THAT(server_.Requests(), ::testing::Not(::testing::Contains(HasSubstr("/k3s "))));
  EXPECT_THAT(server_.Requests(), ::testing::Contains(HasSubstr("sha256sum-amd64.txt")));
}

}  // namespace
}  // namespace k3saga::cli
