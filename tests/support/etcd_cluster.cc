#include "tests/support/etcd_cluster.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <iostream>

#include "common/host/files.h"
#include "etcd/rpc.grpc.pb.h"
#include "tests/support/eventually.h"
#include "tests/support/loopback.h"

namespace k3saga::testing {
namespace {

namespace api = etcdserverpb;
constexpr char kEtcd[] = "/usr/bin/etcd";

void SetDeadline(grpc::ClientContext& context) {
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(2));
}

[[noreturn]] void GiveUp(const std::string& what) {
  std::cerr << "EtcdCluster: " << what << std::endl;
  std::abort();
}

}  // namespace

bool EtcdCluster::Available() { return access(kEtcd, X_OK) == 0; }

EtcdCluster::EtcdCluster(size_t members) {
  // One more for a learner.
  addresses_ = OwnLoopbackAddresses(members + 1, {2379, 2380});
  for (size_t i = 0; i < members; ++i) {
    Prepare(addresses_[i]);
  }
  for (Member& member : members_) {
    Start(member, "new");
  }
  for (size_t i = 0; i < members; ++i) {
    const auto stub = api::Maintenance::NewStub(Channel(i));
    const bool follows = Eventually([&] {
      grpc::ClientContext context;
      SetDeadline(context);
      context.set_wait_for_ready(true);
      api::StatusResponse reply;
      if (!stub->Status(&context, {}, &reply).ok() || reply.leader() == 0) {
        return false;
      }
      ids_.resize(std::max(ids_.size(), i + 1));
      ids_[i] = reply.header().member_id();
      return true;
    });
    if (!follows) {
      GiveUp(absl::StrCat("member ", i,
                          " found no leader: ", ReadFile(dir_ / (members_[i].name + ".log")).value_or("")));
    }
  }
}

EtcdCluster::Member& EtcdCluster::Prepare(const std::string& address) {
  Member& member = members_.emplace_back();
  member.name = absl::StrCat("s", members_.size());
  member.address = address;
  member.data_dir = dir_ / member.name;
  const std::string tls = member.name + "/server/tls/etcd/";
  // A peer's certificate must name the address it calls from, and on loopback that is 127.0.0.1.
  const TestCertificate server = authority_.Issue({"etcd-server"}, {address, "127.0.0.1"});
  const TestCertificate client = authority_.Issue({"etcd-client"});
  dir_.Write(tls + "server-ca.crt", authority_.certificate_pem());
  dir_.Write(tls + "server.crt", server.certificate_pem);
  dir_.Write(tls + "server.key", server.key_pem, 0600);
  dir_.Write(tls + "client.crt", client.certificate_pem);
  dir_.Write(tls + "client.key", client.key_pem, 0600);
  return member;
}

std::string EtcdCluster::InitialCluster() const {
  return absl::StrJoin(members_, ",", [](std::string* out, const Member& member) {
    absl::StrAppend(out, member.name, "=https://", member.address, ":2380");
  });
}

void EtcdCluster::Start(Member& member, const std::string& state) {
  const std::string tls = member.data_dir + "/server/tls/etcd/";
  const std::string peer = absl::StrCat("https://", member.address, ":2380");
  const std::string client = absl::StrCat("https://", member.address, ":2379");
  member.process = ChildProcess({kEtcd,
                                 "--name=" + member.name,
                                 "--data-dir=" + member.data_dir + "/server/db/etcd",
                                 "--logger=zap",
                                 "--listen-client-urls=" + client,
                                 "--advertise-client-urls=" + client,
                                 "--listen-peer-urls=" + peer,
                                 "--initial-advertise-peer-urls=" + peer,
                                 "--initial-cluster=" + InitialCluster(),
                                 "--initial-cluster-state=" + state,
                                 "--heartbeat-interval=100",
                                 "--election-timeout=1000",
                                 "--client-cert-auth",
                                 "--cert-file=" + tls + "server.crt",
                                 "--key-file=" + tls + "server.key",
                                 "--trusted-ca-file=" + tls + "server-ca.crt",
                                 "--peer-client-cert-auth",
                                 "--peer-cert-file=" + tls + "server.crt",
                                 "--peer-key-file=" + tls + "server.key",
                                 "--peer-trusted-ca-file=" + tls + "server-ca.crt"},
                                dir_ / (member.name + ".log"));
}

void EtcdCluster::StartAgain(size_t index) { Start(members_.at(index), "existing"); }

etcd::Access EtcdCluster::AccessOf(size_t index) const {
  const Member& member = members_.at(index);
  return etcd::K3sAccess(member.data_dir, member.address + ":2379");
}

std::shared_ptr<grpc::Channel> EtcdCluster::Channel(size_t index) const {
  const etcd::Access access = AccessOf(index);
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 200);
  return grpc::CreateCustomChannel(
      "ipv4:" + access.address,
      grpc::SslCredentials({.pem_root_certs = *ReadFile(access.ca_file),
                            .pem_private_key = *ReadFile(access.key_file),
                            .pem_cert_chain = *ReadFile(access.certificate_file)}),
      arguments);
}

size_t EtcdCluster::Leader() {
  size_t leader = 0;
  const bool found = Eventually([&] {
    for (size_t i = 0; i < members_.size(); ++i) {
      if (!members_[i].process.started()) {
        continue;
      }
      grpc::ClientContext context;
      SetDeadline(context);
      api::StatusResponse reply;
      if (!api::Maintenance::NewStub(Channel(i))->Status(&context, {}, &reply).ok()) {
        continue;
      }
      const auto id = std::find(ids_.begin(), ids_.end(), reply.leader());
      if (id != ids_.end() && members_[static_cast<size_t>(id - ids_.begin())].process.started()) {
        leader = static_cast<size_t>(id - ids_.begin());
        return true;
      }
    }
    return false;
  });
  if (!found) {
    GiveUp("no leader");
  }
  return leader;
}

uint64_t EtcdCluster::AddLearner(bool start) {
  const auto stub = api::Cluster::NewStub(Channel(0));
  Member& member = Prepare(addresses_.at(members_.size()));
  api::MemberAddRequest request;
  request.add_peerurls(absl::StrCat("https://", member.address, ":2380"));
  request.set_islearner(true);
  api::MemberAddResponse reply;
  // etcd refuses while its members have not been connected for some seconds.
  const bool added = Eventually([&] {
    grpc::ClientContext context;
    SetDeadline(context);
    return stub->MemberAdd(&context, request, &reply).ok();
  });
  if (!added) {
    GiveUp("the learner was not accepted");
  }
  ids_.push_back(reply.member().id());
  if (start) {
    Start(member, "existing");
    const auto learner = api::Maintenance::NewStub(Channel(members_.size() - 1));
    Eventually([&] {
      grpc::ClientContext context;
      SetDeadline(context);
      context.set_wait_for_ready(true);
      api::StatusResponse status;
      return learner->Status(&context, {}, &status).ok() && status.leader() != 0;
    });
  }
  return reply.member().id();
}

void EtcdCluster::RaiseNoSpaceAlarm(size_t index) {
  grpc::ClientContext context;
  SetDeadline(context);
  api::AlarmRequest request;
  request.set_action(api::AlarmRequest::ACTIVATE);
  request.set_memberid(Id(index));
  request.set_alarm(api::NOSPACE);
  api::AlarmResponse reply;
  if (!api::Maintenance::NewStub(Channel(index))->Alarm(&context, request, &reply).ok()) {
    GiveUp("the alarm was not accepted");
  }
}

}  // namespace k3saga::testing
