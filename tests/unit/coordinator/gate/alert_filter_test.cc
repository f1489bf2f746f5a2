#include "coordinator/gate/alert_filter.h"

#include "coordinator/gate/alerts.h"

namespace k3saga::gate {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

struct Match {
  const char* filter;
  bool matches;
};

class Matches : public testing::TestWithParam<Match> {};

// Of {alertname="PodsCrash", severity="critical", team="shop"}.
TEST_P(Matches, AsPromQlDoes) {
  const auto filter = AlertFilter::Parse(GetParam().filter);
  ASSERT_TRUE(filter.ok()) << filter.status();
  EXPECT_EQ(filter->Matches({{"alertname", "PodsCrash"}, {"severity", "critical"}, {"team", "shop"}}),
            GetParam().matches);
}

INSTANTIATE_TEST_SUITE_P(Table, Matches,
                         testing::ValuesIn(std::vector<Match>{
                             {"", true},
                             {"{}", true},
                             {R"(severity="critical")", true},
                             {R"({severity="critical"})", true},
                             {R"(severity="warning")", false},
                             {R"(severity!="warning")", true},
                             {R"( severity = "critical" , team="shop" )", true},
                             {R"(severity="critical",team="pay")", false},
                             {R"(team=~"shop|pay")", true},
                             {R"(team=~"sho")", false},  // the whole value
                             {R"(alertname!~"Watchdog|InfoInhibitor")", true},
                             {R"(namespace="")", true},  // missing is empty
                             {R"(namespace!="")", false},
                         }));

TEST(AlertFilter, SaysWhatWasExpectedWhere) {
  const std::pair<const char*, const char*> kMistakes[] = {
      {R"(severity)", "expected =, !=, =~ or !~ at character 9"},
      {R"(severity=critical)", "expected a value in double quotes at character 10"},
      {R"(severity="critical)", "expected a closing quote"},
      {R"(severity="a" team="b")", "expected a comma between two labels at character 14"},
      {R"(="a")", "expected a label's name at character 1"},
      {R"({a="b"} c)", "expected the end at character 9"},
      {R"(team=~"(")", "is no regular expression"},
  };
  for (const auto& [text, expected] : kMistakes) {
    const auto filter = AlertFilter::Parse(text);
    ASSERT_FALSE(filter.ok()) << text;
    EXPECT_THAT(std::string(filter.status().message()), HasSubstr(expected));
  }
}

constexpr char kAlerts[] = R"({"status":"success","data":{"alerts":[
  {"labels":{"alertname":"Watchdog","severity":"none"},"state":"firing"},
  {"labels":{"alertname":"PodsCrash","severity":"critical","pod":"a"},"state":"firing"},
  {"labels":{"alertname":"PodsCrash","severity":"critical","pod":"b"},"state":"firing"},
  {"labels":{"alertname":"DiskFull","severity":"critical"},"state":"pending"},
  {"labels":{"severity":"critical"},"state":"firing"}, 5]}})";

std::vector<std::string> Firing(const char* filter) {
  return FiringAlerts(kAlerts, AlertFilter::Parse(filter).value()).value();
}

TEST(Alerts, ThoseThatFireAndMatchAreNamedOnce) {
  EXPECT_THAT(Firing(R"(severity="critical")"), ElementsAre("(an alert without a name)", "PodsCrash"));
  EXPECT_THAT(Firing(R"(alertname!="Watchdog",alertname!="")"), ElementsAre("PodsCrash"));
  EXPECT_THAT(Firing(R"(alertname="DiskFull")"), IsEmpty());
}

TEST(Alerts, AnythingElseIsNoAnswer) {
  for (const char* text :
       {"", "<html>", "[]", R"({"status":"error"})", R"({"status":"success","data":[]})",
        R"({"status":1,"data":{"alerts":[]}})", R"({"status":"success","data":{"alerts":{}}})"}) {
    EXPECT_TRUE(absl::IsDataLoss(FiringAlerts(text, AlertFilter()).status())) << text;
  }
}

}  // namespace
}  // namespace k3saga::gate
