#pragma once

#include <absl/status/statusor.h>

#include <nlohmann/json.hpp>

#include "lab/base/layout.h"

namespace k3saga::lab {

// Watches the cluster as its clients would: writes to etcd through any member that answers, asks every server
// for /readyz and its etcd member, every worker for its kubelet's health. Keeps DIR/observer.json fresh. Runs
// until it is killed.
absl::Status RunObserver(const Lab& lab);

// What the observer has seen up to now (it is asked to write, and waited for), or since the last reset. When
// the lab is down: what it saw last.
absl::StatusOr<nlohmann::json> ReadReport(const Lab& lab);
absl::Status ResetReport(const Lab& lab);
std::string ReportText(const nlohmann::json& report);

}  // namespace k3saga::lab
