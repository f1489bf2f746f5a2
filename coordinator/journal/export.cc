#include "coordinator/journal/export.h"

#include <google/protobuf/util/json_util.h>

#include <nlohmann/json.hpp>

#include "common/status_macros.h"

namespace k3saga::journal {
namespace {

constexpr int kFormat = 1;
constexpr char kFormatKey[] = "k3saga_history";

absl::Status LineError(size_t line, std::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("line ", line, ": ", std::string(what)));
}

// The number of events that the head announces.
absl::StatusOr<size_t> ReadHead(std::string_view line) {
  const nlohmann::json head = nlohmann::json::parse(line, nullptr, false);
  if (!head.is_object() || !head.contains(kFormatKey) || !head[kFormatKey].is_number_unsigned()) {
    return LineError(1, "expected a k3saga history ({\"k3saga_history\": 1, ...})");
  }
  if (head[kFormatKey].get<uint64_t>() > kFormat) {
    return LineError(1, absl::StrCat("format ", head[kFormatKey].get<uint64_t>(),
                                     " was written by a newer k3saga (this one reads up to ", kFormat, ")"));
  }
  if (!head.contains("events") || !head["events"].is_number_unsigned()) {
    return LineError(1, "expected \"events\", the number of lines that follow");
  }
  return head["events"].get<size_t>();
}

}  // namespace

absl::StatusOr<std::string> ExportJsonLines(const std::vector<v1::Event>& events) {
  nlohmann::json head = {{kFormatKey, kFormat}, {"events", events.size()}};
  if (!events.empty() && events.front().has_created()) {
    head["rollout"] = events.front().created().rollout();
    head["program_version"] = events.front().created().program_version();
  }
  std::string text = head.dump() + "\n";
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  for (size_t i = 0; i < events.size(); ++i) {
    std::string line;
    const auto status = google::protobuf::util::MessageToJsonString(events[i], &line, options);
    if (!status.ok()) {
      return absl::DataLossError(
          absl::StrCat("event ", i + 1, " cannot be written as JSON: ", std::string(status.message())));
    }
    text += line + '\n';
  }
  return text;
}

absl::StatusOr<std::vector<v1::Event>> ImportJsonLines(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    lines.push_back(text.substr(0, end));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  if (lines.empty()) return LineError(1, "the file is empty");
  K3SAGA_ASSIGN_OR_RETURN(const size_t announced, ReadHead(lines.front()));
  if (lines.size() - 1 != announced) {
    return LineError(lines.size(), absl::StrCat("the file ends after ", lines.size() - 1, " events of ",
                                                announced, ": it was cut or added to"));
  }
  std::vector<v1::Event> events(announced);
  for (size_t i = 0; i < announced; ++i) {
    const std::string_view line = lines[i + 1];
    const auto status = google::protobuf::util::JsonStringToMessage(
        google::protobuf::StringPiece(line.data(), line.size()), &events[i]);
    if (!status.ok()) return LineError(i + 2, std::string(status.message()));
    if (events[i].body_case() == v1::Event::BODY_NOT_SET) return LineError(i + 2, "an event without a body");
  }
  return events;
}

}  // namespace k3saga::journal
