// A coordinator and agents that are not of one version, by the real program: who is worked with, and that
// what one of them does not know is said before anything is touched.
#include <absl/strings/str_cat.h>

#include "common/protocol.h"
#include "tests/unit/coordinator/cli/served_cluster.h"

namespace k3saga::cli {
namespace {

using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;

constexpr char kTo[] = "v1.32.0+k3s1";

class VersionsApart : public ServedCluster {};

TEST_F(VersionsApart, TheProtocolBeforeAndLaterOnesAreWorkedWith) {
  cluster_.SetProtocol("s1", kOldestProtocol);
  cluster_.SetProtocol("w1", kOldestProtocol);
  cluster_.SetProtocol("s2", kProtocol + 1);
  cluster_.SetProtocol("w2", kProtocol + 1);
  const ProcessResult result = K3saga({"upgrade", "--to", kTo, "--yes"});
  EXPECT_EQ(result.exit_code, 0) << result.out << result.err;
  EXPECT_THAT(cluster_.Versions(), Each(Pair(::testing::_, kTo)));
}

TEST_F(VersionsApart, OlderProtocolsAreRefusedByThePreflight) {
  cluster_.SetProtocol("w2", kOldestProtocol - 1);
  for (const std::vector<std::string>& command : {std::vector<std::string>{"check"},
                                                  {"check", "--to", kTo},
                                                  {"plan", "--to", kTo},
                                                  {"upgrade", "--to", kTo, "--yes"}}) {
    const ProcessResult result = K3saga(command);
    EXPECT_EQ(result.exit_code, 3) << command[0] << ": " << result.out << result.err;
    EXPECT_THAT(result.out + result.err, HasSubstr("w2: its agent 0.1.0 speaks protocol 0, and the oldest"));
    EXPECT_THAT(result.out + result.err, HasSubstr("upgrade k3saga-agent on this node"));
  }
  EXPECT_THAT(cluster_.Installs(), IsEmpty());
}

// The same protocol, and yet an agent that cannot: nothing is skipped, and no node was touched.
TEST_F(VersionsApart, AVerbThatAnAgentDoesNotKnowEndsTheRolloutBeforeTheFirstNode) {
  struct Case {
    const char* node;
    v1::OperationSpec::VerbCase verb;
  };
  for (const Case& each : {Case{"s2", v1::OperationSpec::kClaim}, Case{"w1", v1::OperationSpec::kStage},
                           Case{"s2", v1::OperationSpec::kBackup}}) {
    cluster_.Forget(each.node, each.verb);
    const ProcessResult result = K3saga({"upgrade", "--to", kTo, "--yes"});
    EXPECT_NE(result.exit_code, 0) << each.node;
    EXPECT_THAT(result.out + result.err, HasSubstr(absl::StrCat(each.node, ": ")));
    EXPECT_THAT(result.out + result.err, HasSubstr("does not know the operation's verb"));
    EXPECT_THAT(result.out + result.err, HasSubstr("upgrade k3saga-agent on this node"));
    EXPECT_THAT(cluster_.Installs(), Each(Pair(::testing::_, 0)));
    EXPECT_THAT(cluster_.Versions(), Each(Pair(::testing::_, FakeCluster::kFrom)));
    cluster_.Remember(each.node);
  }
}

}  // namespace
}  // namespace k3saga::cli
