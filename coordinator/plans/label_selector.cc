#include "coordinator/plans/label_selector.h"

#include <absl/strings/str_cat.h>

namespace k3saga::plans {
namespace {

bool IsWordCharacter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
         c == '.' || c == '/';
}

// A cursor over the selector's text. Takes are false when what is asked for is not next.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : rest_(text) { SkipSpaces(); }

  bool AtEnd() const { return rest_.empty(); }
  bool Take(std::string_view token) {
    if (rest_.substr(0, token.size()) != token) return false;
    rest_.remove_prefix(token.size());
    SkipSpaces();
    return true;
  }
  std::string TakeWord() {
    size_t size = 0;
    while (size < rest_.size() && IsWordCharacter(rest_[size])) ++size;
    std::string word(rest_.substr(0, size));
    rest_.remove_prefix(size);
    SkipSpaces();
    return word;
  }

 private:
  void SkipSpaces() {
    while (!rest_.empty() && rest_.front() == ' ') rest_.remove_prefix(1);
  }
  std::string_view rest_;
};

bool TakeValues(Scanner& scanner, std::vector<std::string>* values) {
  if (!scanner.Take("(")) return false;
  do {
    values->push_back(scanner.TakeWord());
  } while (scanner.Take(","));
  return scanner.Take(")");
}

bool TakeRequirement(Scanner& scanner, Requirement* requirement) {
  const bool absent = scanner.Take("!");
  requirement->key = scanner.TakeWord();
  if (requirement->key.empty()) return false;
  if (absent) {
    requirement->op = "DoesNotExist";
    return true;
  }
  if (scanner.Take("!=")) {
    requirement->op = "NotIn";
    requirement->values = {scanner.TakeWord()};
    return true;
  }
  if (scanner.Take("==") || scanner.Take("=")) {
    requirement->op = "In";
    requirement->values = {scanner.TakeWord()};
    return true;
  }
  const std::string word = scanner.TakeWord();
  if (word.empty()) {
    requirement->op = "Exists";
    return true;
  }
  if (word != "in" && word != "notin") return false;
  requirement->op = word == "in" ? "In" : "NotIn";
  return TakeValues(scanner, &requirement->values);
}

}  // namespace

absl::StatusOr<std::vector<Requirement>> ParseLabelSelector(std::string_view text) {
  std::vector<Requirement> requirements;
  Scanner scanner(text);
  while (!scanner.AtEnd()) {
    Requirement requirement;
    const bool followed_by_more = !requirements.empty();
    if ((followed_by_more && !scanner.Take(",")) || !TakeRequirement(scanner, &requirement)) {
      return absl::InvalidArgumentError(absl::StrCat("\"", std::string(text),
                                                     "\" is not a label selector; expected one ",
                                                     "such as app=web,tier!=db,!spot,zone in (a,b)"));
    }
    requirements.push_back(std::move(requirement));
  }
  return requirements;
}

}  // namespace k3saga::plans
