#pragma once

#include <absl/status/status.h>
#include <yaml-cpp/yaml.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace k3saga::yaml {

// Everything that is wrong with one file. All mistakes are collected, so that a person mends them in one go.
class Problems {
 public:
  explicit Problems(std::string file) : file_(std::move(file)) {}

  void Add(const YAML::Mark& where, std::string message);
  bool empty() const { return problems_.empty(); }
  // OK, or kInvalidArgument with one "FILE:LINE:COLUMN: what is wrong" a line, in the order of the file.
  absl::Status ToStatus() const;

 private:
  struct Problem {
    int line;
    int column;
    std::string message;
  };
  std::string file_;
  std::vector<Problem> problems_;
};

// Reads the one document of `text`; a syntax error or a second document is a problem (and an empty result).
YAML::Node ParseDocument(const std::string& text, Problems* problems);

// One mapping of the file. Asking for a key makes it known; Finish reports every key that nobody asked for,
// so the code that reads a section is its schema. Every getter records a problem when the value is not what
// was asked for, and returns the fallback then, as it does when the key is absent. Borrows `problems`, which
// must outlive it.
class Section {
 public:
  // An empty node is an empty section. `path` ("policies.servers") starts every message; "" for the whole
  // file.
  Section(const YAML::Node& node, std::string path, Problems* problems);

  bool Has(std::string_view key) const;
  // Where the key's value stands, or the section itself when the key is absent: for problems that a caller
  // finds.
  YAML::Mark MarkOf(std::string_view key) const;
  void AddProblem(std::string_view key, std::string_view message);
  // "policies.servers.drain"
  std::string PathOf(std::string_view key) const;

  std::string Text(std::string_view key, std::string_view fallback = "");
  // A problem, too, when the key is absent or empty: `expected` completes "expected ...".
  std::string RequiredText(std::string_view key, std::string_view expected);
  bool Bool(std::string_view key, bool fallback);
  int64_t Number(std::string_view key, int64_t fallback, int64_t least, int64_t most);
  // Whole seconds.
  std::chrono::seconds Duration(std::string_view key, std::chrono::seconds fallback,
                                std::chrono::seconds least, std::chrono::seconds most);
  // A list of texts.
  std::vector<std::string> Texts(std::string_view key);
  // One of the words; `fallback` is what an absent key means.
  template <typename Value>
  Value Choice(std::string_view key, const std::vector<std::pair<std::string, Value>>& words,
               Value fallback) {
    std::vector<std::string> names;
    for (const auto& [name, value] : words) names.push_back(name);
    std::optional<size_t> index = ChoiceIndex(key, names);
    return index ? words[*index].second : fallback;
  }

  // The value as it stands, for what is not a matter of a schema; undefined when the key is absent.
  YAML::Node Value(std::string_view key);

  Section Child(std::string_view key);
  // A list of mappings; each item's path is "nodes[0]".
  std::vector<Section> Children(std::string_view key);

  void Finish();

 private:
  struct Entry {
    std::string key;
    YAML::Mark key_mark;
    YAML::Node value;
  };

  const Entry* Find(std::string_view key) const;
  // As Find, and makes the key known.
  const Entry* Ask(std::string_view key);
  // The key's scalar; a problem saying what was expected when it is something else.
  std::optional<std::string> Scalar(std::string_view key, std::string_view expected);
  void AddExpected(const Entry& entry, std::string_view expected);
  std::optional<size_t> ChoiceIndex(std::string_view key, const std::vector<std::string>& names);

  std::string path_;
  Problems* problems_;
  YAML::Mark mark_;
  std::vector<Entry> entries_;
  std::vector<std::string> known_;
};

}  // namespace k3saga::yaml
