#include "coordinator/view/live_screen.h"

#include <absl/strings/str_cat.h>

#include <algorithm>

namespace k3saga::view {

std::string LiveScreen::EraseFrame() const {
  if (shown_lines_ == 0) return "";
  // Up to the frame's first line, then everything below goes.
  return absl::StrCat("\x1b[", shown_lines_, "A\r\x1b[J");
}

std::string LiveScreen::Painted(const std::vector<Line>& frame, const Style& style, size_t* lines) const {
  Style narrow = style;
  // A line that fills the last column would wrap on some terminals.
  if (narrow.width > 1) --narrow.width;
  const size_t room = style.height > 1 ? style.height - 1 : frame.size();
  *lines = std::min(room, frame.size());
  std::string text;
  for (size_t i = 0; i < *lines; ++i) absl::StrAppend(&text, Paint(frame[i], narrow), "\n");
  return text;
}

void LiveScreen::Show(const std::vector<Line>& frame) {
  frame_ = frame;
  size_t lines = 0;
  std::string text = Painted(frame_, style_(), &lines);
  if (text == shown_) return;
  write_(EraseFrame() + text);
  shown_ = std::move(text);
  shown_lines_ = lines;
}

void LiveScreen::PrintAbove(const Line& line) {
  const Style style = style_();
  Style whole = style;
  whole.width = 0;  // what stays may wrap, but is not cut
  size_t lines = 0;
  std::string text = Painted(frame_, style, &lines);
  write_(absl::StrCat(EraseFrame(), Paint(line, whole), "\n", text));
  shown_ = std::move(text);
  shown_lines_ = lines;
}

void LiveScreen::Close() {
  frame_.clear();
  shown_.clear();
  shown_lines_ = 0;
}

}  // namespace k3saga::view
