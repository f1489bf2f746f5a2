#include "coordinator/cli/prompt.h"

#include <absl/strings/ascii.h>
#include <absl/strings/str_cat.h>

#include <iostream>
#include <string>

namespace k3saga::cli {

bool Confirm(const Console& console, std::string_view question) {
  console.Note(absl::StrCat(std::string(question), " [y/N] "));
  std::string answer;
  if (!std::getline(std::cin, answer)) return false;
  answer = absl::AsciiStrToLower(absl::StripAsciiWhitespace(answer));
  return answer == "y" || answer == "yes";
}

bool ConfirmByName(const Console& console, std::string_view cluster) {
  console.Note(
      absl::StrCat("This cannot be undone. Type the cluster's name (", std::string(cluster), ") to go on: "));
  std::string answer;
  if (!std::getline(std::cin, answer)) return false;
  return absl::StripAsciiWhitespace(answer) == absl::string_view(cluster.data(), cluster.size());
}

}  // namespace k3saga::cli
