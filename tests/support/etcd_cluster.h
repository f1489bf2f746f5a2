#pragma once

#include <grpcpp/grpcpp.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "agent/etcd/etcd.h"
#include "tests/support/child_process.h"
#include "tests/support/test_authority.h"
#include "tests/unit/common/temp_dir.h"

namespace k3saga::testing {

// A real etcd cluster under TLS with k3s's file layout, on loopback addresses of its own. Members are named
// s1, s2, ... and numbered from 0. Everything ends with it.
class EtcdCluster {
 public:
  // Started, and every member follows a leader. Aborts with the members' last words otherwise.
  explicit EtcdCluster(size_t members);

  static bool Available();  // Debian's /usr/bin/etcd is there

  etcd::Access AccessOf(size_t index) const;
  uint64_t Id(size_t index) const { return ids_.at(index); }
  // The member that leads, as its living members say; waits for one.
  size_t Leader();

  void Kill(size_t index) { members_.at(index).process.Kill(); }
  void Freeze(size_t index) { members_.at(index).process.Freeze(); }
  void Thaw(size_t index) { members_.at(index).process.Thaw(); }
  void StartAgain(size_t index);

  // Adds a learner to the member list; started or only listed. Returns its id.
  uint64_t AddLearner(bool start);
  void RaiseNoSpaceAlarm(size_t index);

  // A channel to that member with the client's certificate.
  std::shared_ptr<grpc::Channel> Channel(size_t index) const;

 private:
  struct Member {
    std::string name;
    std::string address;
    std::string data_dir;  // k3s's: server/tls/etcd is below it
    ChildProcess process;
  };

  Member& Prepare(const std::string& address);
  void Start(Member& member, const std::string& state);
  std::string InitialCluster() const;

  TempDir dir_;
  TestAuthority authority_{"etcd-server-ca"};
  std::vector<std::string> addresses_;
  std::vector<Member> members_;
  std::vector<uint64_t> ids_;
};

}  // namespace k3saga::testing
