#pragma once

#include <string>

#include "agent/node/set_aside.h"
#include "agent/operations/effects.h"
#include "agent/operations/journal.h"
#include "agent/service/k3s_process.h"
#include "agent/service/node_parts.h"

namespace k3saga::service {

// The phases of stop, restore_datastore, rejoin and restart on a real node. As with an install, each reads
// the node anew and makes true what its phase stands for.
class RestoreEffects {
 public:
  RestoreEffects(NodeParts* parts, operations::Journal* journal)
      : parts_(*parts), journal_(*journal), process_(parts) {}

  static bool Knows(operations::Verb verb);

  operations::EffectResult Perform(operations::Phase phase, const operations::Record& record,
                                   operations::EffectContext& context);

 private:
  using Result = operations::EffectResult;

  Result Check(const operations::Record& record);
  Result CheckBackup(const v1::RestoreDatastoreSpec& spec, const node::Installation& installation);
  Result CheckRejoin(const v1::RejoinSpec& spec, const node::Installation& installation);
  Result Halt(operations::EffectContext& context);
  Result SetAside(const operations::Record& record);
  Result Reset(const operations::Record& record, operations::EffectContext& context);
  Result Start();
  Result Restart(const operations::Record& record, operations::EffectContext& context);
  Result Verify(operations::EffectContext& context);
  Result Join(const operations::Record& record, operations::EffectContext& context);
  Result SetCredentialsAside(const operations::Record& record, operations::EffectContext& context);

  // OK once k3s is healthy and its etcd member votes. FailedPrecondition: it says that its credentials are
  // newer than the datastore.
  absl::Status AwaitMember(std::string_view said_before, operations::EffectContext& context);
  absl::Status OwnMemberVotes();
  // A member that lists nobody else did not join: it would serve an empty cluster to whoever asks.
  absl::Status JoinedOthers();
  // Whose place is taken. Not asked of the node: without its datastore it may look like another kind.
  absl::StatusOr<v1::Datastore> DatastoreOf(const operations::Record& record) const;
  node::SetAside AsideOf(const operations::Record& record, const std::string& data_dir) const;
  std::string BackupToken(const std::string& id) const;
  Result Failed(const absl::Status& status) const;
  Result Refused(const absl::Status& status) const;

  NodeParts& parts_;
  operations::Journal& journal_;
  K3sProcess process_;
};

}  // namespace k3saga::service
