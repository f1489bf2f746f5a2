#include "agent/replace/judge.h"

namespace k3saga::replace {
namespace {

using State = v1::ReplaceAgentReply;

Question Good() {
  Question question;
  question.node = "s1";
  question.installed = {Form::kPackage, "0.1.0", "amd64", true, true};
  question.offered = {Form::kPackage, "k3saga-agent", "0.2.0", "amd64"};
  question.order = 1;
  return question;
}

TEST(Judge, BeginsRefusesOrHasNothingToDo) {
  struct Case {
    const char* name;
    void (*change)(Question&);
    State::State state;
    v1::ReasonCode code = v1::REASON_UNSPECIFIED;
  };
  const Case cases[] = {
      {"newer", [](Question&) {}, State::RUNNING},
      {"same", [](Question& q) { q.order = 0; }, State::UNCHANGED},
      {"same, and busy", [](Question& q) { q.order = 0, q.unsettled = {"install r/1/1"}; }, State::UNCHANGED},
      {"same, not restarted", [](Question& q) { q.order = 0, q.installed.runs = false; }, State::RUNNING},
      {"older", [](Question& q) { q.order = -1; }, State::REFUSED, v1::DOWNGRADE},
      {"older, meant", [](Question& q) { q.order = -1, q.allow_downgrade = true; }, State::RUNNING},
      {"busy", [](Question& q) { q.unsettled = {"install r/1/1"}; }, State::REFUSED, v1::BUSY},
      {"another package", [](Question& q) { q.offered.name = "k3saga"; }, State::REFUSED, v1::LOCAL_FAILURE},
      {"another machine", [](Question& q) { q.offered.architecture = "arm64"; }, State::REFUSED,
       v1::LOCAL_FAILURE},
      {"program for package", [](Question& q) { q.offered.form = Form::kProgram; }, State::REFUSED,
       v1::NODE_LAYOUT_UNSUPPORTED},
      {"started by hand", [](Question& q) { q.installed.own_unit = false; }, State::REFUSED,
       v1::NODE_LAYOUT_UNSUPPORTED},
  };
  for (const Case& each : cases) {
    Question question = Good();
    each.change(question);
    const v1::ReplaceAgentReply reply = Judge(question);
    EXPECT_EQ(reply.state(), each.state) << each.name;
    EXPECT_EQ(reply.reason().code(), each.code) << each.name;
    EXPECT_EQ(reply.from_version(), "0.1.0") << each.name;
  }
}

TEST(CompareVersions, GoesByNumbersThenByWhatFollows) {
  const char* ascending[] = {"0.1.0-rc1", "0.1.0-rc2", "0.1.0", "0.9.3", "0.10.0", "1.0"};
  for (size_t i = 0; i < std::size(ascending); ++i) {
    for (size_t j = 0; j < std::size(ascending); ++j) {
      const int order = CompareVersions(ascending[i], ascending[j]);
      EXPECT_EQ(order < 0, i < j) << ascending[i] << " " << ascending[j];
      EXPECT_EQ(order == 0, i == j) << ascending[i] << " " << ascending[j];
    }
  }
}

}  // namespace
}  // namespace k3saga::replace
