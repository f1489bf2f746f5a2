#include "lab/systemd/unit_file.h"

namespace k3saga::lab {
namespace {

using ::testing::ElementsAre;

TEST(UnitFile, ReadsWhatTheInstallerWrites) {
  UnitFile unit;
  ASSERT_TRUE(
      ParseUnitText(
          "[Unit]\nDescription=x\n[Service]\nType=notify\nEnvironmentFile=-/etc/default/%N\n"
          "KillMode=process\nTimeoutStartSec=0\nRestart=always\nRestartSec=5s\n"
          "ExecStart=/usr/local/bin/k3s \\\n    server \\\n\t'--disable' \\\n# a comment\n\t'a b' \\\n"
          "[Install]\nWantedBy=multi-user.target\n",
          "k3s.service", unit)
          .ok());
  EXPECT_EQ(unit.type, UnitFile::Type::kNotify);
  EXPECT_THAT(unit.environment_files, ElementsAre("-/etc/default/k3s"));
  EXPECT_FALSE(unit.kill_group);
  EXPECT_EQ(unit.start_timeout_ms, 0);
  EXPECT_EQ(unit.restart_ms, 5000);
  EXPECT_EQ(unit.restart, UnitFile::Restart::kAlways);
}

TEST(UnitFile, JoinsContinuedLinesAndSkipsCommentsAmongThem) {
  UnitFile unit;
  ASSERT_TRUE(
      ParseUnitText("[Service]\nExecStart=/k3s \\\n  server \\\n; not me\n  '--disable' \\\n  'a b'\n",
                    "k3s.service", unit)
          .ok());
  EXPECT_THAT(unit.exec_start, ElementsAre("/k3s", "server", "--disable", "a b"));
}

TEST(UnitFile, DropInsAddToListsAndAnEmptyValueResetsThem) {
  UnitFile unit;
  ASSERT_TRUE(
      ParseUnitText("[Service]\nExecStart=/k3s server\nEnvironment=A=1 \"B=2 3\"\n", "k3s.service", unit)
          .ok());
  ASSERT_TRUE(
      ParseUnitText("[Service]\nExecStart=\nExecStart=/other\nEnvironment=C=4\n", "k3s.service", unit).ok());
  EXPECT_THAT(unit.exec_start, ElementsAre("/other"));
  EXPECT_THAT(unit.environment, ElementsAre("A=1", "B=2 3", "C=4"));
  ASSERT_TRUE(ParseUnitText("[Service]\nEnvironment=\n", "k3s.service", unit).ok());
  EXPECT_TRUE(unit.environment.empty());
}

TEST(UnitFile, SplitsWordsAsSystemdDoes) {
  struct Case {
    const char* text;
    std::vector<std::string> words;
  };
  for (const Case& test : {Case{"a  b", {"a", "b"}}, Case{"'a b' c", {"a b", "c"}}, Case{"\"a'b\"", {"a'b"}},
                           Case{"a\\ b", {"a b"}}, Case{"''", {""}}, Case{"x'y'z", {"xyz"}}}) {
    auto words = SplitWords(test.text);
    ASSERT_TRUE(words.ok()) << test.text;
    EXPECT_EQ(*words, test.words) << test.text;
  }
  EXPECT_FALSE(SplitWords("'open").ok());
}

TEST(UnitFile, KnowsTimeSpans) {
  struct Case {
    const char* text;
    int64_t millis;
  };
  for (const Case& test : {Case{"5", 5000}, Case{"5s", 5000}, Case{"250ms", 250}, Case{"1min 30s", 90'000},
                           Case{"infinity", 0}, Case{"0", 0}, Case{"0.5", 500}}) {
    auto span = ParseDuration(test.text);
    ASSERT_TRUE(span.ok()) << test.text;
    EXPECT_EQ(*span, test.millis) << test.text;
  }
  EXPECT_FALSE(ParseDuration("5 parsecs").ok());
}

TEST(UnitFile, EnvironmentFilesMayQuoteTheirValues) {
  const auto variables = ParseEnvironmentText("# c\nK3S_TOKEN='it'\"'\"'s'\nA=plain value\nB=\"x y\"\n");
  EXPECT_EQ(variables.at("K3S_TOKEN"), "it's");
  EXPECT_EQ(variables.at("A"), "plain value");
  EXPECT_EQ(variables.at("B"), "x y");
}

}  // namespace
}  // namespace k3saga::lab
