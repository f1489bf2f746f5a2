#include "agent/node/unit_file.h"

namespace k3saga::node {
namespace {

TEST(UnitFile, ReadsSectionsContinuationsAndComments) {
  auto entries = ParseUnitFile(
      "; nothing\n[Unit]\nDescription = a b \n[Service]\nExecStart=/x \\\n# no\n  y \\\n\n# end\nnoise\n",
      "f");
  ASSERT_TRUE(entries.ok()) << entries.status();
  ASSERT_EQ(entries->size(), 2u);
  EXPECT_EQ((*entries)[0].value, "a b");
  EXPECT_EQ((*entries)[1].section, "Service");
  EXPECT_EQ((*entries)[1].line, 5);
  EXPECT_EQ(*SplitUnitWords((*entries)[1].value), (std::vector<std::string>{"/x", "y"}));
}

TEST(UnitFile, AnEvenNumberOfBackslashesDoesNotContinue) {
  auto entries = ParseUnitFile("[S]\nA=x\\\\\nB=y\n", "f");
  ASSERT_EQ(entries->size(), 2u);
  EXPECT_EQ((*entries)[0].value, "x\\\\");
}

TEST(UnitFile, RefusesABrokenHeader) {
  auto entries = ParseUnitFile("\n[Service\nA=b\n", "/etc/x.service");
  ASSERT_FALSE(entries.ok());
  EXPECT_THAT(std::string(entries.status().message()), ::testing::HasSubstr("/etc/x.service:2"));
}

TEST(UnitFile, EmptyValuesReset) {
  Unit unit;
  unit.Append(*ParseUnitFile("[Service]\nType=notify\nExecStartPre=a\nExecStartPre=b\n", "main"));
  unit.Append(*ParseUnitFile("[Service]\nExecStartPre=\nExecStartPre=c\nType=\n", "drop-in"));
  ASSERT_EQ(unit.All("Service", "ExecStartPre").size(), 1u);
  EXPECT_EQ(unit.All("Service", "ExecStartPre")[0].value, "c");
  EXPECT_EQ(unit.Last("Service", "Type"), nullptr);
}

TEST(UnitFile, SplitsWordsAsSystemdDoes) {
  const std::pair<const char*, std::vector<std::string>> cases[] = {
      {"a b\tc", {"a", "b", "c"}},
      {"'a b' \"c d\"", {"a b", "c d"}},
      {"x'y z'w", {"xy zw"}},
      {R"('it'\''s')", {"it's"}},
      {R"("a\"b" 'c\'d')", {"a\"b", "c'd"}},
      {R"(\x41\102\u00e4\s\t|)", {"AB\xc3\xa4 \t|"}},
      {"''", {""}},
      {"  ", {}},
  };
  for (const auto& [text, words] : cases) {
    auto split = SplitUnitWords(text);
    ASSERT_TRUE(split.ok()) << text << ": " << split.status();
    EXPECT_EQ(*split, words) << text;
  }
  for (const char* wrong : {"'a", "\"b", R"(\q)", R"(\x4)", R"(a\)", R"(\x00)"}) {
    EXPECT_FALSE(SplitUnitWords(wrong).ok()) << wrong;
  }
}

TEST(UnitFile, ReadsAQuotedWordBackAsItWas) {
  for (const char* word :
       {"https://10.0.0.1:6443", "", "a b", "50%n", "say \"yes\"", "C:\\new", "two\nlines"}) {
    const auto words = SplitUnitWords(QuoteUnitWord(word));
    ASSERT_TRUE(words.ok() && words->size() == 1) << word;
    EXPECT_EQ(*ExpandSpecifiers(words->front(), {{'n', "k3s.service"}}), word);
  }
}

TEST(UnitFile, ExpandsSpecifiersAndVariables) {
  const Specifiers specifiers = {{'n', "k3s.service"}, {'N', "k3s"}};
  EXPECT_EQ(*ExpandSpecifiers("%n 5%% %N%", specifiers), "k3s.service 5% k3s%");
  EXPECT_FALSE(ExpandSpecifiers("%Q", specifiers).ok());
  const std::map<std::string, std::string> environment = {{"A", "1 '2 3'"}, {"B", "x"}, {"EMPTY", ""}};
  EXPECT_EQ(ExpandVariables({"$A", "${B}y", "$EMPTY", "${NO}", "$$B", "a$B"}, environment),
            (std::vector<std::string>{"1", "2 3", "xy", "", "$B", "a$B"}));
}

TEST(UnitFile, TakesACommandApart) {
  auto exec = ParseExec("-@/usr/local/bin/k3s k3s 'server'");
  ASSERT_TRUE(exec.ok());
  EXPECT_EQ(exec->prefix, "-@");
  EXPECT_EQ(exec->path, "/usr/local/bin/k3s");
  EXPECT_EQ(exec->words, (std::vector<std::string>{"k3s", "server"}));
  EXPECT_FALSE(ParseExec("").ok());
}

TEST(EnvironmentFile, IsReadAsSystemdReadsIt) {
  const std::pair<const char*, std::vector<Variable>> cases[] = {
      {"A=b\n", {{"A", "b"}}},
      {"A=b", {{"A", "b"}}},
      {"# c\n; d\n\nA = b c  \n", {{"A", "b c"}}},
      {"A='b'\"c\"d\n", {{"A", "bcd"}}},
      {"A=b'c'\n", {{"A", "b'c'"}}},
      {"A='b\nc'\n", {{"A", "b\nc"}}},
      {"A=b\\\nc\n", {{"A", "bc"}}},
      {"A=b\\ \n", {{"A", "b "}}},
      {"A=' b '\n", {{"A", " b "}}},
      {"A=\"b\\\"c\\d\\$\"\n", {{"A", "b\"c\\d$"}}},
      {"A=\nB=1\n", {{"A", ""}, {"B", "1"}}},
      {"no assignment\n1A=x\nA-B=y\nC=z\n", {{"C", "z"}}},
      {"export A=b\nC=z\n", {{"C", "z"}}},
      {"A=b#c\n", {{"A", "b#c"}}},
      {"A='open", {{"A", "open"}}},
  };
  for (const auto& [text, variables] : cases) EXPECT_EQ(ParseEnvironmentFile(text), variables) << text;
}

TEST(EnvironmentFile, ReadsBackWhatItWrites) {
  const std::vector<Variable> variables = {
      {"A", "it's \"q\" \\ $x `y`  z "}, {"B", ""}, {"C", "a\nb"}, {"D", " #;"}};
  EXPECT_EQ(ParseEnvironmentFile(FormatEnvironmentFile(variables)), variables);
}

}  // namespace
}  // namespace k3saga::node
