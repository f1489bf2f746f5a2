#pragma once

#include <absl/status/statusor.h>

#include <string>

#include "lab/k3s/etcd_client.h"
#include "lab/k3s/instance.h"
#include "lab/k3s/server_files.h"

namespace k3saga::lab {

// This server's etcd member: a real etcd as a child process that dies with k3s.
bool HasMemberData(const Instance& instance);

// Starts etcd: with the data that is there; else as the first member of a new cluster; else as a member added
// through the server at `join_address`. Call from the thread that lives as long as the process: etcd dies
// with that thread. Returns etcd's pid.
absl::StatusOr<int> StartMember(const Instance& instance, const ServerFiles& files,
                                const std::string& join_address);

// Gives a learner its vote, through the server at `join_address`. It fails while the learner is behind.
absl::Status BecomeVoter(const ServerFiles& files, const std::string& join_address, uint64_t member);

// The member's name: NODE-<8 hex digits>, kept in DATA/server/db/etcd/name as k3s does.
absl::StatusOr<std::string> MemberName(const Instance& instance);

// --cluster-reset: this member alone is the cluster, from `snapshot` when one is given.
absl::Status ResetMember(const Instance& instance, const std::string& snapshot);

// k3s etcd-snapshot: into DATA/server/db/snapshots/NAME-NODE-UNIXTIME; returns the file.
absl::StatusOr<std::string> SaveSnapshot(const Instance& instance, const std::string& name);

}  // namespace k3saga::lab
