#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

// Lines of coloured cells, and how they become text for one kind of output.
namespace k3saga::view {

enum class Tone { kPlain, kDim, kStrong, kGood, kActive, kWarning, kBad };

// What the output can show.
struct Style {
  size_t width = 0;     // columns a line may have; 0: no limit
  size_t height = 0;    // lines a frame may have; 0: no limit
  bool colour = false;  // a terminal, and NO_COLOR is not set
  bool unicode = true;  // UTF-8 output
};

struct Cell {
  std::string text;
  Tone tone = Tone::kPlain;
};
using Line = std::vector<Cell>;

// Makes columns of rows: every cell but a row's last is padded to its column's width; two spaces between.
std::vector<Line> AlignColumns(std::vector<Line> rows);

// One line of text, no newline: cut to the style's width, coloured where it may be. Control characters are
// replaced, so that what a node reports can never steer the terminal.
std::string Paint(const Line& line, const Style& style);
std::string PaintAll(const std::vector<Line>& lines, const Style& style);  // each with a newline

// Columns that UTF-8 text takes on a terminal, counting a code point as one.
size_t DisplayWidth(std::string_view text);

}  // namespace k3saga::view
