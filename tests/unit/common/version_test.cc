#include "common/version.h"

namespace k3saga {
namespace {

TEST(Version, ParsesAndPrintsWhatK3sWrites) {
  for (const char* text : {"v1.31.4+k3s1", "v1.32.0-rc1+k3s1", "v1.20.8+k3s12"}) {
    auto version = Version::Parse(text);
    ASSERT_TRUE(version.ok()) << version.status();
    EXPECT_EQ(version->ToString(), text);
  }
  EXPECT_EQ(Version::Parse("v1.32.0+k3s1")->ToImageTag(), "v1.32.0-k3s1");
}

TEST(Version, RefusesEverythingElse) {
  for (const char* text :
       {"", "1.32.0+k3s1", "v1.32+k3s1", "v1.32.0", "v1.32.0-k3s1", "v1.32.0+k3s", "v1.32.0+k3s1 ",
        "v01.32.0+k3s1", "v1.32.0-rc0+k3s1", "v1.32.0+rke2r1", "v9999999.1.1+k3s1"}) {
    EXPECT_FALSE(Version::Parse(text).ok()) << text;
  }
}

TEST(Version, OrdersAsReleasesFollowEachOther) {
  const char* ordered[] = {"v1.31.4+k3s1",     "v1.31.4+k3s2",     "v1.31.10+k3s1",
                           "v1.32.0-rc1+k3s1", "v1.32.0-rc2+k3s1", "v1.32.0+k3s1"};
  for (size_t i = 0; i + 1 < std::size(ordered); ++i) {
    EXPECT_LT(*Version::Parse(ordered[i]), *Version::Parse(ordered[i + 1])) << ordered[i];
  }
}

}  // namespace
}  // namespace k3saga
