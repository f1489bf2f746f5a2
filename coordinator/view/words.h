#pragma once

#include <absl/time/time.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "coordinator/core/state.h"
#include "k3saga/v1/event.pb.h"
#include "k3saga/v1/operation.pb.h"

// The words that people and programs read. Titles are for people; keys are stable and stand in JSON.
namespace k3saga::view {

std::string StepTitle(v1::Step step);                    // "Upgrade servers"
std::string StepKey(v1::Step step);                      // "upgrade_servers"
std::string PhaseWord(core::Phase phase);                // "installing"; its key is the same with "_" for " "
std::string PhaseKey(core::Phase phase);                 // "waiting_to_retry"
std::string RoleWord(v1::Role role);                     // "server"
std::string ResultKey(v1::RolloutEnded::Result result);  // "succeeded"
std::string ReasonKey(v1::ReasonCode code);              // "member_unhealthy"
std::string DatastoreWord(v1::Datastore datastore);      // "embedded etcd"

// "upgrade", "rollback", "restore"
std::string KindWord(v1::Plan::Kind kind);

// What an operation does: "install v1.32.0+k3s1", "drain".
std::string OperationWords(const v1::OperationSpec& spec);

// "0s", "12s", "1m05s", "2h03m".
std::string Elapsed(int64_t milliseconds);
// "2026-01-31 14:25:07" in the zone.
std::string DateAndTime(int64_t unix_ms, const absl::TimeZone& zone);
// "14:25:07" in the zone.
std::string TimeOfDay(int64_t unix_ms, const absl::TimeZone& zone);
// "1 worker", "3 workers"
std::string Counted(size_t number, std::string_view noun);
// "47.1 MB"
std::string Bytes(uint64_t bytes);

}  // namespace k3saga::view
