#include "coordinator/view/json.h"

#include <absl/time/time.h>
#include <google/protobuf/util/json_util.h>

#include <nlohmann/json.hpp>

#include "common/reason.h"
#include "coordinator/view/words.h"

namespace k3saga::view {
namespace {

using Json = nlohmann::ordered_json;

std::string Utc(int64_t unix_ms) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%E3SZ", absl::FromUnixMillis(unix_ms), absl::UTCTimeZone());
}

double Seconds(int64_t milliseconds) { return static_cast<double>(milliseconds) / 1000.0; }

Json FromMessage(const google::protobuf::Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  std::string text;
  if (!google::protobuf::util::MessageToJsonString(message, &text, options).ok()) return Json::object();
  return Json::parse(text, nullptr, /*allow_exceptions=*/false);
}

const char* StandingKey(Standing standing) {
  constexpr const char* kKeys[] = {"pending", "running", "done", "failed", "skipped"};
  return kKeys[static_cast<size_t>(standing)];
}

Json ReasonsJson(const std::vector<v1::Reason>& reasons) {
  Json list = Json::array();
  for (const v1::Reason& reason : reasons) list.push_back(ReasonJson(reason));
  return list;
}

Json OptionalReason(const v1::Reason& reason) {
  return reason.code() == v1::REASON_UNSPECIFIED ? Json(nullptr) : ReasonJson(reason);
}

Json StepJson(const StepRow& row) {
  Json json = {{"step", StepKey(row.step)},
               {"state", StandingKey(row.standing)},
               {"seconds", Seconds(row.elapsed_ms)}};
  if (row.total > 0) {
    json["done"] = row.done;
    json["total"] = row.total;
  }
  if (!row.because.empty()) json["because"] = row.because;
  return json;
}

Json NodeJson(const NodeRow& row) {
  return {{"name", row.name},
          {"role", RoleWord(row.role)},
          {"state", StandingKey(row.standing)},
          {"phase", PhaseKey(row.phase)},
          {"version", row.version},
          {"note", row.note},
          {"reason", OptionalReason(row.reason)},
          {"cordoned_by_rollout", row.ours}};
}

}  // namespace

Json ReasonJson(const v1::Reason& reason) {
  return {{"code", ReasonKey(reason.code())},
          {"subject", reason.subject()},
          {"detail", reason.detail()},
          {"remedy", reason.remedy()},
          {"text", Describe(reason)}};
}

Json RolloutJson(const Model& model) {
  Json steps = Json::array();
  for (const StepRow& row : model.steps) steps.push_back(StepJson(row));
  Json nodes = Json::array();
  for (const NodeRow& row : model.nodes) nodes.push_back(NodeJson(row));
  Json backups = Json::array();
  for (const core::Backup& backup : model.backups) {
    backups.push_back({{"node", backup.node},
                       {"id", backup.result.id()},
                       {"path", backup.result.path()},
                       {"bytes", backup.result.bytes()},
                       {"sha256", backup.result.sha256()}});
  }
  return {{"rollout", model.rollout},
          {"kind", KindWord(model.kind)},
          {"cluster", model.cluster},
          {"from", model.from},
          {"to", model.to},
          {"state", HeadlineWord(model)},
          {"reason", OptionalReason(model.reason)},
          {"holder", model.holder},
          {"began", Utc(model.created_ms)},
          {"seconds", Seconds(model.elapsed_ms)},
          {"past_point_of_no_return", model.past_return},
          {"lost_since", model.lost_since_ms == 0 ? Json() : Json(Utc(model.lost_since_ms))},
          {"held", {{"node", model.held_node}, {"reasons", ReasonsJson(model.held)}}},
          {"steps", std::move(steps)},
          {"nodes", std::move(nodes)},
          {"backups", std::move(backups)}};
}

