#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "coordinator/view/style.h"

namespace k3saga::view {

// The lower end of a terminal, redrawn in place: a frame of lines, and above it lines that stay. Every change
// is one write, so that the terminal never shows half a frame. The frame must not be taller than the
// terminal, nor its lines wider: Show cuts both by the style that `style` returns at that moment (terminals
// are resized).
class LiveScreen {
 public:
  using Write = std::function<void(std::string_view)>;
  using StyleNow = std::function<Style()>;

  LiveScreen(Write write, StyleNow style) : write_(std::move(write)), style_(std::move(style)) {}

  // Replaces the frame. Writes nothing when it looks the same.
  void Show(const std::vector<Line>& frame);
  // A line that stays, above the frame.
  void PrintAbove(const Line& line);
  // The frame as it is now stays, and the cursor is below it.
  void Close();

 private:
  std::string EraseFrame() const;
  std::string Painted(const std::vector<Line>& frame, const Style& style, size_t* lines) const;

  Write write_;
  StyleNow style_;
  std::vector<Line> frame_;
  std::string shown_;
  size_t shown_lines_ = 0;
};

}  // namespace k3saga::view
