// Every command line of ours in README.md and docs/ exists: its commands and options are in the program's
// --help.
#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_replace.h>
#include <absl/strings/str_split.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <regex>

#include "common/host/files.h"
#include "common/host/process.h"
#include "tests/unit/common/temp_dir.h"
#include "tests/unit/documents/help.h"

namespace k3saga::documents {
namespace {

using ::testing::Contains;

struct Line {
  std::string where;               // "install.md: k3saga check"
  std::string program;             // "k3saga-lab"
  std::vector<std::string> words;  // after the program
};

// Command lines of ours in a document: lines that are one, with or without a prompt, and what stands in
// `...`.
std::vector<Line> LinesOf(const std::string& name, const std::string& document) {
  static const std::regex kLine(
      "^ *(?:[a-z0-9]*[$#] +)?(?:build/release/bin/)?(k3saga(?:-lab|-agent)?) +([a-z-].*)$");
  static const std::regex kInline("`(k3saga(?:-lab|-agent)?) +([a-z-][^`]*)`");
  // Further lines of a command follow a backslash.
  const std::string joined = absl::StrReplaceAll(document, {{"\\\n", " "}});
  std::vector<Line> lines;
  const auto add = [&](const std::string& program, std::string text) {
    // Neither comments nor what comes after the command.
    static const std::regex kRest("( #|&&|\\||;|>| <).*$");
    text = std::regex_replace(text, kRest, "");
    const std::string where = absl::StrCat(name, ": ", program, " ", text);
    text = absl::StrReplaceAll(text, {{"[", ""}, {"]", ""}});  // what may be left out is looked at too
    lines.push_back({where, program, absl::StrSplit(text, ' ', absl::SkipEmpty())});
  };
  bool fenced = false;
  for (const std::string& line : std::vector<std::string>(absl::StrSplit(joined, '\n'))) {
    if (absl::StartsWith(line, "```")) fenced = !fenced;
    std::smatch match;
    if ((fenced || absl::StartsWith(line, "    ")) && std::regex_match(line, match, kLine)) {
      add(match[1], match[2]);
      continue;
    }
    for (std::sregex_iterator found(line.begin(), line.end(), kInline), end; found != end; ++found) {
      add((*found)[1], (*found)[2]);
    }
  }
  return lines;
}

void ExpectToExist(const Line& line, const std::map<std::string, Help>& help) {
  SCOPED_TRACE(line.where);
  std::string command;
  std::vector<std::string> options = help.at("").options;  // also of the commands on the way
  options.emplace_back("--help");
  options.emplace_back("--list-crash-points");  // for tests: not in --help
  for (const std::string& word : line.words) {
    const std::vector<std::string>& below = help.at(command).commands;
    if (absl::StartsWith(word, "--")) {
      EXPECT_THAT(options, Contains(word.substr(0, word.find('='))));
    } else if (std::find(below.begin(), below.end(), word) != below.end()) {
      absl::StrAppend(&command, command.empty() ? "" : " ", word);
      const std::vector<std::string>& more = help.at(command).options;
      options.insert(options.end(), more.begin(), more.end());
    } else if (&word == &line.words.front()) {
      EXPECT_TRUE(absl::StartsWith(word, "-")) << "no such command";
    }
  }
}

TEST(Commands, EveryOneInTheDocumentsExists) {
  std::vector<std::filesystem::path> documents = {std::filesystem::path(K3SAGA_SOURCE) / "README.md"};
  for (const auto& file :
       std::filesystem::directory_iterator(std::filesystem::path(K3SAGA_SOURCE) / "docs")) {
    if (file.path().extension() == ".md") documents.push_back(file.path());
  }
  std::map<std::string, std::map<std::string, Help>> help;
  for (const char* program : {"k3saga", "k3saga-agent", "k3saga-lab"}) {
    auto of_program = HelpOf(absl::StrCat(K3SAGA_BIN, "/", program));
    ASSERT_TRUE(of_program.ok()) << of_program.status();
    help[program] = *std::move(of_program);
  }
  size_t seen = 0;
  for (const std::filesystem::path& document : documents) {
    const auto text = ReadFile(document);
    ASSERT_TRUE(text.ok()) << text.status();
    for (const Line& line : LinesOf(document.filename(), *text)) {
      ExpectToExist(line, help.at(line.program));
      ++seen;
    }
  }
  EXPECT_GT(seen, 40u) << "documents are not read as they are written";
}

// docs/install.md's step 3, as far as this machine goes.
TEST(Commands, TheIdentitiesOfInstallWork) {
  const auto text = ReadFile(std::string(K3SAGA_SOURCE) + "/docs/install.md");
  ASSERT_TRUE(text.ok()) << text.status();
  std::vector<Line> lines = LinesOf("install.md", *text);
  const auto init =
      std::find_if(lines.begin(), lines.end(), [](const Line& line) { return line.words.front() == "init"; });
  ASSERT_NE(init, lines.end());

  const TempDir dir;
  const auto run = [&](std::vector<std::string> words) {
    words.insert(words.begin(), std::string(K3SAGA_BIN) + "/k3saga");
    const auto output =
        RunForOutput({.argv = words, .environment = PlainEnvironment(), .working_directory = dir.path()});
    EXPECT_TRUE(output.ok()) << output.status();
  };
  run(init->words);
  const std::regex node_name("=(server|worker)@.*");
  for (const std::string& word : init->words) {
    if (!std::regex_search(word, node_name)) continue;
    const std::string node = std::regex_replace(word, node_name, "");
    run({"identity", "agent", node});
    for (const char* file : {"ca.crt", "agent.crt", "agent.key"}) {
      EXPECT_TRUE(std::filesystem::exists(dir / absl::StrCat("identity/", node, "/", file))) << node << file;
    }
  }
  // What the document's `sed` looks for.
  const auto agent = ReadFile(std::string(K3SAGA_SYSTEMD) + "/agent.yaml");
  ASSERT_TRUE(agent.ok()) << agent.status();
  EXPECT_THAT(*agent, ::testing::HasSubstr("\nnode: NODE\n"));
  EXPECT_THAT(*text, ::testing::HasSubstr("sed -i 's/^node:.*/node: $node/' /etc/k3saga/agent.yaml"));
}

TEST(Commands, AreFoundInTheWaysTheyAreWritten) {
  const std::vector<Line> lines =
      LinesOf("x.md",
              "Run `k3saga check` and:\n\n    $ k3saga init --name lab \\\n        --node s1=x\n"
              "    s1# k3saga-agent --verbose  # loud\n\nk3saga is a tool.\n");
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_THAT(lines[0].words, ::testing::ElementsAre("check"));
  EXPECT_THAT(lines[1].words, ::testing::ElementsAre("init", "--name", "lab", "--node", "s1=x"));
  EXPECT_EQ(lines[2].program, "k3saga-agent");
  EXPECT_THAT(lines[2].words, ::testing::ElementsAre("--verbose"));
}

}  // namespace
}  // namespace k3saga::documents
