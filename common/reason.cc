#include "common/reason.h"

#include <absl/strings/ascii.h>
#include <absl/strings/cord.h>
#include <absl/strings/str_cat.h>

namespace k3saga {
namespace {

constexpr char kPayloadUrl[] = "k3saga.v1.Reason";

}  // namespace

v1::Reason MakeReason(v1::ReasonCode code, std::string_view subject, std::string_view detail,
                      std::string_view remedy) {
  v1::Reason reason;
  reason.set_code(code);
  reason.set_subject(std::string(subject));
  reason.set_detail(std::string(detail));
  reason.set_remedy(std::string(remedy));
  return reason;
}

std::string Describe(const v1::Reason& reason) {
  std::string text;
  if (!reason.subject().empty()) text = reason.subject() + ": ";
  if (reason.detail().empty()) {
    // The code's own name is its sentence: NODE_NOT_READY reads "node not ready".
    std::string words = absl::AsciiStrToLower(v1::ReasonCode_Name(reason.code()));
    for (char& letter : words) {
      if (letter == '_') letter = ' ';
    }
    text += words;
  } else {
    text += reason.detail();
  }
  if (!reason.remedy().empty()) absl::StrAppend(&text, " (", reason.remedy(), ")");
  return text;
}

absl::Status ReasonError(const v1::Reason& reason, absl::StatusCode code) {
  return WithReason(absl::Status(code, Describe(reason)), reason);
}

absl::Status WithReason(absl::Status error, const v1::Reason& reason) {
  error.SetPayload(kPayloadUrl, absl::Cord(reason.SerializeAsString()));
  return error;
}

v1::Reason ReasonOf(const absl::Status& error, std::string_view subject) {
  if (auto payload = error.GetPayload(kPayloadUrl)) {
    v1::Reason reason;
    if (reason.ParseFromString(std::string(*payload))) return reason;
  }
  v1::ReasonCode code = v1::LOCAL_FAILURE;
  if (absl::IsDeadlineExceeded(error)) code = v1::TIMED_OUT;
  if (absl::IsCancelled(error)) code = v1::CANCELLED;
  if (absl::IsResourceExhausted(error)) code = v1::DISK_FULL;
  return MakeReason(code, subject, std::string_view(error.message().data(), error.message().size()));
}

}  // namespace k3saga
