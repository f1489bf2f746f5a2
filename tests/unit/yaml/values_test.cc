#include "common/yaml/values.h"

namespace k3saga::yaml {
namespace {

using std::chrono::milliseconds;

TEST(Duration, ReadsAndWritesTheSame) {
  struct {
    const char* text;
    int64_t ms;
  } const cases[] = {{"15s", 15'000},     {"5m", 300'000}, {"1h30m", 5'400'000}, {"250ms", 250},
                     {"1m500ms", 60'500}, {"0s", 0},       {"2h", 7'200'000}};
  for (const auto& c : cases) {
    ASSERT_TRUE(ParseDuration(c.text).has_value()) << c.text;
    EXPECT_EQ(ParseDuration(c.text)->count(), c.ms) << c.text;
    EXPECT_EQ(FormatDuration(milliseconds(c.ms)), c.text);
  }
  EXPECT_EQ(ParseDuration("90s"), milliseconds(90'000));
}

TEST(Duration, RefusesEverythingElse) {
  for (const char* text :
       {"", "15", "s", "5 m", "-5m", "5min", "1.5h", "30m1h", "5m5m", "9999999999s", "5m ", "5M"}) {
    EXPECT_FALSE(ParseDuration(text).has_value()) << text;
  }
}

TEST(ClosestWord, FindsSlipsAndNothingElse) {
  const std::vector<std::string> words = {"health_timeout", "settle_time", "cordon", "drain", "keep"};
  EXPECT_EQ(ClosestWord("heath_timeout", words), "health_timeout");
  EXPECT_EQ(ClosestWord("settletime", words), "settle_time");
  EXPECT_EQ(ClosestWord("Drain", words), "drain");
  EXPECT_EQ(ClosestWord("kep", words), "keep");
  EXPECT_EQ(ClosestWord("kepe", words), "keep");
  EXPECT_EQ(ClosestWord("concurrency", words), std::nullopt);
  EXPECT_EQ(ClosestWord("", words), std::nullopt);
}

}  // namespace
}  // namespace k3saga::yaml
