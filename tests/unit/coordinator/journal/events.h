#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/reason.h"
#include "k3saga/v1/event.pb.h"

// Events for tests that do not care what the saga would make of them.
namespace k3saga {

inline v1::Event CreatedEvent(std::string_view rollout, std::string_view cluster = "shop-12") {
  v1::Event event;
  event.set_unix_ms(1'769'869'507'000);
  v1::RolloutCreated& created = *event.mutable_created();
  created.set_rollout(std::string(rollout));
  created.set_holder("ann@laptop:4711");
  created.set_epoch(3);
  created.set_program_version("0.1.0");
  created.mutable_plan()->set_cluster(std::string(cluster));
  created.mutable_plan()->set_from_version("v1.31.4+k3s1");
  created.mutable_plan()->set_to_version("v1.32.0+k3s1");
  return event;
}

inline v1::Event StepEvent(v1::Step step) {
  v1::Event event;
  event.set_unix_ms(1'769'869'508'000);
  event.mutable_step_entered()->set_step(step);
  return event;
}

inline v1::Event HeldEvent(std::string_view detail) {
  v1::Event event;
  event.set_unix_ms(1'769'869'509'000);
  event.mutable_held()->set_node("s1");
  *event.mutable_held()->add_reasons() = MakeReason(v1::SERVER_NOT_SETTLED, "s2", detail);
  return event;
}

inline v1::Event EndedEvent(v1::RolloutEnded::Result result) {
  v1::Event event;
  event.set_unix_ms(1'769'869'600'000);
  event.mutable_ended()->set_result(result);
  return event;
}

inline v1::Event ResumedEvent(std::string_view holder, uint64_t epoch) {
  v1::Event event;
  event.set_unix_ms(1'769'869'700'000);
  event.mutable_resumed()->set_holder(std::string(holder));
  event.mutable_resumed()->set_epoch(epoch);
  return event;
}

inline std::vector<std::string> Serialized(const std::vector<v1::Event>& events) {
  std::vector<std::string> bytes;
  for (const v1::Event& event : events) bytes.push_back(event.SerializeAsString());
  return bytes;
}

}  // namespace k3saga
