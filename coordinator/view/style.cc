#include "coordinator/view/style.h"

#include <algorithm>

namespace k3saga::view {
namespace {

constexpr size_t kGap = 2;
constexpr std::string_view kReset = "\x1b[0m";

std::string_view Escape(Tone tone) {
  switch (tone) {
    case Tone::kPlain:
      return "";
    case Tone::kDim:
      return "\x1b[2m";
    case Tone::kStrong:
      return "\x1b[1m";
    case Tone::kGood:
      return "\x1b[32m";
    case Tone::kActive:
      return "\x1b[36m";
    case Tone::kWarning:
      return "\x1b[33m";
    case Tone::kBad:
      return "\x1b[31m";
  }
  return "";
}

bool ContinuesCodePoint(char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; }

// C0 controls and DEL, and C1 controls in UTF-8 (C2 80 to C2 9F), which some terminals obey.
std::string Harmless(std::string_view text) {
  std::string safe;
  safe.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if (byte < 0x20 || byte == 0x7F) {
      safe += ' ';
    } else if (byte == 0xC2 && i + 1 < text.size() && static_cast<unsigned char>(text[i + 1]) < 0xA0) {
      safe += ' ';
      ++i;
    } else {
      safe += text[i];
    }
  }
  return safe;
}

// The longest prefix that takes at most `columns`.
std::string_view Prefix(std::string_view text, size_t columns) {
  size_t end = 0;
  while (end < text.size()) {
    if (!ContinuesCodePoint(text[end]) && columns-- == 0) break;
    ++end;
  }
  return text.substr(0, end);
}

}  // namespace

size_t DisplayWidth(std::string_view text) {
  return static_cast<size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return !ContinuesCodePoint(c); }));
}

std::vector<Line> AlignColumns(std::vector<Line> rows) {
  std::vector<size_t> widths;
  for (const Line& row : rows) {
    for (size_t i = 0; i + 1 < row.size(); ++i) {
      if (widths.size() <= i) widths.resize(i + 1, 0);
      widths[i] = std::max(widths[i], DisplayWidth(row[i].text));
    }
  }
  for (Line& row : rows) {
    for (size_t i = 0; i + 1 < row.size(); ++i) {
      row[i].text.append(widths[i] - DisplayWidth(row[i].text) + kGap, ' ');
    }
  }
  return rows;
}

std::string Paint(const Line& line, const Style& style) {
  std::string text;
  const std::string_view ellipsis = style.unicode ? "\u2026" : "~";
  size_t needed = 0;
  for (const Cell& cell : line) needed += DisplayWidth(cell.text);
  const bool cut = style.width > 0 && needed > style.width;
  size_t room = cut ? style.width - 1 : needed;
  for (const Cell& cell : line) {
    std::string safe = Harmless(cell.text);
    const std::string_view shown = Prefix(safe, room);
    room -= DisplayWidth(shown);
    if (shown.empty()) continue;
    const std::string_view escape = style.colour ? Escape(cell.tone) : "";
    text += escape;
    text += shown;
    if (!escape.empty()) text += kReset;
  }
  if (cut) {
    text += ellipsis;
  } else {
    while (!style.colour && !text.empty() && text.back() == ' ') text.pop_back();
  }
  return text;
}

std::string PaintAll(const std::vector<Line>& lines, const Style& style) {
  std::string text;
  for (const Line& line : lines) {
    text += Paint(line, style);
    text += '\n';
  }
  return text;
}

}  // namespace k3saga::view
