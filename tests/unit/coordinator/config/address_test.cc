#include "coordinator/config/address.h"

namespace k3saga::config {
namespace {

TEST(AgentTarget, TakesWhatPeopleWrite) {
  struct {
    const char* text;
    const char* target;
  } const cases[] = {
      {"10.0.0.11", "ipv4:10.0.0.11:7440"},
      {"10.0.0.11:9000", "ipv4:10.0.0.11:9000"},
      {"fd00::11", "ipv6:[fd00::11]:7440"},
      {"[fd00::11]", "ipv6:[fd00::11]:7440"},
      {"[fd00::11]:9000", "ipv6:[fd00::11]:9000"},
      {"s1.example", "dns:///s1.example:7440"},
      {"s1:9000", "dns:///s1:9000"},
  };
  for (const auto& c : cases) {
    auto target = AgentTarget(c.text);
    ASSERT_TRUE(target.ok()) << target.status();
    EXPECT_EQ(*target, c.target);
  }
}

TEST(AgentTarget, RefusesEverythingElse) {
  for (const char* text :
       {"", ":7440", "10.0.0.11:", "10.0.0.11:0", "10.0.0.11:65536", "10.0.0.11:x", "10.0.0", "10.0.0.256",
        "[10.0.0.11]:7440", "https://s1", "s 1", "-s1", "[fd00::11", "1.2.3.4:+5", "unix:/tmp/x"}) {
    EXPECT_FALSE(AgentTarget(text).ok()) << text;
  }
}

}  // namespace
}  // namespace k3saga::config
