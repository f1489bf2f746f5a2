#include "agent/etcd/etcd.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>

#include <algorithm>
#include <map>
#include <utility>

#include "agent/etcd/channels.h"
#include "agent/etcd/judge.h"
#include "agent/etcd/round.h"
#include "common/reason.h"
#include "common/status_macros.h"
#include "etcd/rpc.grpc.pb.h"

namespace k3saga::etcd {
namespace {

namespace api = etcdserverpb;
using std::chrono::milliseconds;

constexpr milliseconds kBetweenLooks{200};
constexpr milliseconds kOneView{5000};
// etcd answers a move at its next tick only, which k3s sets to half a second; the move itself takes a tenth.
// So the first time nobody waits for the answer.
constexpr milliseconds kFirstMove{150};

// Reading any key through consensus proves the quorum; etcd's own tools read one that need not exist, too.
constexpr char kQuorumKey[] = "k3saga/quorum-read";

std::string Said(const grpc::Status& status) {
  switch (status.error_code()) {
    case grpc::StatusCode::DEADLINE_EXCEEDED:
      return "no answer in time";
    case grpc::StatusCode::UNAVAILABLE:
      return absl::StrCat("not to be reached: ", status.error_message());
    default:
      return status.error_message();
  }
}

v1::EtcdMember FromApi(const api::Member& from) {
  v1::EtcdMember member;
  member.set_id(from.id());
  member.set_name(from.name());
  *member.mutable_peer_urls() = from.peerurls();
  *member.mutable_client_urls() = from.clienturls();
  member.set_learner(from.islearner());
  return member;
}

void TakeStatus(const grpc::Status& status, const api::StatusResponse& reply, MemberView& member) {
  if (!status.ok()) {
    member.error = Said(status);
    return;
  }
  member.answered = true;
  member.version = reply.version();
  member.leader = reply.leader();
  member.learner = reply.islearner();
  member.raft_index = reply.raftindex();
  member.applied_index = reply.raftappliedindex();
  member.database_bytes = static_cast<uint64_t>(reply.dbsize());
  member.errors.assign(reply.errors().begin(), reply.errors().end());
}

void TakeRead(const grpc::Status& status, MemberView& member) {
  member.quorum_read = status.ok();
  if (!status.ok() && member.error.empty()) {
    member.error = absl::StrCat("quorum read failed: ", Said(status));
  }
}

void TakeAlarms(const api::AlarmResponse& reply, ClusterView& view) {
  for (const api::AlarmMember& alarm : reply.alarms()) {
    for (MemberView& member : view.members) {
      if (member.member.id() == alarm.memberid()) {
        member.alarms.push_back(api::AlarmType_Name(alarm.alarm()));
      }
    }
  }
}

absl::Status MoveFailed(std::string_view detail) {
  return ReasonError(MakeReason(v1::LEADER_MOVE_FAILED, "etcd", detail));
}

class GrpcEtcd final : public Etcd {
 public:
  GrpcEtcd(std::function<Access()> access, const Clock& clock, Pauser& pauser)
      : access_(std::move(access)), clock_(clock), pauser_(pauser) {}

  ClusterView View(milliseconds timeout) override {
    const milliseconds end = clock_.Steady() + timeout;
    ClusterView view;
    const Access access = access_();
    const absl::Status ready = channels_.Refresh(access);
    const auto own = TargetOf(access.address);
    if (!ready.ok() || !own.ok()) {
      view.own_error = std::string((ready.ok() ? own.status() : ready).message());
    } else {
      ListMembers(*own, timeout / 2, view);
    }
    if (view.own != ClusterView::Own::kServing) {
      if (ConnectionRefused(access.address)) {
        view.own = ClusterView::Own::kNotListening;
        view.own_error = absl::StrCat("nothing listens at ", access.address);
      }
      return view;
    }
    AskEveryMember(*own, std::max(end - clock_.Steady(), timeout / 4), view);
    return view;
  }

  absl::Status MoveLeader(const std::vector<uint64_t>& preferred, const Patience& patience) override {
    const milliseconds end = clock_.Steady() + patience.timeout;
    std::string last_problem = "etcd has no leader";
    milliseconds answer = kFirstMove;
    do {
      const milliseconds left = std::max(end - clock_.Steady(), milliseconds(1));
      const ClusterView view = View(std::min(left, kOneView));
      const MemberView* me = view.Me();
      if (view.own == ClusterView::Own::kNotListening) {
        return absl::OkStatus();  // a member that does not run leads nobody
      }
      if (me == nullptr || !me->answered) {
        last_problem = absl::StrCat("own member: ", me == nullptr ? view.own_error : me->error);
      } else if (me->leader != 0 && me->leader != view.own_id) {
        return absl::OkStatus();
      } else if (me->leader == view.own_id) {
        const uint64_t target = ChooseLeader(preferred, view);
        last_problem = target == 0 ? "no other member can lead: none is a healthy, caught-up voter"
                                   : AskToMove(target, std::min(left, answer));
        if (std::exchange(answer, kOneView) == kFirstMove || last_problem.empty()) {
          continue;  // look again at once: the move is believed when it is seen
        }
      }
      if (!pauser_.Pause(kBetweenLooks, patience.stop)) {
        return absl::CancelledError("moving etcd's leadership was cancelled");
      }
    } while (clock_.Steady() < end);
    return MoveFailed(last_problem.empty() ? "the leadership did not arrive in time" : last_problem);
  }

