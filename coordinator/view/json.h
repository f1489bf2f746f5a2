#pragma once

#include <nlohmann/json_fwd.hpp>

#include <string>
#include <vector>

#include "coordinator/core/planner.h"
#include "coordinator/view/model.h"
#include "coordinator/view/reports.h"
#include "k3saga/v1/event.pb.h"

// The same pages for programs. docs/json.md documents every shape; keys are only ever added.
namespace k3saga::view {

nlohmann::ordered_json RolloutJson(const Model& model);
nlohmann::ordered_json NodesJson(const std::vector<NodeAnswer>& answers);
// `outcome` is "plan", "nothing_to_do" or "refused".
nlohmann::ordered_json PlanJson(const core::PlanOutcome& outcome, const std::vector<core::Wave>& waves);
nlohmann::ordered_json BackupsJson(const std::vector<BackupRow>& rows);
nlohmann::ordered_json HistoryJson(const std::vector<RolloutRow>& rows);
// One event of a rollout's log: number, time, what it says in words (may be empty), and all of it.
nlohmann::ordered_json EventJson(uint64_t number, const v1::Event& event, const std::string& text);
nlohmann::ordered_json ReasonJson(const v1::Reason& reason);

// One line, UTF-8; bytes that are not UTF-8 (a node may report anything) are replaced.
std::string ToLine(const nlohmann::ordered_json& json);
// Indented, with a newline at the end.
std::string ToPage(const nlohmann::ordered_json& json);

}  // namespace k3saga::view
