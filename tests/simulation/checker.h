#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "agent/operations/machine.h"
#include "coordinator/core/state.h"
#include "k3saga/v1/event.pb.h"

namespace k3saga::simulation {

class World;
class Coordinator;
struct RunMessage;

// The invariants. Knows the truth of the virtual machines, keeps its own small book of what was committed,
// and shares no line with the rules it watches.
class Checker {
 public:
  explicit Checker(World& world);

  // What happens, told by whoever does it, right before it takes effect.
  void OnCommitted(const Coordinator& by, const std::vector<v1::Event>& log);
  void OnAccepted(int node, const RunMessage& message, bool still_running);  // a new operation at an agent
  void OnBegin(int node, const operations::Record& record);                  // our cordon is put on it
  void OnStop(int node, const operations::Record& record);  // its k3s is stopped by an operation
  void OnBackup() { backed_up_ = true; }
  // The datastore's way back.
  void OnReset(int node);
  void OnJoin(int node);
  void OnServerStart(int node);
  void OnJournalLost(int node);
  void OnTakeover() { taken_over_ = true; }
  void OnFencing(uint64_t sequence) { fencing_.insert(sequence); }  // claims before there is a journal

  void Violate(std::string what);
  bool violated() const { return !violation_.empty(); }
  const std::string& violation() const { return violation_; }

 private:
  struct Book {
    bool begun = false;
    bool finished = false;
    v1::NodeFinished::Result result = v1::NodeFinished::RESULT_UNSPECIFIED;
  };

  void Note(const Coordinator& by, const v1::Event& event);
  void NoteAdopted(const v1::RolloutAdopted& adopted);
  void JudgeShown(const Coordinator& by, const std::vector<v1::Event>& log);
  void NoteIssued(const Coordinator& by, const v1::OperationIssued& issued);
  void JudgeRejoin(int node);
  void JudgeTaken(int node);
  void JudgeTouch(int node, bool forward);
  void JudgeOthers(int node, int other);
  void JudgeLimit(int node);
  void JudgeEnd(const Coordinator& by, const v1::RolloutEnded& ended);
  void JudgeRemedies(const Coordinator& by);
  void JudgeCordons(const Coordinator& by);
  void JudgeReplay(const Coordinator& by);
  bool ServersMayCrash() const;
  bool QuorumIsOurs(int node) const;
  int IndexOf(const std::string& name) const;

  World& world_;
  std::string violation_;

  bool backed_up_ = false;
  bool taken_over_ = false;
  bool lost_journals_ = false;
  bool others_cordoned_ = false;                       // by a coordinator that was taken over
  std::map<uint64_t, std::pair<int, int>> committed_;  // sequence: verb, node asked
  std::set<uint64_t> fencing_;                         // names of claims that no journal has
  std::set<std::pair<int, uint64_t>> accepted_;        // node, name
  std::set<std::pair<int, uint64_t>> took_effect_;     // node, name: stopped k3s for a new release

  // Sampled, as it costs as much as the fold itself: what somebody else reads from the journal.
  const Coordinator* shown_of_ = nullptr;
  core::State shown_;

  // What the journal says, by the checker's own reading.
  std::vector<Book> book_;
  bool paused_ = false;
  bool aborting_ = false;
  bool stopping_ = false;  // a server was told to stop for its datastore's way back
  uint32_t upgraded_ = 0;
  uint32_t failed_ = 0;
  uint32_t in_flight_ = 0;
};

}  // namespace k3saga::simulation