Json NodesJson(const std::vector<NodeAnswer>& answers) {
  Json nodes = Json::array();
  for (const NodeAnswer& answer : answers) {
    Json node = {{"name", answer.name}, {"role", RoleWord(answer.role)}, {"agent", answer.agent}};
    if (answer.facts.ok()) {
      node["reachable"] = true;
      node["running_version"] = answer.facts->k3s().running_version();
      node["facts"] = FromMessage(*answer.facts);
    } else {
      node["reachable"] = false;
      node["running_version"] = "";
      node["error"] = std::string(answer.facts.status().message());
    }
    nodes.push_back(std::move(node));
  }
  return {{"nodes", std::move(nodes)}};
}

Json PlanJson(const core::PlanOutcome& outcome, const std::vector<core::Wave>& waves) {
  constexpr const char* kKinds[] = {"plan", "nothing_to_do", "refused"};
  Json json = {{"outcome", kKinds[static_cast<size_t>(outcome.kind)]},
               {"refusals", ReasonsJson(outcome.refusals)}};
  if (outcome.kind == core::PlanOutcome::Kind::kRefused) return json;
  const v1::Plan& plan = outcome.plan;
  json["kind"] = KindWord(plan.kind());
  json["cluster"] = plan.cluster();
  json["from"] = plan.from_version();
  json["to"] = plan.to_version();
  json["datastore"] = DatastoreWord(plan.datastore());
  if (plan.has_restore_from()) {
    json["undoes"] = plan.undoes();
    json["restore"] = {{"backup", plan.restore_from().id()},
                       {"node", plan.restore_on()},
                       {"loses_writes_since", Utc(plan.restore_taken_unix_ms())}};
  }
  json["notices"] = ReasonsJson({plan.notices().begin(), plan.notices().end()});
  json["later_hops"] = std::vector<std::string>(plan.later_hops().begin(), plan.later_hops().end());
  Json list = Json::array();
  for (const core::Wave& wave : waves) {
    Json nodes = Json::array();
    for (const core::Wave::Node& node : wave.nodes) {
      nodes.push_back({{"name", node.name}, {"actions", node.actions}});
    }
    list.push_back(
        {{"title", wave.title}, {"how", wave.how}, {"at_once", wave.at_once}, {"nodes", std::move(nodes)}});
  }
  json["waves"] = std::move(list);
  Json nodes = Json::array();
  for (const v1::PlannedNode& node : plan.nodes()) {
    nodes.push_back({{"name", node.name()},
                     {"role", RoleWord(node.role())},
                     {"version", node.from_version()},
                     {"to", node.to_version().empty() ? plan.to_version() : node.to_version()},
                     {"at_target", node.at_target()},
                     {"was_cordoned", node.was_cordoned()},
                     {"was_available", node.was_available()}});
  }
  json["nodes"] = std::move(nodes);
  return json;
}

Json BackupsJson(const std::vector<BackupRow>& rows) {
  Json backups = Json::array();
  for (const BackupRow& row : rows) {
    backups.push_back({{"id", row.id},
                       {"node", row.node},
                       {"version", row.version},
                       {"taken", Utc(row.taken_ms)},
                       {"bytes", row.bytes},
                       {"on_node", row.on_node},
                       {"copy", row.copy}});
  }
  return {{"backups", std::move(backups)}};
}

Json HistoryJson(const std::vector<RolloutRow>& rows) {
  Json rollouts = Json::array();
  for (const RolloutRow& row : rows) {
    rollouts.push_back({{"rollout", row.rollout},
                        {"kind", row.kind},
                        {"from", row.from},
                        {"to", row.to},
                        {"state", row.state == "not finished" ? "not_finished" : row.state},
                        {"began", Utc(row.created_ms)},
                        {"seconds", Seconds(row.last_ms - row.created_ms)}});
  }
  return {{"rollouts", std::move(rollouts)}};
}

Json EventJson(uint64_t number, const v1::Event& event, const std::string& text) {
  return {{"type", "event"},
          {"number", number},
          {"at", Utc(event.unix_ms())},
          {"text", text},
          {"event", FromMessage(event)}};
}

std::string ToLine(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

std::string ToPage(const Json& json) {
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace k3saga::view
