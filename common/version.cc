#include "common/version.h"

#include <absl/strings/str_cat.h>

#include <limits>
#include <optional>

namespace k3saga {
namespace {

// Consumes digits; nullopt when there are none, too many, or a leading zero.
std::optional<int> TakeNumber(std::string_view& text) {
  size_t digits = 0;
  while (digits < text.size() && digits < 6 && text[digits] >= '0' && text[digits] <= '9') ++digits;
  if (digits == 0 || (digits > 1 && text[0] == '0')) return std::nullopt;
  int value = 0;
  for (char digit : text.substr(0, digits)) value = value * 10 + (digit - '0');
  text.remove_prefix(digits);
  return value;
}

bool TakePrefix(std::string_view& text, std::string_view prefix) {
  if (text.substr(0, prefix.size()) != prefix) return false;
  text.remove_prefix(prefix.size());
  return true;
}

}  // namespace

absl::StatusOr<Version> Version::Parse(std::string_view text) {
  auto bad = [original = std::string(text)] {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", original, "\" is not a k3s version; expected one like v1.32.0+k3s1"));
  };
  Version version;
  std::optional<int> number;
  if (!TakePrefix(text, "v") || !(number = TakeNumber(text))) return bad();
  version.major_ = *number;
  if (!TakePrefix(text, ".") || !(number = TakeNumber(text))) return bad();
  version.minor_ = *number;
  if (!TakePrefix(text, ".") || !(number = TakeNumber(text))) return bad();
  version.patch_ = *number;
  if (TakePrefix(text, "-rc")) {
    if (!(number = TakeNumber(text)) || *number == 0) return bad();
    version.candidate_ = *number;
  }
  if (!TakePrefix(text, "+k3s") || !(number = TakeNumber(text)) || *number == 0 || !text.empty())
    return bad();
  version.revision_ = *number;
  return version;
}

std::string Version::ToString() const {
  return absl::StrCat("v", major_, ".", minor_, ".", patch_,
                      candidate_ == 0 ? "" : absl::StrCat("-rc", candidate_), "+k3s", revision_);
}

std::string Version::ToImageTag() const {
  std::string tag = ToString();
  tag[tag.find('+')] = '-';
  return tag;
}

std::strong_ordering Version::operator<=>(const Version& other) const {
  if (auto order = major_ <=> other.major_; order != 0) return order;
  if (auto order = minor_ <=> other.minor_; order != 0) return order;
  if (auto order = patch_ <=> other.patch_; order != 0) return order;
  auto rank = [](int candidate) { return candidate == 0 ? std::numeric_limits<int>::max() : candidate; };
  if (auto order = rank(candidate_) <=> rank(other.candidate_); order != 0) return order;
  return revision_ <=> other.revision_;
}

}  // namespace k3saga
