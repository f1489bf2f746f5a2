#include "agent/operations/journal_rows.h"

#include <absl/strings/str_cat.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

namespace k3saga::operations {
namespace {

bool DecodeNotes(const std::string& text, std::map<std::string, std::string>& notes) {
  const nlohmann::json json = nlohmann::json::parse(text, nullptr, false);
  if (!json.is_object()) return false;
  for (const auto& [key, value] : json.items()) {
    if (!value.is_string()) return false;
    notes[key] = value.get<std::string>();
  }
  return true;
}

}  // namespace

int BindId(sqlite::Statement& statement, int index, const v1::OperationId& id) {
  statement.Bind(index, id.rollout());
  statement.Bind(index + 1, static_cast<int64_t>(id.sequence()));
  statement.Bind(index + 2, static_cast<int64_t>(id.attempt()));
  return index + 3;
}

std::string EncodeNotes(const std::map<std::string, std::string>& notes) {
  return nlohmann::json(notes).dump();
}

absl::StatusOr<Entry> DecodeEntry(const sqlite::Statement& row, const std::string& path) {
  Entry entry;
  Record& record = entry.record;
  record.id.set_rollout(row.Bytes(0));
  record.id.set_sequence(static_cast<uint64_t>(row.Integer(1)));
  record.id.set_attempt(static_cast<uint32_t>(row.Integer(2)));
  auto spec = std::make_shared<v1::OperationSpec>();
  const std::optional<Phase> phase = PhaseByName(row.Bytes(5));
  const bool read = spec->ParseFromString(row.Bytes(3)) && record.authority.ParseFromString(row.Bytes(4)) &&
                    phase.has_value() && record.outcome.ParseFromString(row.Bytes(9)) &&
                    DecodeNotes(row.Bytes(10), record.notes) && entry.progress.ParseFromString(row.Bytes(13));
  if (!read) {
    return absl::DataLossError(absl::StrCat(path, ": operation ", OperationName(record.id),
                                            " cannot be read; the file was left as it is"));
  }
  record.verb = VerbOf(*spec);
  record.spec = std::move(spec);
  record.phase = *phase;
  record.starts = static_cast<uint32_t>(row.Integer(6));
  record.starts_before_turning = static_cast<uint32_t>(row.Integer(7));
  record.turned = row.Integer(8) != 0;
  entry.deadline = {row.Bytes(11), row.Integer(12)};
  entry.cancel_requested = row.Integer(14) != 0;
  entry.accepted_unix_ms = row.Integer(15);
  entry.settled_unix_ms = row.Integer(16);
  return entry;
}

}  // namespace k3saga::operations
