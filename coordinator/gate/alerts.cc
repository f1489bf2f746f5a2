#include "coordinator/gate/alerts.h"

#include <nlohmann/json.hpp>
#include <set>

namespace k3saga::gate {
namespace {

using nlohmann::json;

Labels LabelsOf(const json& alert) {
  Labels labels;
  if (!alert.contains("labels") || !alert["labels"].is_object()) return labels;
  for (const auto& [name, value] : alert["labels"].items()) {
    if (value.is_string()) labels[name] = value.get<std::string>();
  }
  return labels;
}

}  // namespace

absl::StatusOr<std::vector<std::string>> FiringAlerts(std::string_view text, const AlertFilter& filter) {
  const json answer = json::parse(text, nullptr, /*allow_exceptions=*/false);
  const bool usable = answer.is_object() && answer.value("status", json()) == "success" &&
                      answer.contains("data") && answer["data"].is_object() &&
                      answer["data"].contains("alerts") && answer["data"]["alerts"].is_array();
  if (!usable) return absl::DataLossError("the answer is not one of Prometheus' /api/v1/alerts");
  std::set<std::string> names;
  for (const json& alert : answer["data"]["alerts"]) {
    if (!alert.is_object() || alert.value("state", json()) != "firing") continue;
    const Labels labels = LabelsOf(alert);
    if (!filter.Matches(labels)) continue;
    const auto name = labels.find("alertname");
    names.insert(name == labels.end() ? "(an alert without a name)" : name->second);
  }
  return std::vector<std::string>(names.begin(), names.end());
}

}  // namespace k3saga::gate
