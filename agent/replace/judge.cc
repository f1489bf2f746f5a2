#include "agent/replace/judge.h"

#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <absl/strings/str_split.h>

#include <algorithm>
#include <optional>

#include "common/reason.h"

namespace k3saga::replace {
namespace {

constexpr char kName[] = "k3saga-agent";

std::string FormName(Form form) { return form == Form::kPackage ? "a package" : "the program alone"; }

// A service that was not restarted since its program was replaced still has to be.
bool NothingToDo(const Question& question) { return question.order == 0 && question.installed.runs; }

std::optional<v1::Reason> InTheWay(const Question& question) {
  const auto refuse = [&](v1::ReasonCode code, std::string_view detail, std::string_view remedy) {
    return MakeReason(code, question.node, detail, remedy);
  };
  const Installed& installed = question.installed;
  const Offered& offered = question.offered;
  if (offered.name != kName) {
    return refuse(v1::LOCAL_FAILURE,
                  absl::StrCat("the file holds ", offered.name.empty() ? "nothing known" : offered.name,
                               ", not ", kName),
                  "give k3saga-agent's own package, or its program");
  }
  if (!installed.own_unit) {
    return refuse(v1::NODE_LAYOUT_UNSUPPORTED,
                  "this agent does not run as k3saga-agent.service, so nobody would start it again",
                  "replace it the way it was installed");
  }
  if (installed.form != offered.form) {
    return refuse(v1::NODE_LAYOUT_UNSUPPORTED,
                  absl::StrCat("this agent was installed as ", FormName(installed.form), ", and ",
                               FormName(offered.form), " was offered"),
                  installed.form == Form::kPackage ? "give the .deb"
                                                   : "give the program k3saga-agent out of the tarball");
  }
  if (!offered.architecture.empty() && offered.architecture != installed.architecture) {
    return refuse(v1::LOCAL_FAILURE,
                  absl::StrCat("it is for ", offered.architecture, ", this node is ", installed.architecture),
                  absl::StrCat("give the one for ", installed.architecture, " too"));
  }
  if (question.order < 0 && !question.allow_downgrade) {
    return refuse(v1::DOWNGRADE,
                  absl::StrCat("agent ", installed.version, " runs here, ", offered.version, " is older"),
                  "--allow-downgrade if that is meant");
  }
  if (!NothingToDo(question) && !question.unsettled.empty()) {
    return refuse(v1::BUSY, absl::StrCat("not settled yet: ", absl::StrJoin(question.unsettled, ", ")),
                  "ask again when it has settled");
  }
  return std::nullopt;
}

// The numbers up to the first character that belongs to none, and the rest.
std::pair<std::vector<uint64_t>, std::string> TakeApart(std::string_view version) {
  const size_t end = std::min(version.find_first_not_of("0123456789."), version.size());
  std::vector<uint64_t> numbers;
  for (absl::string_view part : absl::StrSplit(std::string(version.substr(0, end)), '.', absl::SkipEmpty())) {
    uint64_t number = 0;
    numbers.push_back(absl::SimpleAtoi(part, &number) ? number : 0);
  }
  return {numbers, std::string(version.substr(end))};
}

}  // namespace

int CompareVersions(std::string_view one, std::string_view other) {
  const auto [numbers, rest] = TakeApart(one);
  const auto [other_numbers, other_rest] = TakeApart(other);
  if (numbers != other_numbers) return numbers < other_numbers ? -1 : 1;
  if (rest.empty() != other_rest.empty()) return rest.empty() ? 1 : -1;
  return rest.compare(other_rest);
}

v1::ReplaceAgentReply Judge(const Question& question) {
  v1::ReplaceAgentReply reply;
  reply.set_from_version(question.installed.version);
  reply.set_to_version(question.offered.version);
  if (auto reason = InTheWay(question)) {
    reply.set_state(v1::ReplaceAgentReply::REFUSED);
    *reply.mutable_reason() = *std::move(reason);
  } else {
    reply.set_state(NothingToDo(question) ? v1::ReplaceAgentReply::UNCHANGED
                                          : v1::ReplaceAgentReply::RUNNING);
  }
  return reply;
}

}  // namespace k3saga::replace