  void Rest() override { channels_.DropAll(); }

 private:
  void ListMembers(const std::string& own, milliseconds timeout, ClusterView& view) {
    const auto stub = api::Cluster::NewStub(channels_.To(own));
    Round round(timeout);
    round.Add<api::MemberListResponse>(
        [&](auto* context, auto* queue) { return stub->PrepareAsyncMemberList(context, {}, queue); },
        [&](const grpc::Status& status, const api::MemberListResponse& reply) {
          if (!status.ok()) {
            view.own_error = absl::StrCat("etcd at ", own, ": ", Said(status));
            DropIfSilent(status, own);
            return;
          }
          view.own = ClusterView::Own::kServing;
          view.own_id = reply.header().member_id();
          for (const api::Member& member : reply.members()) {
            view.members.emplace_back().member = FromApi(member);
          }
        });
    round.Finish();
  }

  // Status and a quorum read of each member at once, and the alarms as the own member knows them.
  void AskEveryMember(const std::string& own, milliseconds timeout, ClusterView& view) {
    std::vector<std::unique_ptr<api::Maintenance::Stub>> maintenance;
    std::vector<std::unique_ptr<api::KV::Stub>> kv;
    Round round(timeout);
    api::RangeRequest read;
    read.set_key(kQuorumKey);
    read.set_count_only(true);
    for (MemberView& member : view.members) {
      if (!member.started()) {
        member.error = "listed but never started";
        continue;
      }
      const auto target = member.member.id() == view.own_id ? absl::StatusOr<std::string>(own)
                                                            : TargetOf(member.member.client_urls(0));
      if (!target.ok()) {
        member.error = std::string(target.status().message());
        continue;
      }
      const auto channel = channels_.To(*target);
      maintenance.push_back(api::Maintenance::NewStub(channel));
      round.Add<api::StatusResponse>(
          [&](auto* context, auto* queue) {
            return maintenance.back()->PrepareAsyncStatus(context, {}, queue);
          },
          [this, &member, target = *target](const grpc::Status& status, const api::StatusResponse& reply) {
            TakeStatus(status, reply, member);
            DropIfSilent(status, target);
          });
      if (member.member.learner()) {
        continue;  // etcd refuses reads from learners
      }
      kv.push_back(api::KV::NewStub(channel));
      round.Add<api::RangeResponse>(
          [&](auto* context, auto* queue) { return kv.back()->PrepareAsyncRange(context, read, queue); },
          [&member](const grpc::Status& status, const api::RangeResponse&) { TakeRead(status, member); });
    }
    const auto own_maintenance = api::Maintenance::NewStub(channels_.To(own));
    api::AlarmResponse alarms;
    round.Add<api::AlarmResponse>(
        [&](auto* context, auto* queue) { return own_maintenance->PrepareAsyncAlarm(context, {}, queue); },
        [&](const grpc::Status&, const api::AlarmResponse& reply) { alarms = reply; });
    round.Finish();
    TakeAlarms(alarms, view);
  }

  // "" or what went wrong.
  std::string AskToMove(uint64_t target, milliseconds timeout) {
    const auto own = TargetOf(access_().address);
    if (!own.ok()) {
      return std::string(own.status().message());
    }
    const auto stub = api::Maintenance::NewStub(channels_.To(*own));
    api::MoveLeaderRequest request;
    request.set_targetid(target);
    std::string problem;
    Round round(timeout);
    round.Add<api::MoveLeaderResponse>(
        [&](auto* context, auto* queue) { return stub->PrepareAsyncMoveLeader(context, request, queue); },
        [&](const grpc::Status& status, const api::MoveLeaderResponse&) {
          if (!status.ok()) {
            problem = absl::StrFormat("moving it to member %x: %s", target, Said(status));
          }
        });
    round.Finish();
    return problem;
  }

  // A connection to a machine that vanished would swallow every later call, too.
  void DropIfSilent(const grpc::Status& status, const std::string& target) {
    if (status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED) {
      channels_.Drop(target);
    }
  }

  const std::function<Access()> access_;
  Channels channels_;
  const Clock& clock_;
  Pauser& pauser_;
};

}  // namespace

Access K3sAccess(std::string_view data_dir, std::string_view address) {
  const std::string folder = absl::StrCat(std::string(data_dir), "/server/tls/etcd/");
  return {.address = std::string(address),
          .ca_file = folder + "server-ca.crt",
          .certificate_file = folder + "client.crt",
          .key_file = folder + "client.key"};
}

absl::Status CheckBeforeStop(Etcd& etcd, const v1::LastCheck& check, std::string_view node,
                             milliseconds timeout) {
  const auto refusal = JudgeBeforeStop(check, etcd.View(timeout), node);
  return refusal ? ReasonError(*refusal) : absl::OkStatus();
}

std::unique_ptr<Etcd> MakeEtcd(std::function<Access()> access, const Clock& clock, Pauser& pauser) {
  return std::make_unique<GrpcEtcd>(std::move(access), clock, pauser);
}

}  // namespace k3saga::etcd
