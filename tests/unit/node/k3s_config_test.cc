#include "agent/node/k3s_config.h"

#include "tests/unit/common/temp_dir.h"

namespace k3saga::node {
namespace {

TEST(Flags, AreReadAsGoReadsThem) {
  EXPECT_EQ(ParseFlags({"--a=b", "--cluster-init", "-d", "/x", "-token", "t", "--server", "--", "--z"}, "s"),
            (std::vector<Flag>{{"a", "b", "s"},
                               {"cluster-init", "true", "s"},
                               {"data-dir", "/x", "s"},
                               {"token", "t", "s"},
                               {"server", "--", "s"},
                               {"z", "true", "s"}}));
  EXPECT_EQ(ParseFlags({"--disable-etcd=false", "--last"}, ""),
            (std::vector<Flag>{{"disable-etcd", "false", ""}, {"last", "true", ""}}));
}

TEST(Flags, TheCommandLineBeatsTheConfigurationBeatsTheEnvironment) {
  const FlagSet flags({{"a", "1", ""}, {"a", "2", ""}}, {{"a", "3", ""}, {"b", "4", ""}, {"list", "x", ""}},
                      {{"b", {"b", "5", ""}}, {"c", {"c", "true", ""}}});
  EXPECT_EQ(flags.Value("a"), "2");
  EXPECT_EQ(flags.Value("b"), "4");
  EXPECT_TRUE(flags.IsTrue("c"));
  EXPECT_FALSE(flags.IsTrue("d"));
  EXPECT_EQ(flags.Values("a"), (std::vector<std::string>{"3", "1", "2"}));
}

TEST(ConfigFiles, MissingOnesAreEmpty) {
  TempDir dir;
  auto flags = ReadConfigFiles(dir / "config.yaml", "");
  ASSERT_TRUE(flags.ok());
  EXPECT_TRUE(flags->flags.empty());
  dir.Write("config.yaml", "# only a comment\n");
  EXPECT_TRUE(ReadConfigFiles(dir / "config.yaml", "").ok());
}

TEST(ConfigFiles, MergeAsK3sMerges) {
  TempDir dir;
  dir.Write("config.yaml", "token: one\nkubelet-arg:\n- a\n- b\nselinux: true\n");
  dir.Write("config.yaml.d/b.yaml", "kubelet-arg+: c\ntoken: two\n");
  dir.Write("config.yaml.d/c.yml", "kubelet-arg: d\nnode-label+: [x, y]\n");
  auto flags = ReadConfigFiles(dir / "config.yaml", "");
  ASSERT_TRUE(flags.ok()) << flags.status();
  EXPECT_EQ(flags->flags, (std::vector<Flag>{{"token", "two", dir / "config.yaml.d/b.yaml"},
                                             {"kubelet-arg", "d", dir / "config.yaml.d/c.yml"},
                                             {"selinux", "true", dir / "config.yaml"},
                                             {"node-label", "x", dir / "config.yaml.d/c.yml"},
                                             {"node-label", "y", dir / "config.yaml.d/c.yml"}}));
}

TEST(ConfigFiles, ErrorsNameFileAndLine) {
  for (const char* wrong : {"a: b: c\n", "- a\n", "a:\n  b: c\n", "x: [[1]]\n"}) {
    TempDir dir;
    dir.Write("config.yaml", wrong);
    auto flags = ReadConfigFiles(dir / "config.yaml", "");
    ASSERT_FALSE(flags.ok()) << wrong;
    EXPECT_THAT(std::string(flags.status().message()), ::testing::HasSubstr(dir / "config.yaml")) << wrong;
  }
}

}  // namespace
}  // namespace k3saga::node
