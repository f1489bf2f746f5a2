#pragma once

#include <string>

#include "agent/etcd/view.h"

namespace k3saga::etcd {

// A healthy cluster of `size` voters with the ids 1, 2, ...; 1 is the own member, `leader` leads.
inline ClusterView HealthyView(uint64_t size, uint64_t leader) {
  ClusterView view;
  view.own = ClusterView::Own::kServing;
  view.own_id = 1;
  for (uint64_t id = 1; id <= size; ++id) {
    MemberView& member = view.members.emplace_back();
    member.member.set_id(id);
    member.member.set_name("s" + std::to_string(id));
    member.member.add_client_urls("https://127.0.0." + std::to_string(id) + ":2379");
    member.answered = true;
    member.quorum_read = true;
    member.version = "3.5.16";
    member.leader = leader;
    member.raft_index = member.applied_index = 50'000;
  }
  return view;
}

}  // namespace k3saga::etcd
