#include "common/yaml/section.h"

#include <absl/strings/str_split.h>

namespace k3saga::yaml {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;

struct Read {
  std::string text;
  bool flag = false;
  int64_t number = 0;
  seconds wait{0};
  std::vector<std::string> words;
  int choice = 0;
  std::string inner;
  std::vector<std::string> items;
};

Read ReadAll(const std::string& yaml, absl::Status* status) {
  Problems problems("f.yaml");
  Section top(ParseDocument(yaml, &problems), "", &problems);
  Read read;
  read.text = top.Text("text", "none");
  read.flag = top.Bool("flag", true);
  read.number = top.Number("number", 7, 1, 10);
  read.wait = top.Duration("wait", seconds(15), seconds(1), minutes(10));
  read.words = top.Texts("words");
  read.choice = top.Choice<int>("choice", {{"stop", 1}, {"proceed", 2}}, 0);
  Section inner = top.Child("inner");
  read.inner = inner.Text("name");
  inner.Finish();
  for (Section& item : top.Children("items")) {
    read.items.push_back(item.RequiredText("name", "a name"));
    item.Finish();
  }
  top.Finish();
  *status = problems.ToStatus();
  return read;
}

TEST(Section, ReadsEveryKind) {
  absl::Status status;
  Read read = ReadAll(
      "text: hello\nflag: false\nnumber: 3\nwait: 2m\nwords: [a, b]\nchoice: proceed\ninner: {name: x}\n"
      "items:\n- name: one\n- {name: two}\n",
      &status);
  EXPECT_EQ(status, absl::OkStatus());
  EXPECT_EQ(read.text, "hello");
  EXPECT_FALSE(read.flag);
  EXPECT_EQ(read.number, 3);
  EXPECT_EQ(read.wait, minutes(2));
  EXPECT_THAT(read.words, testing::ElementsAre("a", "b"));
  EXPECT_EQ(read.choice, 2);
  EXPECT_EQ(read.inner, "x");
  EXPECT_THAT(read.items, testing::ElementsAre("one", "two"));
}

TEST(Section, WhatIsAbsentHasItsFallback) {
  for (const char* yaml : {"", "# nothing\n", "inner:\nitems:\nwords:\n"}) {
    absl::Status status;
    Read read = ReadAll(yaml, &status);
    EXPECT_EQ(status, absl::OkStatus()) << yaml;
    EXPECT_EQ(read.text, "none");
    EXPECT_TRUE(read.flag);
    EXPECT_EQ(read.wait, seconds(15));
  }
}

TEST(Section, EveryMistakeIsNamedWithItsPlace) {
  struct {
    const char* yaml;
    const char* expected;
  } const cases[] = {
      {"text: [a]", "f.yaml:1:7: text: expected a text, found a list"},
      {"text:", "f.yaml:1:1: text: expected a text, found nothing"},
      {"flag: yes", "f.yaml:1:7: flag: expected true or false, found \"yes\""},
      {"number: 11", "f.yaml:1:9: number: expected a whole number from 1 to 10, found \"11\""},
      {"number: 1.5", "f.yaml:1:9: number: expected a whole number from 1 to 10, found \"1.5\""},
      {"wait: 15",
       "f.yaml:1:7: wait: expected a duration in whole seconds, such as 15s, 5m or 1h30m, found \"15\""},
      {"wait: 11m", "f.yaml:1:7: wait: expected a duration from 1s to 10m, found \"11m\""},
      {"words: a", "f.yaml:1:8: words: expected a list of texts, found \"a\""},
      {"words: [a, {b: c}]", "f.yaml:1:12: words: expected a text, found a section with keys"},
      {"choice: procede",
       "f.yaml:1:9: choice: expected stop | proceed, found \"procede\"; did you mean \"proceed\"?"},
      {"inner: 3", "f.yaml:1:8: inner: expected a section with keys, found \"3\""},
      {"inner:\n  nam: x", "f.yaml:2:3: inner.nam: unknown key; did you mean \"name\"?"},
      {"items: {}", "f.yaml:1:8: items: expected a list, found a section with keys"},
      {"items:\n- name: a\n- {}", "f.yaml:3:3: items[1].name: missing; expected a name"},
      {"items:\n- name:", "f.yaml:2:3: items[0].name: expected a name, found nothing"},
      {"colour: red",
       "f.yaml:1:1: colour: unknown key; expected one of: choice, flag, inner, items, number, text, wait, "
       "words"},
      {"text: a\ntext: b", "f.yaml:2:1: text: given twice (first in line 1)"},
      {"- a\n- b", "f.yaml:1:1: expected a section with keys, found a list"},
      {"? [a]\n: b", "f.yaml:1:3: a key has to be a word"},
      {"text: a\n---\ntext: b", "f.yaml:3:1: a second document; expected one (is there a stray \"---\"?)"},
  };
  for (const auto& c : cases) {
    absl::Status status;
    ReadAll(c.yaml, &status);
    EXPECT_EQ(std::string(status.message()), c.expected) << c.yaml;
  }
}

TEST(Section, SyntaxErrorsNameTheirPlace) {
  absl::Status status;
  ReadAll("text: a\n  flag: [", &status);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), testing::StartsWith("f.yaml:2:"));
  EXPECT_THAT(std::string(status.message()), testing::HasSubstr("not YAML"));
}

TEST(Section, AllMistakesAreCollectedInTheOrderOfTheFile) {
  absl::Status status;
  ReadAll("colr: x\nwait: fast\ninner:\n  nme: y\nflag: maybe\n", &status);
  std::vector<std::string> lines = absl::StrSplit(std::string(status.message()), '\n');
  ASSERT_EQ(lines.size(), 4u);
  for (size_t i = 0; i < lines.size(); ++i) {
    const char* starts[] = {"f.yaml:1:1: colr", "f.yaml:2:7: wait", "f.yaml:4:3: inner.nme",
                            "f.yaml:5:7: flag"};
    EXPECT_THAT(lines[i], testing::StartsWith(starts[i]));
  }
}

}  // namespace
}  // namespace k3saga::yaml
