#include "coordinator/view/rollout_text.h"

#include <absl/strings/str_cat.h>

#include <algorithm>

#include "common/reason.h"
#include "coordinator/view/words.h"

namespace k3saga::view {
namespace {

constexpr size_t kLinesBesidesNodes = 4;  // blank lines, the table's head, the summary

Tone ToneOf(Standing standing) {
  switch (standing) {
    case Standing::kPending:
    case Standing::kSkipped:
      return Tone::kDim;
    case Standing::kRunning:
      return Tone::kActive;
    case Standing::kDone:
      return Tone::kGood;
    case Standing::kFailed:
      return Tone::kBad;
  }
  return Tone::kPlain;
}

std::string MarkOf(Standing standing, bool unicode) {
  switch (standing) {
    case Standing::kPending:
      return unicode ? "\u00b7" : ".";
    case Standing::kRunning:
      return unicode ? "\u25cf" : "*";
    case Standing::kDone:
      return unicode ? "\u2713" : "+";
    case Standing::kFailed:
      return unicode ? "\u2717" : "x";
    case Standing::kSkipped:
      return "-";
  }
  return " ";
}

Tone ToneOf(const Model& model) {
  switch (model.headline) {
    case Headline::kRunning:
      return Tone::kActive;
    case Headline::kPausing:
    case Headline::kPaused:
    case Headline::kAborting:
      return Tone::kWarning;
    case Headline::kEnded:
      return model.result == v1::RolloutEnded::SUCCEEDED ? Tone::kGood : Tone::kBad;
  }
  return Tone::kPlain;
}

Line HeadlineOf(const Model& model, bool unicode) {
  return {{model.cluster, Tone::kStrong},
          {absl::StrCat("  ", model.from, unicode ? " \u2192 " : " -> ", model.to, "  ")},
          {HeadlineWord(model), ToneOf(model)},
          {absl::StrCat("  ", Elapsed(model.elapsed_ms)), Tone::kStrong},
          {absl::StrCat("  rollout ", model.rollout), Tone::kDim}};
}

Line StepLine(const StepRow& row, bool unicode) {
  const bool begun = row.standing != Standing::kPending && row.standing != Standing::kSkipped;
  std::string count;
  if (row.total > 0 && begun) count = absl::StrCat(row.done, " of ", row.total);
  if (!row.because.empty()) absl::StrAppend(&count, count.empty() ? "" : ", ", "because ", row.because);
  return {{absl::StrCat("  ", MarkOf(row.standing, unicode)), ToneOf(row.standing)},
          {StepTitle(row.step), begun ? Tone::kPlain : Tone::kDim},
          {begun ? Elapsed(row.elapsed_ms) : "", Tone::kDim},
          {count}};
}

Line NodeLine(const NodeRow& row, bool unicode) {
  return {{absl::StrCat("  ", MarkOf(row.standing, unicode)), ToneOf(row.standing)},
          {row.name},
          {RoleWord(row.role), Tone::kDim},
          {row.version},
          {PhaseWord(row.phase), ToneOf(row.standing)},
          {row.note, row.standing == Standing::kFailed ? Tone::kBad : Tone::kPlain}};
}

// The nodes worth a line when there is no room for all: failed, then running, then whatever has something to
// say.
std::vector<size_t> Choose(const std::vector<NodeRow>& nodes, size_t room) {
  auto rank = [&nodes](size_t i) {
    if (nodes[i].standing == Standing::kFailed) return 0;
    if (nodes[i].standing == Standing::kRunning) return 1;
    return nodes[i].note.empty() ? 3 : 2;
  };
  std::vector<size_t> order(nodes.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(), [&rank](size_t a, size_t b) { return rank(a) < rank(b); });
  order.resize(std::min(room, order.size()));
  std::sort(order.begin(), order.end());
  return order;
}

std::string Rest(const std::vector<NodeRow>& nodes, const std::vector<size_t>& shown) {
  size_t counts[5] = {};
  size_t next = 0;
  for (size_t i = 0; i < nodes.size(); ++i) {
    if (next < shown.size() && shown[next] == i) {
      ++next;
    } else {
      ++counts[static_cast<size_t>(nodes[i].standing)];
    }
  }
  constexpr const char* kWords[] = {"waiting", "running", "done", "failed", "skipped"};
  std::string text;
  for (size_t i = 0; i < std::size(counts); ++i) {
    if (counts[i] > 0) absl::StrAppend(&text, text.empty() ? "" : ", ", counts[i], " ", kWords[i]);
  }
  return absl::StrCat("  and ", Counted(nodes.size() - shown.size(), "more node"), ": ", text);
}

void AppendNodes(const Model& model, const Style& style, std::vector<Line>* lines) {
  size_t room = model.nodes.size();
  if (style.height > 0) {
    const size_t taken = lines->size() + kLinesBesidesNodes + model.held.size();
    room = style.height > taken ? style.height - taken : 1;
  }
  const std::vector<size_t> shown = Choose(model.nodes, room);
  std::vector<Line> rows = {{{"   "},
                             {"NODE", Tone::kDim},
                             {"ROLE", Tone::kDim},
                             {"VERSION", Tone::kDim},
                             {"STATE", Tone::kDim},
                             {""}}};
  for (size_t i : shown) rows.push_back(NodeLine(model.nodes[i], style.unicode));
  for (Line& row : AlignColumns(std::move(rows))) lines->push_back(std::move(row));
  if (shown.size() < model.nodes.size()) lines->push_back({{Rest(model.nodes, shown), Tone::kDim}});
}

}  // namespace

std::vector<Line> RolloutPage(const Model& model, const Style& style) {
  std::vector<Line> lines = {HeadlineOf(model, style.unicode)};
  std::vector<Line> steps;
  for (const StepRow& row : model.steps) steps.push_back(StepLine(row, style.unicode));
  for (Line& row : AlignColumns(std::move(steps))) lines.push_back(std::move(row));
  lines.push_back({});
  AppendNodes(model, style, &lines);
  for (const v1::Reason& reason : model.held) {
    if (!model.held_node.empty()) break;  // said in that node's line
    lines.push_back({{"  waits  ", Tone::kWarning}, {Describe(reason)}});
  }
  if (model.past_return && model.headline != Headline::kEnded) {
    lines.push_back({{"  past the point of no return: the minor upgrade can no longer be undone by binaries",
                      Tone::kDim}});
  }
  return lines;
}

std::vector<Line> Conclusion(const Model& model) {
  if (model.headline != Headline::kEnded) return {};
  const std::string why = model.reason.code() == v1::REASON_UNSPECIFIED ? "" : Describe(model.reason);
  std::vector<Line> lines;
  switch (model.result) {
    case v1::RolloutEnded::SUCCEEDED:
      lines.push_back({{absl::StrCat(model.kind == v1::Plan::RESTORE
                                         ? "Done: the datastore is back, every node is verified"
                                         : "Done: every node runs " + model.to,
                                     ", in ", Elapsed(model.elapsed_ms), "."),
                        Tone::kGood}});
      break;
    case v1::RolloutEnded::COMPENSATED:
      lines.push_back(
          {{absl::StrCat("Failed and compensated: every server that moved is back at ", model.from, "."),
            Tone::kBad}});
      break;
    case v1::RolloutEnded::REFUSED:
      lines.push_back({{"Refused: nothing was touched.", Tone::kBad}});
      break;
    default:
      lines.push_back({{"Stopped: the nodes stand as the table says.", Tone::kBad}});
      break;
  }
  if (!why.empty()) lines.push_back({{absl::StrCat("Why: ", why)}});
  if (model.lost_since_ms != 0) {
    lines.push_back({{"Lost: ", Tone::kBad},
                     {absl::StrCat("everything written to the cluster since ",
                                   DateAndTime(model.lost_since_ms, absl::LocalTimeZone()))}});
  }
  return lines;
}

}  // namespace k3saga::view
