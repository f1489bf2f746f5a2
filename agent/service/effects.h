#pragma once

#include "agent/operations/effects.h"
#include "agent/operations/journal.h"
#include "agent/service/install_effects.h"
#include "agent/service/node_parts.h"
#include "agent/service/restore_effects.h"

namespace k3saga::service {

// What each phase does on a real node. Thread-safe.
class NodeEffects final : public operations::Effects {
 public:
  // Both must outlive it. The journal is asked who holds the node.
  NodeEffects(NodeParts* parts, operations::Journal* journal);

  operations::EffectResult Perform(operations::Phase phase, const operations::Record& record,
                                   operations::EffectContext& context) override;

 private:
  operations::EffectResult ReleaseClaim(const operations::Record& record, operations::EffectContext& context);
  absl::Status RemoveSetAside(const operations::Record& record, operations::EffectContext& context);
  operations::EffectResult Download(const operations::Record& record, operations::EffectContext& context);
  operations::EffectResult DropStaged(const operations::Record& record);
  operations::EffectResult Snapshot(const operations::Record& record, operations::EffectContext& context);
  operations::EffectResult Cordon(const operations::Record& record, operations::EffectContext& context);
  operations::EffectResult Drain(const operations::Record& record, operations::EffectContext& context);
  operations::EffectResult Uncordon(const operations::Record& record, operations::EffectContext& context);
  operations::EffectResult MoveLeader(const operations::Record& record, operations::EffectContext& context);
  operations::EffectResult AwaitNode(const operations::Record& record, operations::EffectContext& context);
  operations::EffectResult ApplyManifests(const operations::Record& record,
                                          operations::EffectContext& context);
  operations::EffectResult RemoveManifests(const operations::Record& record,
                                           operations::EffectContext& context);
  operations::EffectResult VeleroBackup(const operations::Record& record, operations::EffectContext& context);
  operations::EffectResult VeleroRestore(const operations::Record& record,
                                         operations::EffectContext& context);

  NodeParts& parts_;
  InstallEffects install_;
  RestoreEffects restore_;
};

}  // namespace k3saga::service
