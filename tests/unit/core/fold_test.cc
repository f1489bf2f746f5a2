#include <gtest/gtest.h>

#include "coordinator/core/saga.h"
#include "tests/unit/core/plans.h"

// What does not fit is refused and changes nothing.
namespace k3saga::core {
namespace {

State Created() {
  State state;
  v1::Event event;
  *event.mutable_created() = MakeRollout(3, 1);
  EXPECT_TRUE(Apply(event, state).ok());
  return state;
}

v1::Event Claim(uint64_t sequence, const char* node) {
  v1::Event event;
  event.mutable_issued()->set_sequence(sequence);
  event.mutable_issued()->set_node(node);
  event.mutable_issued()->set_asked_of(node);
  event.mutable_issued()->mutable_spec()->mutable_claim()->set_holder("ada@desk:42");
  return event;
}

void ExpectRefused(const v1::Event& event, State state) {
  const uint64_t events = state.events;
  const uint64_t next = state.next_sequence;
  EXPECT_FALSE(Apply(event, state).ok()) << event.DebugString();
  EXPECT_EQ(state.events, events);
  EXPECT_EQ(state.next_sequence, next);
}

TEST(Fold, RefusesWhatItDoesNotKnow) {
  ExpectRefused({}, Created());
  v1::Event verb = Claim(1, "s1");
  verb.mutable_issued()->clear_spec();
  ExpectRefused(verb, Created());
  v1::Event command;
  command.mutable_command();
  ExpectRefused(command, Created());
}

TEST(Fold, RefusesWhatCannotFollow) {
  v1::Event created;
  *created.mutable_created() = MakeRollout(1, 0);
  ExpectRefused(created, Created());
  ExpectRefused(Claim(1, "s1"), State());
  ExpectRefused(Claim(2, "s1"), Created());  // not the next number
  ExpectRefused(Claim(1, "x9"), Created());  // no such node
  v1::Event settled;
  settled.mutable_settled()->set_sequence(1);
  settled.mutable_settled()->mutable_outcome()->set_code(v1::Outcome::SUCCEEDED);
  ExpectRefused(settled, Created());
  v1::Event fired;
  fired.mutable_timer_fired()->set_sequence(1);
  ExpectRefused(fired, Created());
  v1::Event resumed;
  resumed.mutable_resumed()->set_epoch(1);  // has to grow
  ExpectRefused(resumed, Created());
}

TEST(Fold, SettlesAnOperationOnce) {
  State state = Created();
  ASSERT_TRUE(Apply(Claim(1, "s1"), state).ok());
  EXPECT_EQ(state.open_operations.size(), 1u);
  v1::Event settled;
  settled.mutable_settled()->set_sequence(1);
  settled.mutable_settled()->mutable_outcome()->set_code(v1::Outcome::SUCCEEDED);
  ASSERT_TRUE(Apply(settled, state).ok());
  EXPECT_TRUE(state.Find("s1")->claimed);
  ExpectRefused(settled, state);
}

TEST(Fold, NothingFollowsTheEnd) {
  State state = Created();
  v1::Event ended;
  ended.mutable_ended()->set_result(v1::RolloutEnded::SUCCEEDED);
  ASSERT_TRUE(Apply(ended, state).ok());
  ExpectRefused(Claim(1, "s1"), state);
}

TEST(Fold, CopiesOfAStateLiveByThemselves) {
  State copy;
  {
    State state = Created();
    copy = state;
    ASSERT_TRUE(Apply(Claim(1, "s1"), state).ok());
  }
  EXPECT_TRUE(copy.open_operations.empty());
  EXPECT_EQ(copy.Find("s1")->name(), "s1");
}

}  // namespace
}  // namespace k3saga::core
