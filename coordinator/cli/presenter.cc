#include "coordinator/cli/presenter.h"

#include <absl/strings/str_cat.h>

#include <chrono>
#include <nlohmann/json.hpp>
#include <utility>

#include "coordinator/view/json.h"
#include "coordinator/view/live_screen.h"
#include "coordinator/view/model.h"
#include "coordinator/view/rollout_text.h"
#include "coordinator/view/teller.h"

namespace k3saga::cli {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kRedrawSoon{50};     // so that a burst of events is one redraw
constexpr milliseconds kRedrawLater{1000};  // for the clocks on it

std::string TextOf(const view::Line& line) {
  std::string text;
  for (const view::Cell& cell : line) text += cell.text;
  return text;
}

// What the three have in common: the rollout as last heard of.
class Follower : public Presenter {
 public:
  explicit Follower(const Clock& clock) : clock_(clock) {}

  void SkipUntil(uint64_t event) override { skip_until_ = event; }
  void OnProgress(uint64_t sequence, const std::string& node, const v1::Progress& progress) override {
    telemetry_[node] = {sequence, progress};
    Changed();
  }

 protected:
  // Something that is shown may be different now.
  virtual void Changed() {}

  // Kept by reference: whoever tells us (driver or watcher) changes it on this thread only, and outlives the
  // showing.
  void Remember(const core::State& state) {
    state_ = &state;
    Changed();
  }
  bool known() const { return state_ != nullptr && state_->created(); }
  bool IsHistory(uint64_t number) const { return number <= skip_until_; }
  view::Model Model() const { return view::BuildModel(*state_, telemetry_, clock_.WallUnixMillis()); }

 private:
  const Clock& clock_;
  const core::State* state_ = nullptr;
  view::Telemetry telemetry_;
  uint64_t skip_until_ = 0;
};

class LivePresenter final : public Follower {
 public:
  LivePresenter(const Console& console, Loop& loop, const Clock& clock)
      : Follower(clock),
        console_(console),
        loop_(loop),
        teller_(absl::LocalTimeZone()),
        screen_([this](std::string_view text) { console_.Out(text); },
                [this] { return console_.LiveStyle(); }) {}
  ~LivePresenter() override { loop_.CancelTimer(timer_); }

  void OnEvents(uint64_t first, const std::vector<v1::Event>& events, const core::State& state) override {
    for (const v1::Event& event : events) {
      const bool history = IsHistory(first++);
      for (const view::Teller::Told& told : teller_.Tell(event, state)) {
        if (told.important && !history) screen_.PrintAbove(told.line);
      }
    }
    Remember(state);
  }
  void Say(const std::string& text) override { screen_.PrintAbove({{text, view::Tone::kWarning}}); }
  void Finish() override {
    loop_.CancelTimer(timer_);
    finished_ = true;
    if (!known()) return;
    screen_.Show({});
    screen_.Close();
    const view::Model model = Model();
    // The whole table, however long: nothing is redrawn any more.
    console_.Out(view::RolloutPage(model, console_.PageStyle()));
    console_.Out(view::Conclusion(model));
  }

 private:
  // The first picture at once, the next ones in their own time: even the shortest rollout is seen.
  void Changed() override {
    if (!drawn_ && known()) return Redraw();
    Schedule(kRedrawSoon);
  }

  void Schedule(milliseconds delay) {
    if (finished_ || (timer_ != 0 && delay >= pending_)) return;
    loop_.CancelTimer(timer_);
    pending_ = delay;
    timer_ = loop_.After(delay, [this] {
      timer_ = 0;
      Redraw();
    });
  }
  void Redraw() {
    drawn_ = known();
    if (drawn_) screen_.Show(view::RolloutPage(Model(), console_.LiveStyle()));
    Schedule(kRedrawLater);
  }

  const Console& console_;
  Loop& loop_;
  view::Teller teller_;
  view::LiveScreen screen_;
  Loop::TimerId timer_ = 0;
  milliseconds pending_{0};
  bool drawn_ = false;
  bool finished_ = false;
};

class PlainPresenter final : public Follower {
 public:
  PlainPresenter(const Console& console, const Clock& clock)
      : Follower(clock), console_(console), teller_(absl::LocalTimeZone()) {}

  void OnEvents(uint64_t first, const std::vector<v1::Event>& events, const core::State& state) override {
    for (const v1::Event& event : events) {
      const bool history = IsHistory(first++);
      for (const view::Teller::Told& told : teller_.Tell(event, state)) {
        if (!history) console_.Out(std::vector<view::Line>{told.line});
      }
    }
    Remember(state);
  }
  void Say(const std::string& text) override { console_.Out(text + "\n"); }
  void Finish() override {
    if (!known()) return;
    const view::Model model = Model();
    console_.Out("\n");
    console_.Out(view::RolloutPage(model, console_.PageStyle()));
    console_.Out(view::Conclusion(model));
  }

 private:
  const Console& console_;
  view::Teller teller_;
};

class JsonPresenter final : public Follower {
 public:
  JsonPresenter(const Console& console, const Clock& clock)
      : Follower(clock), console_(console), teller_(absl::UTCTimeZone()) {}

  void OnEvents(uint64_t first, const std::vector<v1::Event>& events, const core::State& state) override {
    for (const v1::Event& event : events) {
      std::string text;
      for (view::Teller::Told& told : teller_.Tell(event, state)) {
        told.line.erase(told.line.begin());  // the time stands beside it
        text = TextOf(told.line);
      }
      const uint64_t number = first++;
      if (!IsHistory(number)) console_.Out(view::ToLine(view::EventJson(number, event, text)) + "\n");
    }
    Remember(state);
  }
  // Words for people go where they do not disturb programs.
  void Say(const std::string& text) override { console_.Error(text); }
  void Finish() override {
    if (!known()) return;
    nlohmann::ordered_json last = {{"type", "rollout"}};
    last.update(view::RolloutJson(Model()));
    console_.Out(view::ToLine(last) + "\n");
  }

 private:
  const Console& console_;
  view::Teller teller_;
};

}  // namespace

std::unique_ptr<Presenter> MakePresenter(OutputFormat format, const Console& console, Loop& loop,
                                         const Clock& clock) {
  if (format == OutputFormat::kJson) return std::make_unique<JsonPresenter>(console, clock);
  if (console.stdout_is_terminal()) return std::make_unique<LivePresenter>(console, loop, clock);
  return std::make_unique<PlainPresenter>(console, clock);
}

}  // namespace k3saga::cli
