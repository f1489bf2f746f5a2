#include "coordinator/agents/fleet_upgrade.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <utility>

#include "common/reason.h"

namespace k3saga::agents {

using State = v1::ReplaceAgentReply;
using std::chrono::milliseconds;

namespace {

constexpr char kUploadVersion[] = "k3saga-agent";  // UploadChunk.release_version
constexpr milliseconds kBetweenQuestions{500};
constexpr milliseconds kAfterBreak{1'000};
constexpr milliseconds kOperationsSettle{2'000};
constexpr milliseconds kOneQuestion{15'000};

v1::ReplaceAgentReply Failed(State::State state, v1::Reason reason) {
  v1::ReplaceAgentReply reply;
  reply.set_state(state);
  *reply.mutable_reason() = std::move(reason);
  return reply;
}

}  // namespace

// One node: the file there, then question after question until the answer is final.
class FleetUpgrade::Node {
 public:
  Node(FleetUpgrade& all, size_t member) : all_(all), member_(member), self_(all.request_.members[member]) {
    deadline_timer_ = loop().After(all_.request_.node_deadline, [this] {
      deadline_timer_ = 0;
      End(Failed(State::FAILED,
                 MakeReason(v1::TIMED_OUT, self_.node,
                            absl::StrCat("not replaced within ", all_.request_.node_deadline.count() / 1000,
                                         " s", last_.empty() ? "" : ": ", last_),
                            "see journalctl -u k3saga-agent -u k3saga-agent-replace there")));
    });
    deadline_at_ = all_.edge_.clock.Steady() + all_.request_.node_deadline;
    Send();
  }
  ~Node() {
    loop().CancelTimer(deadline_timer_);
    loop().CancelTimer(next_timer_);
  }
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;

 private:
  Loop& loop() { return all_.edge_.loop; }
  milliseconds Left() const { return std::max(deadline_at_ - all_.edge_.clock.Steady(), milliseconds(1)); }

  void Later(milliseconds delay, void (Node::*what)()) {
    next_timer_ = loop().After(delay, [this, what] {
      next_timer_ = 0;
      (this->*what)();
    });
  }

  void Send() {
    const Package& package = *self_.package;
    const fleet::UploadFile file{.path = package.path,
                                 .sha256 = package.sha256,
                                 .bytes = package.bytes,
                                 .release_version = kUploadVersion,
                                 .file_name = package.wire_name};
    call_ = all_.edge_.fleet.Upload(
        self_.node, {}, file, Left(), nullptr,
        [this](const absl::StatusOr<v1::UploadReply>& reply) { Sent(reply.status()); });
  }

  void Sent(const absl::Status& status) {
    if (status.ok()) {
      Ask();
    } else {
      Broken(status, &Node::Send);
    }
  }

  void Ask() {
    v1::ReplaceAgentRequest request;
    request.set_attempt(all_.request_.attempt);
    request.set_sha256(self_.package->sha256);
    request.set_file_name(self_.package->wire_name);
    request.set_allow_downgrade(all_.request_.allow_downgrade);
    call_ = all_.edge_.fleet.ReplaceAgent(
        self_.node, request, std::min(Left(), kOneQuestion),
        [this](absl::StatusOr<v1::ReplaceAgentReply> reply) { Answered(std::move(reply)); });
  }

  void Answered(absl::StatusOr<v1::ReplaceAgentReply> reply) {
    if (!reply.ok()) {
      Broken(reply.status(), &Node::Ask);
    } else if (reply->state() == State::RUNNING) {
      last_ = "it has begun and not ended";
      Later(kBetweenQuestions, &Node::Ask);
    } else if (reply->state() == State::REFUSED && reply->reason().code() == v1::BUSY) {
      last_ = Describe(reply->reason());
      Later(kOperationsSettle, &Node::Ask);
    } else {
      End(*std::move(reply));
    }
  }

  // An agent that is being replaced does not answer for a while; one that cannot be asked never will.
  void Broken(const absl::Status& status, void (Node::*again)()) {
    if (absl::IsUnimplemented(status) || absl::IsInvalidArgument(status) ||
        ReasonOf(status).code() ==
            v1::STALE_EPOCH) {  // before it could, it asked whoever uploads for a claim
      End(Failed(State::REFUSED, MakeReason(v1::AGENT_VERSION_UNSUPPORTED, self_.node,
                                            absl::StrCat("its agent cannot replace itself yet: ",
                                                         std::string(status.message())),
                                            "install the package there by hand, this once")));
      return;
    }
    if (absl::IsNotFound(status) || absl::IsPermissionDenied(status)) {
      End(Failed(State::REFUSED, ReasonOf(status, self_.node)));
      return;
    }
    last_ = std::string(status.message());
    Later(kAfterBreak, again);
  }

  void End(v1::ReplaceAgentReply reply) {
    loop().CancelTimer(std::exchange(deadline_timer_, 0));
    loop().CancelTimer(std::exchange(next_timer_, 0));
    all_.Ended(member_, std::move(reply));
  }

  FleetUpgrade& all_;
  const size_t member_;
  const Member self_;
  milliseconds deadline_at_{0};
  Loop::TimerId deadline_timer_ = 0;
  Loop::TimerId next_timer_ = 0;
  fleet::CallHandle call_;
  std::string last_;
};

FleetUpgrade::FleetUpgrade(Edge edge, Request request, Hear hear)
    : edge_(edge), request_(std::move(request)), hear_(std::move(hear)) {
  for (const Member& member : request_.members) results_.push_back({member.node, {}});
  begin_timer_ = edge_.loop.After(milliseconds(0), [this] {
    begin_timer_ = 0;
    BeginSome();
  });
}

FleetUpgrade::~FleetUpgrade() { edge_.loop.CancelTimer(begin_timer_); }

void FleetUpgrade::BeginSome() {
  gone_.clear();
  const size_t at_once = proven_ ? kAtOnce : 1;
  while (!failed_ && active_.size() < at_once && next_ < request_.members.size()) {
    const size_t member = next_++;
    hear_.began(request_.members[member].node);
    active_[member] = std::make_unique<Node>(*this, member);
  }
  if (active_.empty()) hear_.done(results_);
}

void FleetUpgrade::Ended(size_t member, v1::ReplaceAgentReply reply) {
  NodeResult& result = results_[member];
  result.reply = std::move(reply);
  proven_ = proven_ || result.reply.state() == State::REPLACED;
  failed_ = failed_ || !result.good();
  hear_.ended(result);
  gone_.push_back(std::move(active_[member]));
  active_.erase(member);
  if (begin_timer_ == 0) {
    begin_timer_ = edge_.loop.After(milliseconds(0), [this] {
      begin_timer_ = 0;
      BeginSome();
    });
  }
}

}  // namespace k3saga::agents
