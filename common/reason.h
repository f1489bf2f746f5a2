#pragma once

#include <string>
#include <string_view>

#include "k3saga/v1/reason.pb.h"

namespace k3saga {

v1::Reason MakeReason(v1::ReasonCode code, std::string_view subject, std::string_view detail,
                      std::string_view remedy = "");

// One line for people: "s2: etcd member is a learner (promote or remove it first)". The only place where a
// reason becomes a sentence; status, plan, view and logs all print this.
std::string Describe(const v1::Reason& reason);

}  // namespace k3saga
