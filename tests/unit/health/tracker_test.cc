#include "agent/health/tracker.h"

namespace k3saga::health {
namespace {

using std::chrono::milliseconds;

constexpr MainProcess kFirst{.pid = 100, .start_ticks = 1};
constexpr MainProcess kSecond{.pid = 200, .start_ticks = 9};
constexpr MainProcess kSamePid{.pid = 100, .start_ticks = 9};  // the pid was used again
constexpr MainProcess kNone{};

struct Look {
  int at;
  bool ready;
  MainProcess process;
  int age = 0;
};

struct Case {
  const char* name;
  std::vector<Look> looks;
  int ready_for;
  uint32_t restarts;
};

const Case kCases[] = {
    {"never looked", {}, 0, 0},
    {"ready at the first look", {{1000, true, kFirst}}, 0, 0},
    {"ready ever since", {{1000, true, kFirst}, {2000, true, kFirst}, {3500, true, kFirst}}, 2500, 0},
    {"a process that is long up", {{1000, true, kFirst, 95'000}, {2000, true, kFirst, 96'000}}, 76'000, 0},
    {"one that may have become ready just now", {{1000, true, kFirst, 19'000}}, 0, 0},
    {"one that is long up and not ready",
     {{1000, false, kFirst, 95'000}, {2000, true, kFirst, 96'000}, {2500, true, kFirst, 96'500}},
     500,
     0},
    {"not ready", {{1000, false, kFirst}, {2000, false, kFirst}}, 0, 0},
    {"ready after a while", {{1000, false, kFirst}, {2000, true, kFirst}, {3000, true, kFirst}}, 1000, 0},
    {"a moment of not being ready starts it again",
     {{1000, true, kFirst}, {2000, false, kFirst}, {3000, true, kFirst}, {4000, true, kFirst}},
     1000,
     0},
    {"not ready now", {{1000, true, kFirst}, {2000, true, kFirst}, {3000, false, kFirst}}, 0, 0},
    {"another process between two ready looks",
     {{1000, true, kFirst}, {2000, true, kSecond}, {3000, true, kSecond}},
     1000,
     1},
    {"the same pid, another process", {{1000, true, kFirst}, {2000, true, kSamePid}}, 0, 1},
    {"a crash seen as away and back",
     {{1000, true, kFirst},
      {2000, false, kNone},
      {3000, false, kSecond},
      {4000, true, kSecond},
      {5500, true, kSecond}},
     1500,
     1},
    {"a crash loop",
     {{1000, true, kFirst}, {2000, false, kSecond}, {3000, false, kNone}, {4000, false, kFirst}},
     0,
     2},
    {"ready without a process is not believed", {{1000, true, kNone}, {2000, true, kNone}}, 0, 0},
    {"nobody looked for too long",
     {{1000, true, kFirst}, {6001, true, kFirst}, {7000, true, kFirst}},
     999,
     0},
    {"the longest gap still counts", {{1000, true, kFirst}, {6000, true, kFirst}}, 5000, 0},
    {"a restart while nobody looked is seen", {{1000, true, kFirst}, {60000, true, kSecond}}, 0, 1},
    {"an older look is ignored", {{2000, true, kFirst}, {1000, false, kNone}, {3000, true, kFirst}}, 1000, 0},
};

TEST(ReadinessTracker, CountsTheTimeThatWasWatchedWithTheSameProcess) {
  for (const Case& c : kCases) {
    ReadinessTracker tracker;
    for (const Look& look : c.looks) {
      tracker.See({.at = milliseconds(look.at),
                   .ready = look.ready,
                   .process = look.process,
                   .process_age = milliseconds(look.age),
                   .note = ""});
    }
    EXPECT_EQ(tracker.ready_for(), milliseconds(c.ready_for)) << c.name;
    EXPECT_EQ(tracker.restarts(), c.restarts) << c.name;
  }
}

}  // namespace
}  // namespace k3saga::health
