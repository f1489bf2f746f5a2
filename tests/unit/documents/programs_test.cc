// Man pages and completions against what the programs themselves say in --help: every command and every
// option is there, and nothing that is not.
#include <absl/strings/match.h>
#include <absl/strings/str_split.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <regex>
#include <set>

#include "common/host/files.h"
#include "common/host/process.h"
#include "tests/unit/documents/help.h"
#include "tests/unit/documents/man_page.h"

namespace k3saga::documents {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;

struct Documented {
  std::string name;
  std::string page;              // below systemd/man
  bool commands_offered = true;  // by the completion
};
void PrintTo(const Documented& documented, std::ostream* out) { *out << documented.name; }

// Whether `text` has `word` with nothing of a word around it.
bool Names(const std::string& text, const std::string& word) {
  return std::regex_search(text, std::regex("(^|[^a-zA-Z-])" + word + "($|[^a-zA-Z-])"));
}

class Programs : public ::testing::TestWithParam<Documented> {
 protected:
  void SetUp() override {
    auto help = HelpOf(Program());
    ASSERT_TRUE(help.ok()) << help.status();
    help_ = *std::move(help);
    auto page = ReadFile(std::string(K3SAGA_SYSTEMD) + "/man/" + GetParam().page);
    ASSERT_TRUE(page.ok()) << page.status();
    entries_ = ParseManPage(*page);
  }

  static std::string Program() { return std::string(K3SAGA_BIN) + "/" + GetParam().name; }

  // The command that an entry of COMMANDS describes: the longest that its tag begins with; "" is none.
  std::string CommandOf(const Entry& entry) const {
    std::string found;
    for (const auto& [command, help] : help_) {
      const bool begins = entry.tag == command || absl::StartsWith(entry.tag, command + " ");
      if (begins && command.size() > found.size()) found = command;
    }
    return found;
  }
  const Entry* Find(const std::string& command) const {
    for (const Entry& entry : entries_) {
      if (entry.section == "COMMANDS" && CommandOf(entry) == command) return &entry;
    }
    return nullptr;
  }

  // What pressing tab after `words` (without the program) offers; the last is what is typed so far.
  static std::vector<std::string> Offered(std::vector<std::string> words) {
    Command bash{.argv = {"bash", "-c",
                          "source \"$1\"; function=$2; shift 2; COMP_WORDS=(\"$@\"); COMP_CWORD=$(($# - 1)); "
                          "\"$function\"; printf '%s\\n' \"${COMPREPLY[@]}\"",
                          "-", std::string(K3SAGA_SYSTEMD) + "/completions/" + GetParam().name,
                          "_" + std::regex_replace(GetParam().name, std::regex("-"), "_"), Program()},
                 .environment = PlainEnvironment()};
    bash.argv.insert(bash.argv.end(), words.begin(), words.end());
    auto output = RunForOutput(bash);
    EXPECT_TRUE(output.ok()) << output.status();
    return output.ok() ? std::vector<std::string>(absl::StrSplit(*output, '\n', absl::SkipEmpty()))
                       : std::vector<std::string>();
  }

  std::map<std::string, Help> help_;
  std::vector<Entry> entries_;
};

TEST_P(Programs, SayTheirNameAndVersion) {
  const auto said = k3saga::Run(
      {.argv = {Program(), "--version"}, .environment = {}, .deadline = std::chrono::seconds(60)});
  ASSERT_TRUE(said.ok()) << said.status();
  EXPECT_EQ(said->out, GetParam().name + " " + K3SAGA_VERSION + "\n");
}

TEST_P(Programs, TheManPageHasEveryCommandAndOption) {
  for (const auto& [command, help] : help_) {
    SCOPED_TRACE(command);
    if (command.empty()) {
      std::string options;
      for (const Entry& entry : entries_) {
        if (entry.section == "OPTIONS") options += entry.tag + "\n";
      }
      for (const std::string& option : help.options) EXPECT_TRUE(Names(options, option)) << option;
      continue;
    }
    const Entry* entry = Find(command);
    // One that only leads to others is described by them.
    if (entry == nullptr && !help.commands.empty()) continue;
    ASSERT_NE(entry, nullptr) << "not in " << GetParam().page;
    for (const std::string& positional : help.positionals) EXPECT_THAT(entry->tag, HasSubstr(positional));
    for (const std::string& option : help.options) {
      const bool of_all = GetParam().name == "k3saga-lab" && option == "--dir";
      EXPECT_TRUE(of_all || Names(entry->text, option)) << option << " in: " << entry->text;
    }
  }
}

TEST_P(Programs, TheManPageHasNothingElse) {
  static const std::regex kOption("--[a-z][a-z-]*");
  for (const Entry& entry : entries_) {
    if (entry.section != "COMMANDS" && entry.section != "OPTIONS") continue;
    SCOPED_TRACE(entry.tag);
    const std::string command = entry.section == "OPTIONS" ? "" : CommandOf(entry);
    ASSERT_TRUE(entry.section == "OPTIONS" || !command.empty()) << "no such command";
    for (std::sregex_iterator option(entry.text.begin(), entry.text.end(), kOption), end; option != end;
         ++option) {
      if (option->str() == "--help") continue;
      EXPECT_THAT(help_.at(command).options, Contains(option->str()));
    }
  }
}

TEST_P(Programs, TheCompletionOffersWhatTheProgramHas) {
  for (const auto& [command, help] : help_) {
    if (!GetParam().commands_offered && !command.empty()) continue;
    SCOPED_TRACE(command);
    std::vector<std::string> words = absl::StrSplit(command, ' ', absl::SkipEmpty());
    if (GetParam().commands_offered && !help.commands.empty()) {
      words.emplace_back("");
      EXPECT_THAT(Offered(words), ::testing::UnorderedElementsAreArray(help.commands));
      words.pop_back();
    }
    std::vector<std::string> options = help.options;
    options.emplace_back("--help");
    words.emplace_back("--");
    EXPECT_THAT(Offered(words), ::testing::UnorderedElementsAreArray(options));
  }
}

TEST_P(Programs, TheCompletionOffersWhatBeginsLikeThat) {
  if (GetParam().name != "k3saga") return;
  EXPECT_THAT(Offered({"up"}), ::testing::ElementsAre("upgrade"));
  EXPECT_THAT(Offered({"-f", "lab.yaml", "nodes", "s"}), ::testing::ElementsAre("show"));
  EXPECT_THAT(Offered({"-o", ""}), ::testing::ElementsAre("text", "json"));
  EXPECT_THAT(Offered({"help", ""}), ::testing::ElementsAre("exit-codes"));
}

INSTANTIATE_TEST_SUITE_P(
    All, Programs,
    ::testing::Values(Documented{.name = "k3saga", .page = "k3saga.1"},
                      Documented{.name = "k3saga-agent", .page = "k3saga-agent.8", .commands_offered = false},
                      Documented{.name = "k3saga-lab", .page = "k3saga-lab.1"}),
    [](const auto& of) { return std::regex_replace(of.param.name, std::regex("-"), "_"); });

}  // namespace
}  // namespace k3saga::documents
