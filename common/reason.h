#pragma once

#include <absl/status/status.h>

#include <string>
#include <string_view>

#include "k3saga/v1/reason.pb.h"

namespace k3saga {

v1::Reason MakeReason(v1::ReasonCode code, std::string_view subject, std::string_view detail,
                      std::string_view remedy = "");

// One line for people: "s2: etcd member is a learner (promote or remove it first)". The only place where a
// reason becomes a sentence; status, plan, view and logs all print this.
std::string Describe(const v1::Reason& reason);

// A status that carries the typed reason to whoever journals or shows it; the message is Describe(reason).
absl::Status ReasonError(const v1::Reason& reason,
                         absl::StatusCode code = absl::StatusCode::kFailedPrecondition);

// The same error, carrying a reason that came beside it.
absl::Status WithReason(absl::Status error, const v1::Reason& reason);

// The reason that ReasonError or WithReason put in; for any other error LOCAL_FAILURE with its message
// (kDeadlineExceeded: TIMED_OUT, kCancelled: CANCELLED, kResourceExhausted: DISK_FULL).
v1::Reason ReasonOf(const absl::Status& error, std::string_view subject = "");

}  // namespace k3saga
