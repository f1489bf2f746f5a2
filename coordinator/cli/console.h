#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "coordinator/view/style.h"

namespace k3saga::cli {

// This process's three streams, and what they can show. One thread at a time.
class Console {
 public:
  // Looks at the real streams, NO_COLOR, TERM and the locale.
  Console();

  bool stdin_is_terminal() const { return in_terminal_; }
  bool stdout_is_terminal() const { return out_terminal_; }

  // For pages: no limit of width, the terminal may wrap.
  view::Style PageStyle() const;
  // For a frame that is redrawn: the terminal's size at this moment.
  view::Style LiveStyle() const;

  void Out(std::string_view text) const;
  void Out(const std::vector<view::Line>& lines) const;
  // "k3saga: text", on stderr; every line of it.
  void Error(std::string_view text) const;
  // On stderr as it is.
  void Note(std::string_view text) const;

 private:
  bool in_terminal_;
  bool out_terminal_;
  bool colour_;
  bool unicode_;
};

}  // namespace k3saga::cli
