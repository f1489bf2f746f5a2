#include "coordinator/agents/preflight.h"

namespace k3saga::agents {
namespace {

v1::NodeFacts Node(const std::string& name, v1::Role role) {
  v1::NodeFacts node;
  node.set_name(name);
  node.set_agent_version("0.1.0");
  node.set_architecture("amd64");
  node.mutable_k3s()->set_role(role);
  return node;
}

const std::vector<Package> kPackages = {{.path = "a.deb",
                                         .wire_name = "k3saga-agent.deb",
                                         .architecture = "amd64",
                                         .version = "0.2.0",
                                         .bytes = 1,
                                         .sha256 = ""}};

TEST(WhatIsInTheWay, NamesEveryNodeAndWhy) {
  const v1::NodeFacts good = Node("s1", v1::ROLE_SERVER);
  EXPECT_TRUE(WhatIsInTheWay({good}, kPackages, false).empty());

  v1::NodeFacts silent;
  silent.set_name("s2");
  silent.add_problems()->set_code(v1::NODE_UNREACHABLE);
  v1::NodeFacts arm = Node("w1", v1::ROLE_WORKER);
  arm.set_architecture("arm64");
  v1::NodeFacts held = Node("s3", v1::ROLE_SERVER);
  held.mutable_claim()->set_active(true);
  const std::vector<v1::Reason> found = WhatIsInTheWay({good, silent, arm, held}, kPackages, false);
  ASSERT_EQ(found.size(), 3u);
  EXPECT_EQ(found[0].code(), v1::NODE_UNREACHABLE);
  EXPECT_EQ(found[1].code(), v1::RELEASE_UNAVAILABLE);
  EXPECT_EQ(found[1].subject(), "w1");
  EXPECT_EQ(found[2].code(), v1::CLUSTER_HELD);
  EXPECT_TRUE(WhatIsInTheWay({held}, kPackages, true).empty());
}

TEST(WhatIsInTheWay, ANodesOwnTroubleIsNone) {
  v1::NodeFacts node = Node("s1", v1::ROLE_SERVER);  // k3s is down, say
  node.add_problems()->set_code(v1::NODE_UNHEALTHY);
  EXPECT_TRUE(WhatIsInTheWay({node}, kPackages, false).empty());
}

TEST(InOrder, WorkersFirst) {
  std::vector<std::string> names;
  for (const v1::NodeFacts& node : InOrder({Node("s1", v1::ROLE_SERVER), Node("w1", v1::ROLE_WORKER),
                                            Node("s2", v1::ROLE_SERVER), Node("w2", v1::ROLE_WORKER)})) {
    names.push_back(node.name());
  }
  EXPECT_EQ(names, (std::vector<std::string>{"w1", "w2", "s1", "s2"}));
}

}  // namespace
}  // namespace k3saga::agents
