#pragma once

#include <absl/status/status.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "agent/etcd/view.h"
#include "common/host/clock.h"
#include "common/host/pause.h"
#include "k3saga/v1/facts.pb.h"
#include "k3saga/v1/operation.pb.h"

namespace k3saga::etcd {

// Where the own member listens and with what to speak to it (and to its peers).
struct Access {
  std::string address;  // "127.0.0.1:2379"
  std::string ca_file;
  std::string certificate_file;
  std::string key_file;
};

// k3s's layout: DATA_DIR/server/tls/etcd/{server-ca.crt,client.crt,client.key}.
Access K3sAccess(std::string_view data_dir, std::string_view address);

// etcd's gRPC API as k3saga uses it. Every call ends within its timeout. Thread-safe.
class Etcd {
 public:
  virtual ~Etcd() = default;

  // Members, status and a quorum read of each, alarms. Never fails: what could not be had is said in the
  // view.
  virtual ClusterView View(std::chrono::milliseconds timeout) = 0;

  // Moves the leadership away from the own member (see ChooseLeader) and sees that it arrived. Does nothing
  // when the own member does not lead. LEADER_MOVE_FAILED says why it did not work; TIMED_OUT, CANCELLED.
  virtual absl::Status MoveLeader(const std::vector<uint64_t>& preferred, const Patience& patience) = 0;

  // Closes idle connections; the next call opens them again.
  virtual void Rest() = 0;
};

// View, then JudgeBeforeStop. A refusal carries its typed reason.
absl::Status CheckBeforeStop(Etcd& etcd, const v1::LastCheck& check, std::string_view node,
                             std::chrono::milliseconds timeout);

// `access` is asked before each call, so that a node installed later is found; the certificates are read
// again whenever their files changed (k3s renews them). `clock` and `pauser` must outlive it.
std::unique_ptr<Etcd> MakeEtcd(std::function<Access()> access, const Clock& clock, Pauser& pauser);

}  // namespace k3saga::etcd
