#include "coordinator/journal/export.h"

#include "tests/unit/coordinator/journal/events.h"

namespace k3saga::journal {
namespace {

using testing::HasSubstr;

std::vector<v1::Event> History() {
  v1::Event settled;
  settled.mutable_settled()->set_sequence(1ull << 63);  // larger than a double can tell apart
  settled.mutable_settled()->set_agent_journal_id("j-1");
  settled.mutable_settled()->mutable_outcome()->set_code(v1::Outcome::UNKNOWN);
  return {CreatedEvent("r1"), StepEvent(v1::STEP_BACKUP), HeldEvent("a \"quoted\"\nline, ü"), settled,
          EndedEvent(v1::RolloutEnded::SUCCEEDED)};
}

TEST(Export, ReadsBackWhatItWrote) {
  auto text = ExportJsonLines(History());
  ASSERT_TRUE(text.ok()) << text.status();
  EXPECT_THAT(*text, testing::StartsWith(
                         R"({"events":5,"k3saga_history":1,"program_version":"0.1.0","rollout":"r1"})"));
  auto events = ImportJsonLines(*text);
  ASSERT_TRUE(events.ok()) << events.status();
  EXPECT_EQ(Serialized(*events), Serialized(History()));
}

// As the first release wrote it. This text never changes: later versions have to read it.
TEST(Export, ReadsAHistoryOfTheFirstRelease) {
  auto events = ImportJsonLines(
      R"({"events":2,"k3saga_history":1,"program_version":"0.1.0","rollout":"r1"})"
      "\n"
      R"({"unix_ms":"1769869507000","created":{"rollout":"r1","plan":{"cluster":"shop-12","to_version":"v1.32.0+k3s1","nodes":[{"name":"s1","role":"ROLE_SERVER"}]},"holder":"ann@laptop:4711","epoch":"3"}})"
      "\n"
      R"({"unix_ms":"1769869508000","held":{"node":"s1","reasons":[{"code":"SERVER_NOT_SETTLED","subject":"s2"}]}})"
      "\n");
  ASSERT_TRUE(events.ok()) << events.status();
  ASSERT_EQ(events->size(), 2u);
  EXPECT_EQ(events->front().created().plan().nodes(0).role(), v1::ROLE_SERVER);
  EXPECT_EQ(events->back().held().reasons(0).code(), v1::SERVER_NOT_SETTLED);
}

TEST(Export, WhatCannotBeReadIsNamedByItsLine) {
  const std::string text = *ExportJsonLines(History());
  const auto with = [&](std::string_view old, std::string_view now) {
    std::string changed = text;
    changed.replace(changed.find(old), old.size(), now);
    return changed;
  };
  struct Case {
    const char* name;
    std::string text;
    const char* says;
  };
  for (const Case& one : {
           Case{"empty", "", "line 1: the file is empty"},
           Case{"something else", "hello\n", "line 1: expected a k3saga history"},
           Case{"newer format", with("\"k3saga_history\":1", "\"k3saga_history\":2"), "newer k3saga"},
           Case{"cut", text.substr(0, text.find("\"ended\"") - 40), "was cut"},
           Case{"added to", text + "{}\n", "added to"},
           Case{"unknown field", with("\"step_entered\"", "\"step_skipped\""), "line 3: "},
           Case{"unknown enum", with("STEP_BACKUP", "STEP_DANCE"), "line 3: "},
           Case{"not JSON", with("\"step_entered\":{", "\"step_entered\":"), "line 3: "},
           Case{"no body", with("\"step_entered\":{\"step\":\"STEP_BACKUP\"}", "\"unix_ms\":\"1\""),
                "line 3: "},
       }) {
    SCOPED_TRACE(one.name);
    auto events = ImportJsonLines(one.text);
    EXPECT_EQ(events.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(events.status().message()), HasSubstr(one.says));
  }
}

}  // namespace
}  // namespace k3saga::journal
