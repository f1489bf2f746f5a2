#include "common/yaml/section.h"

#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include <algorithm>

#include "common/yaml/values.h"

namespace k3saga::yaml {
namespace {

std::string Quoted(std::string_view text) { return absl::StrCat("\"", std::string(text), "\""); }

// What a person would call the node that is there.
std::string Found(const YAML::Node& node) {
  switch (node.Type()) {
    case YAML::NodeType::Scalar:
      return Quoted(node.Scalar());
    case YAML::NodeType::Sequence:
      return "a list";
    case YAML::NodeType::Map:
      return "a section with keys";
    default:
      return "nothing";
  }
}

std::string Names(std::vector<std::string> names) {
  std::sort(names.begin(), names.end());
  return absl::StrJoin(names, ", ");
}

}  // namespace

void Problems::Add(const YAML::Mark& where, std::string message) {
  const bool nowhere = where.is_null();
  problems_.push_back({nowhere ? 1 : where.line + 1, nowhere ? 1 : where.column + 1, std::move(message)});
}

absl::Status Problems::ToStatus() const {
  if (problems_.empty()) return absl::OkStatus();
  std::vector<Problem> ordered = problems_;
  std::stable_sort(ordered.begin(), ordered.end(), [](const Problem& a, const Problem& b) {
    return std::pair(a.line, a.column) < std::pair(b.line, b.column);
  });
  return absl::InvalidArgumentError(
      absl::StrJoin(ordered, "\n", [this](std::string* out, const Problem& problem) {
        absl::StrAppend(out, file_, ":", problem.line, ":", problem.column, ": ", problem.message);
      }));
}

YAML::Node ParseDocument(const std::string& text, Problems* problems) {
  try {
    std::vector<YAML::Node> documents = YAML::LoadAll(text);
    if (documents.empty()) return {};
    if (documents.size() > 1) {
      problems->Add(documents[1].Mark(), "a second document; expected one (is there a stray \"---\"?)");
      return {};
    }
    return documents.front();
  } catch (const YAML::Exception& error) {
    problems->Add(error.mark, absl::StrCat("not YAML: ", error.msg));
    return {};
  }
}

Section::Section(const YAML::Node& node, std::string path, Problems* problems)
    : path_(std::move(path)), problems_(problems), mark_(node.Mark()) {
  if (!node.IsDefined() || node.IsNull()) return;
  if (!node.IsMap()) {
    problems_->Add(mark_, absl::StrCat(path_.empty() ? "" : path_ + ": ",
                                       "expected a section with keys, found ", Found(node)));
    return;
  }
  for (const auto& item : node) {
    if (!item.first.IsScalar()) {
      problems_->Add(item.first.Mark(),
                     absl::StrCat(path_.empty() ? "" : path_ + ": ", "a key has to be a word"));
      continue;
    }
    Entry entry{item.first.Scalar(), item.first.Mark(), item.second};
    if (const Entry* earlier = Find(entry.key)) {
      problems_->Add(entry.key_mark, absl::StrCat(PathOf(entry.key), ": given twice (first in line ",
                                                  earlier->key_mark.line + 1, ")"));
      continue;
    }
    entries_.push_back(std::move(entry));
  }
}

const Section::Entry* Section::Find(std::string_view key) const {
  for (const Entry& entry : entries_) {
    if (entry.key == key) return &entry;
  }
  return nullptr;
}

const Section::Entry* Section::Ask(std::string_view key) {
  if (std::find(known_.begin(), known_.end(), key) == known_.end()) known_.emplace_back(key);
  return Find(key);
}

bool Section::Has(std::string_view key) const { return Find(key) != nullptr; }

YAML::Mark Section::MarkOf(std::string_view key) const {
  const Entry* entry = Find(key);
  if (entry == nullptr) return mark_;
  return entry->value.IsNull() ? entry->key_mark : entry->value.Mark();
}

std::string Section::PathOf(std::string_view key) const {
  return path_.empty() ? std::string(key) : absl::StrCat(path_, ".", std::string(key));
}

void Section::AddProblem(std::string_view key, std::string_view message) {
  problems_->Add(MarkOf(key), absl::StrCat(PathOf(key), ": ", std::string(message)));
}

void Section::AddExpected(const Entry& entry, std::string_view expected) {
  AddProblem(entry.key, absl::StrCat("expected ", std::string(expected), ", found ", Found(entry.value)));
}

std::optional<std::string> Section::Scalar(std::string_view key, std::string_view expected) {
  const Entry* entry = Ask(key);
  if (entry == nullptr) return std::nullopt;
  if (!entry->value.IsScalar()) {
    AddExpected(*entry, expected);
    return std::nullopt;
  }
  return entry->value.Scalar();
}

std::string Section::Text(std::string_view key, std::string_view fallback) {
  return Scalar(key, "a text").value_or(std::string(fallback));
}

std::string Section::RequiredText(std::string_view key, std::string_view expected) {
  if (!Has(key)) {
    Ask(key);
    AddProblem(key, absl::StrCat("missing; expected ", std::string(expected)));
    return "";
  }
  std::optional<std::string> text = Scalar(key, expected);
  if (text && text->empty()) AddExpected(*Find(key), expected);
  return text.value_or("");
}

bool Section::Bool(std::string_view key, bool fallback) {
  std::optional<std::string> text = Scalar(key, "true or false");
  if (!text) return fallback;
  if (*text == "true") return true;
  if (*text != "false") AddExpected(*Find(key), "true or false");
  return *text == "false" ? false : fallback;
}

int64_t Section::Number(std::string_view key, int64_t fallback, int64_t least, int64_t most) {
  const std::string expected = absl::StrCat("a whole number from ", least, " to ", most);
  std::optional<std::string> text = Scalar(key, expected);
  if (!text) return fallback;
  int64_t value = 0;
  if (absl::SimpleAtoi(*text, &value) && value >= least && value <= most) return value;
  AddExpected(*Find(key), expected);
  return fallback;
}

std::chrono::seconds Section::Duration(std::string_view key, std::chrono::seconds fallback,
                                       std::chrono::seconds least, std::chrono::seconds most) {
  constexpr char kExpected[] = "a duration in whole seconds, such as 15s, 5m or 1h30m";
  std::optional<std::string> text = Scalar(key, kExpected);
  if (!text) return fallback;
  std::optional<std::chrono::milliseconds> parsed = ParseDuration(*text);
  if (!parsed || parsed->count() % 1000 != 0) {
    AddExpected(*Find(key), kExpected);
    return fallback;
  }
  const auto value = std::chrono::duration_cast<std::chrono::seconds>(*parsed);
  if (value >= least && value <= most) return value;
  AddExpected(*Find(key),
              absl::StrCat("a duration from ", FormatDuration(least), " to ", FormatDuration(most)));
  return fallback;
}

std::vector<std::string> Section::Texts(std::string_view key) {
  const Entry* entry = Ask(key);
  std::vector<std::string> texts;
  if (entry == nullptr || entry->value.IsNull()) return texts;
  if (!entry->value.IsSequence()) {
    AddExpected(*entry, "a list of texts");
    return texts;
  }
  for (const YAML::Node& item : entry->value) {
    if (item.IsScalar()) {
      texts.push_back(item.Scalar());
    } else {
      problems_->Add(item.Mark(), absl::StrCat(PathOf(key), ": expected a text, found ", Found(item)));
    }
  }
  return texts;
}

std::optional<size_t> Section::ChoiceIndex(std::string_view key, const std::vector<std::string>& names) {
  const std::string expected = absl::StrJoin(names, " | ");
  std::optional<std::string> text = Scalar(key, expected);
  if (!text) return std::nullopt;
  for (size_t i = 0; i < names.size(); ++i) {
    if (names[i] == *text) return i;
  }
  std::string message = absl::StrCat("expected ", expected, ", found ", Quoted(*text));
  if (auto meant = ClosestWord(*text, names))
    absl::StrAppend(&message, "; did you mean ", Quoted(*meant), "?");
  AddProblem(key, message);
  return std::nullopt;
}

YAML::Node Section::Value(std::string_view key) {
  const Entry* entry = Ask(key);
  return entry == nullptr ? YAML::Node(YAML::NodeType::Undefined) : entry->value;
}

Section Section::Child(std::string_view key) {
  const Entry* entry = Ask(key);
  return Section(entry == nullptr ? YAML::Node() : entry->value, PathOf(key), problems_);
}

std::vector<Section> Section::Children(std::string_view key) {
  std::vector<Section> children;
  const Entry* entry = Ask(key);
  if (entry == nullptr || entry->value.IsNull()) return children;
  if (!entry->value.IsSequence()) {
    AddExpected(*entry, "a list");
    return children;
  }
  for (size_t i = 0; i < entry->value.size(); ++i) {
    children.emplace_back(entry->value[i], absl::StrCat(PathOf(key), "[", i, "]"), problems_);
  }
  return children;
}

void Section::Finish() {
  for (const Entry& entry : entries_) {
    if (std::find(known_.begin(), known_.end(), entry.key) != known_.end()) continue;
    std::string message = absl::StrCat(PathOf(entry.key), ": unknown key; ");
    if (auto meant = ClosestWord(entry.key, known_)) {
      absl::StrAppend(&message, "did you mean ", Quoted(*meant), "?");
    } else {
      absl::StrAppend(&message, "expected one of: ", Names(known_));
    }
    problems_->Add(entry.key_mark, std::move(message));
  }
}

}  // namespace k3saga::yaml
