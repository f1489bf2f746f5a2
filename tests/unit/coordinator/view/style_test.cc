#include "coordinator/view/style.h"

namespace k3saga::view {
namespace {

TEST(Paint, CutsToTheWidthByCodePoints) {
  const Line line = {{"\u2713 "}, {"na\u00efve"}, {" text"}};
  EXPECT_EQ(Paint(line, {}), "\u2713 na\u00efve text");
  EXPECT_EQ(Paint(line, {.width = 12}), "\u2713 na\u00efve text");
  EXPECT_EQ(Paint(line, {.width = 6}), "\u2713 na\u00ef\u2026");
  EXPECT_EQ(Paint(line, {.width = 6, .unicode = false}), "\u2713 na\u00ef~");
  EXPECT_EQ(Paint(line, {.width = 1}), "\u2026");
}

TEST(Paint, ColoursOnlyWhereItMay) {
  const Line line = {{"s1 "}, {"failed", Tone::kBad}};
  EXPECT_EQ(Paint(line, {.colour = true}), "s1 \x1b[31mfailed\x1b[0m");
  EXPECT_EQ(Paint(line, {}), "s1 failed");
}

TEST(Paint, WhatANodeReportsCannotSteerTheTerminal) {
  EXPECT_EQ(Paint({{"a\x1b[2Jb\r\nc\x7f\xC2\x9B"
                    "31md\te"}},
                  {}),
            "a [2Jb  c  31md e");
}

TEST(AlignColumns, PadsAllButTheLast) {
  const std::vector<Line> rows =
      AlignColumns({{{"NODE"}, {"ROLE"}, {""}}, {{"s1"}, {"server"}, {"x"}}, {{"w\u00f6rk"}, {"w"}, {""}}});
  EXPECT_EQ(PaintAll(rows, {}), "NODE  ROLE\ns1    server  x\nw\u00f6rk  w\n");
}

}  // namespace
}  // namespace k3saga::view
