#include "coordinator/view/live_screen.h"

#include <poll.h>
#include <pty.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

namespace k3saga::view {
namespace {

// What a terminal would show: enough of one to obey newline, carriage return, cursor up and erase below.
class FakeTerminal {
 public:
  void Write(std::string_view text) {
    for (size_t i = 0; i < text.size(); ++i) {
      if (text[i] == '\n') {
        ++row_;
        column_ = 0;
      } else if (text[i] == '\r') {
        column_ = 0;
      } else if (text[i] == '\x1b') {
        i = Escape(text, i + 2);
      } else {
        Row().resize(std::max(Row().size(), column_ + 1), ' ');
        Row()[column_++] = text[i];
      }
    }
  }
  std::string Shown() {
    std::string text;
    for (const std::string& row : rows_) text += row + "\n";
    return text;
  }

 private:
  std::string& Row() {
    if (rows_.size() <= row_) rows_.resize(row_ + 1);
    return rows_[row_];
  }
  size_t Escape(std::string_view text, size_t i) {
    size_t number = 0;
    while (text[i] >= '0' && text[i] <= '9') number = number * 10 + static_cast<size_t>(text[i++] - '0');
    if (text[i] == 'A') row_ -= std::min(row_, number);
    if (text[i] == 'J') rows_.resize(row_);
    return i;
  }

  std::vector<std::string> rows_;
  size_t row_ = 0;
  size_t column_ = 0;
};

struct Screen {
  FakeTerminal terminal;
  Style style{.width = 20, .height = 6};
  int writes = 0;
  LiveScreen live{[this](std::string_view text) {
                    ++writes;
                    terminal.Write(text);
                  },
                  [this] { return style; }};
};

TEST(LiveScreen, RedrawsInPlace) {
  Screen screen;
  screen.live.Show({{{"one"}}, {{"two"}}});
  screen.live.Show({{{"one!"}}, {{"two!"}}, {{"three!"}}});
  EXPECT_EQ(screen.terminal.Shown(), "one!\ntwo!\nthree!\n");
  screen.live.Show({{{"short"}}});
  EXPECT_EQ(screen.terminal.Shown(), "short\n");
}

TEST(LiveScreen, WritesNothingWhenNothingChanged) {
  Screen screen;
  screen.live.Show({{{"same"}}});
  screen.live.Show({{{"same"}}});
  EXPECT_EQ(screen.writes, 1);
}

TEST(LiveScreen, FailuresStayAbove) {
  Screen screen;
  screen.live.Show({{{"frame"}}});
  screen.live.PrintAbove({{"s2: install FAILED: a reason longer than the terminal is wide"}});
  screen.live.Show({{{"frame 2"}}});
  EXPECT_EQ(screen.terminal.Shown(),
            "s2: install FAILED: a reason longer than the terminal is wide\nframe 2\n");
}

TEST(LiveScreen, NeverGrowsOverTheTerminal) {
  Screen screen;
  std::vector<Line> frame(40, Line{{"a line that is wider than twenty columns"}});
  screen.live.Show(frame);
  screen.live.Show({{{"then"}}});
  EXPECT_EQ(screen.terminal.Shown(), "then\n") << "a frame that scrolled could not be erased";
}

TEST(LiveScreen, WhatWasShownStaysAfterClose) {
  Screen screen;
  screen.live.Show({{{"last"}}});
  screen.live.Close();
  screen.live.Show({{{"next"}}});
  EXPECT_EQ(screen.terminal.Shown(), "last\nnext\n");
}

// A real terminal line discipline between the two: every line arrives whole, newlines translated.
TEST(LiveScreen, SpeaksToAPseudoTerminal) {
  int controller = -1;
  int terminal = -1;
  winsize size{.ws_row = 10, .ws_col = 30, .ws_xpixel = 0, .ws_ypixel = 0};
  ASSERT_EQ(openpty(&controller, &terminal, nullptr, nullptr, &size), 0);
  LiveScreen live(
      [terminal](std::string_view text) {
        ASSERT_EQ(write(terminal, text.data(), text.size()), static_cast<ssize_t>(text.size()));
      },
      [terminal] {
        winsize now{};
        EXPECT_EQ(ioctl(terminal, TIOCGWINSZ, &now), 0);
        return Style{.width = now.ws_col, .height = now.ws_row, .colour = true};
      });
  live.Show({{{"s1 "}, {"installing", Tone::kActive}}});
  live.PrintAbove({{"s1 failed", Tone::kBad}});
  live.Show({{{"s1 "}, {"failed", Tone::kBad}, {" because of something very long"}}});
  // The line discipline hands over in pieces, in its own time.
  std::string raw;
  pollfd readable{.fd = controller, .events = POLLIN, .revents = 0};
  while (raw.find("somethi") == std::string::npos || raw.back() != '\n') {
    ASSERT_EQ(poll(&readable, 1, 10'000), 1) << raw;
    char buffer[4096];
    const ssize_t got = read(controller, buffer, sizeof buffer);
    ASSERT_GT(got, 0);
    raw.append(buffer, static_cast<size_t>(got));
  }
  close(terminal);
  close(controller);
  EXPECT_THAT(raw, testing::HasSubstr("\x1b[31ms1 failed\x1b[0m\r\n"));
  EXPECT_THAT(raw, testing::HasSubstr("\x1b[1A\r\x1b[J"));
  EXPECT_THAT(raw, testing::EndsWith(" because of somethi\u2026\r\n"));
}

}  // namespace
}  // namespace k3saga::view
