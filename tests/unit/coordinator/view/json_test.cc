#include "coordinator/view/json.h"

#include <nlohmann/json.hpp>

#include "tests/unit/coordinator/view/story.h"

namespace k3saga::view {
namespace {

using Json = nlohmann::ordered_json;

TEST(RolloutJson, HasTheDocumentedShape) {
  Story story;
  story.TellCompensated();
  const Json json = RolloutJson(BuildModel(story.state(), {}, story.now_ms()));
  EXPECT_EQ(json["rollout"], "20260131-142507-4f2a");
  EXPECT_EQ(json["state"], "compensated");
  EXPECT_EQ(json["began"], "2026-01-31T14:25:07.000Z");
  EXPECT_EQ(json["seconds"], 16.0);
  EXPECT_EQ(json["reason"]["code"], "api_not_ready");
  EXPECT_EQ(
      json["steps"][3],
      Json({{"step", "upgrade_servers"}, {"state", "failed"}, {"seconds", 6.0}, {"done", 0}, {"total", 2}}));
  EXPECT_EQ(json["nodes"][0], Json({{"name", "s1"},
                                    {"role", "server"},
                                    {"state", "done"},
                                    {"phase", "put_back"},
                                    {"version", "v1.31.4+k3s1"},
                                    {"note", ""},
                                    {"reason", nullptr},
                                    {"cordoned_by_rollout", false}}));
  std::vector<std::string> keys;
  for (const auto& item : json.items()) keys.push_back(item.key());
  EXPECT_THAT(keys, testing::ElementsAre("rollout", "kind", "cluster", "from", "to", "state", "reason",
                                         "holder", "began", "seconds", "past_point_of_no_return",
                                         "lost_since", "held", "steps", "nodes", "backups"));
}

TEST(NodesJson, CarriesTheFactsOrWhyThereAreNone) {
  v1::NodeFacts facts;
  facts.mutable_k3s()->set_running_version("v1.31.4+k3s1");
  const Json json =
      NodesJson({{"s1", v1::ROLE_SERVER, "ipv4:10.0.0.11:7440", facts},
                 {"w1", v1::ROLE_WORKER, "ipv4:10.0.0.21:7440", absl::UnavailableError("refused")}});
  EXPECT_EQ(json["nodes"][0]["running_version"], "v1.31.4+k3s1");
  EXPECT_EQ(json["nodes"][0]["facts"]["k3s"]["running_version"], "v1.31.4+k3s1");
  EXPECT_EQ(json["nodes"][1]["reachable"], false);
  EXPECT_EQ(json["nodes"][1]["error"], "refused");
}

TEST(PlanJson, SaysWhyItWasRefused) {
  core::PlanOutcome outcome;
  outcome.refusals.push_back(MakeReason(v1::SKIPPED_MINOR, "", "v1.31 to v1.33", "go to v1.32 first"));
  const Json json = PlanJson(outcome, {});
  EXPECT_EQ(json["outcome"], "refused");
  EXPECT_EQ(json["refusals"][0]["code"], "skipped_minor");
  EXPECT_EQ(json["refusals"][0]["text"], "v1.31 to v1.33 (go to v1.32 first)");
}

TEST(EventJson, CarriesTheWholeEvent) {
  Story story;
  const Json json = EventJson(1, story.events().front(), "began");
  EXPECT_EQ(json["type"], "event");
  EXPECT_EQ(json["number"], 1);
  EXPECT_EQ(json["event"]["created"]["plan"]["cluster"], "shop-12");
}

TEST(ToLine, SurvivesBytesThatAreNotUtf8) {
  EXPECT_EQ(ToLine(Json({{"text",
                          "a\xff"
                          "b"}})),
            "{\"text\":\"a\uFFFDb\"}");
}

}  // namespace
}  // namespace k3saga::view
