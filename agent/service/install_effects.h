#pragma once

#include <absl/status/status.h>

#include <future>
#include <string>

#include "agent/operations/effects.h"
#include "agent/operations/journal.h"
#include "agent/service/k3s_process.h"
#include "agent/service/node_parts.h"

namespace k3saga::service {

// The phases of install and put back on a real node. Each reads the node anew: whatever a crash or a reboot
// left behind, the phase makes true what it stands for.
class InstallEffects {
 public:
  InstallEffects(NodeParts* parts, operations::Journal* journal)
      : parts_(*parts), journal_(*journal), process_(parts) {}

  operations::EffectResult Perform(operations::Phase phase, const operations::Record& record,
                                   operations::EffectContext& context);

 private:
  using Result = operations::EffectResult;

  Result CheckInstall(const operations::Record& record);
  Result CheckPutBack(const operations::Record& record);
  Result Keep(const operations::Record& record);
  Result Place(const operations::Record& record);
  Result RunInstaller(const operations::Record& record, operations::EffectContext& context);
  Result Compare(const operations::Record& record);
  Result LastCheck(const operations::Record& record, operations::EffectContext& context);
  Result Restart(const operations::Record& record, operations::EffectContext& context);
  Result Verify(const operations::Record& record, operations::EffectContext& context);
  Result Undo(const operations::Record& record);
  Result RestoreFiles(const operations::Record& record);
  Result Halt(const operations::Record& record, operations::EffectContext& context);
  Result RestoreOnly(const operations::Record& record);
  Result RestartOld(const operations::Record& record, operations::EffectContext& context);
  Result VerifyOld(const operations::Record& record, operations::EffectContext& context);

  // The new binary unpacks itself while files are kept and the installer runs; the last check waits for it.
  void BeginUnpacking(const operations::Record& record);
  absl::Status AwaitUnpacked();

  Result RebootIfRequired(const operations::Record& record, operations::EffectContext& context, bool* needed);
  uint64_t DownMillis(const operations::Record& record) const;
  Result Failed(const absl::Status& status) const;
  Result Refused(const absl::Status& status) const;

  NodeParts& parts_;
  operations::Journal& journal_;
  K3sProcess process_;
  std::future<absl::Status> unpacked_;  // bounded; not there after a crash, and then k3s does it as it starts
};

}  // namespace k3saga::service
