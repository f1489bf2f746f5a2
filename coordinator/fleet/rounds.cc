#include "coordinator/fleet/rounds.h"

#include <algorithm>
#include <utility>

namespace k3saga::fleet {
namespace {

class FactsGathering final : public Call {
 public:
  FactsGathering(Fleet& fleet, FactsRound round, std::function<void(std::vector<FactsAnswer>)> done)
      : fleet_(fleet), round_(std::move(round)), done_(std::move(done)), calls_(round_.nodes.size()) {
    answers_.reserve(round_.nodes.size());
    for (const std::string& node : round_.nodes) {
      answers_.push_back({node, absl::UnknownError("was not asked")});
    }
    const size_t first = std::min(std::max<size_t>(round_.at_a_time, 1), round_.nodes.size());
    while (next_ < first) AskNext();
  }

 private:
  void AskNext() {
    const size_t i = next_++;
    calls_[i] =
        fleet_.GetFacts(round_.nodes[i], round_.request, round_.timeout,
                        [this, i](absl::StatusOr<v1::NodeFacts> facts) { Answered(i, std::move(facts)); });
  }

  void Answered(size_t i, absl::StatusOr<v1::NodeFacts> facts) {
    answers_[i].facts = std::move(facts);
    if (next_ < calls_.size()) AskNext();
    if (++answered_ < calls_.size()) return;
    // `done` may destroy this.
    auto done = std::move(done_);
    done(std::move(answers_));
  }

  Fleet& fleet_;
  const FactsRound round_;
  std::function<void(std::vector<FactsAnswer>)> done_;
  std::vector<CallHandle> calls_;
  std::vector<FactsAnswer> answers_;
  size_t next_ = 0;
  size_t answered_ = 0;
};

class Probing final : public Call {
 public:
  Probing(Fleet& fleet, ProbeRound round, std::function<void(std::vector<v1::ServerProof>)> done)
      : fleet_(fleet),
        round_(std::move(round)),
        done_(std::move(done)),
        calls_(round_.servers.size()),
        proofs_(round_.servers.size()),
        asked_for_nodes_(round_.servers.size(), false) {
    for (size_t i = 0; i < round_.servers.size(); ++i) Ask(i, round_.with_nodes && i == 0);
  }

 private:
  void Ask(size_t i, bool with_nodes) {
    asked_for_nodes_[i] = asked_for_nodes_[i] || with_nodes;
    ++open_;
    v1::ProbeRequest request;
    *request.mutable_authority() = round_.authority;
    request.set_with_nodes(with_nodes);
    calls_[i] =
        fleet_.Probe(round_.servers[i], request, round_.timeout,
                     [this, i](absl::StatusOr<v1::ServerProof> proof) { Answered(i, std::move(proof)); });
  }

  void Answered(size_t i, absl::StatusOr<v1::ServerProof> proof) {
    v1::ServerProof& mine = proofs_[i];
    if (proof.ok()) {
      mine = *std::move(proof);
      mine.set_reachable(true);
    } else {
      mine.Clear();
      mine.set_reachable(false);
      mine.set_note(std::string(proof.status().message()));
    }
    // The name is ours: what a gate is judged by must not depend on what an agent calls itself.
    mine.set_node(round_.servers[i]);
    if (--open_ > 0) return;
    if (const size_t next = NextToAskForNodes(); next < proofs_.size()) {
      Ask(next, true);
      return;
    }
    auto done = std::move(done_);
    done(std::move(proofs_));
  }

  // The first ready server that was not asked for the Node objects while nobody has told them; else past the
  // end.
  size_t NextToAskForNodes() const {
    const auto told = [](const v1::ServerProof& proof) { return proof.nodes_size() > 0; };
    if (!round_.with_nodes || std::any_of(proofs_.begin(), proofs_.end(), told)) return proofs_.size();
    size_t i = 0;
    while (i < proofs_.size() && (asked_for_nodes_[i] || !proofs_[i].ready())) ++i;
    return i;
  }

  Fleet& fleet_;
  const ProbeRound round_;
  std::function<void(std::vector<v1::ServerProof>)> done_;
  std::vector<CallHandle> calls_;
  std::vector<v1::ServerProof> proofs_;
  std::vector<bool> asked_for_nodes_;
  size_t open_ = 0;
};

}  // namespace

CallHandle GatherFacts(Fleet& fleet, FactsRound round, std::function<void(std::vector<FactsAnswer>)> done) {
  return std::make_unique<FactsGathering>(fleet, std::move(round), std::move(done));
}

CallHandle ProbeServers(Fleet& fleet, ProbeRound round,
                        std::function<void(std::vector<v1::ServerProof>)> done) {
  return std::make_unique<Probing>(fleet, std::move(round), std::move(done));
}

}  // namespace k3saga::fleet
