#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "k3saga/v1/facts.pb.h"

namespace k3saga::etcd {

// One member as it shows itself through its own client URL. Values; `member` is what the member list says.
struct MemberView {
  v1::EtcdMember member;
  bool started() const { return member.client_urls_size() > 0; }
  bool answered = false;     // its status came back
  bool quorum_read = false;  // a linearizable read through it succeeded
  std::string error;         // why it did not answer, or why the read failed
  std::string version;       // "3.5.16"
  uint64_t leader = 0;       // whom it follows, 0: nobody
  bool learner = false;
  uint64_t raft_index = 0;
  uint64_t applied_index = 0;
  uint64_t database_bytes = 0;
  std::vector<std::string> alarms;  // "NOSPACE", "CORRUPT"
  std::vector<std::string> errors;  // what its status complains of
};

// The etcd cluster as seen from this node at about one moment.
struct ClusterView {
  enum class Own {
    kServing,       // the own member answered
    kNotListening,  // connection refused at its client port: there is no vote to lose
    kUnclear,       // no answer in time, TLS trouble, missing certificates: nothing may be concluded
  };
  Own own = Own::kUnclear;
  std::string own_error;  // why `own` is not kServing
  uint64_t own_id = 0;
  std::vector<MemberView> members;  // as the own member lists them; empty unless kServing

  const MemberView* Find(uint64_t id) const;
  const MemberView* Me() const { return Find(own_id); }
};

// A member's log may trail the furthest one by this many entries and still count as caught up: the members
// are asked one after the other while the cluster goes on writing.
inline constexpr uint64_t kCaughtUpEntries = 1000;

// Started, answering, voting, following `leader`, caught up, without alarm.
bool HealthyVoter(const ClusterView& view, const MemberView& member, uint64_t leader);

// How many votes make a quorum of the listed voters.
size_t Quorum(const ClusterView& view);

v1::EtcdFacts ToFacts(const ClusterView& view);

// The lowest "major.minor.0" of all listed members: what etcd's cluster version is, or becomes within
// seconds.
// "" unless every voter answered.
std::string LowestVersion(const ClusterView& view);

}  // namespace k3saga::etcd
