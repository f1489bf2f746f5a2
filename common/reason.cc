#include "common/reason.h"

#include <absl/strings/ascii.h>
#include <absl/strings/str_cat.h>

namespace k3saga {

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

}  // namespace k3saga
