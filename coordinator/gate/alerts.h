#pragma once

#include <absl/status/statusor.h>

#include <string>
#include <string_view>
#include <vector>

#include "coordinator/gate/alert_filter.h"

namespace k3saga::gate {

// The names of the alerts that fire and match, sorted, each once; from what Prometheus answers to GET
// /api/v1/alerts. kDataLoss for anything that is not such an answer.
absl::StatusOr<std::vector<std::string>> FiringAlerts(std::string_view json, const AlertFilter& filter);

}  // namespace k3saga::gate
