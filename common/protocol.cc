#include "common/protocol.h"

namespace k3saga {

const std::vector<VerbSince>& VerbsByProtocol() {
  using Spec = v1::OperationSpec;
  static const auto& verbs = *new std::vector<VerbSince>{
      {Spec::kClaim, 1},        {Spec::kReleaseClaim, 1},     {Spec::kStage, 1},
      {Spec::kDropStaged, 1},   {Spec::kBackup, 1},           {Spec::kCordon, 1},
      {Spec::kDrain, 1},        {Spec::kUncordon, 1},         {Spec::kMoveLeader, 1},
      {Spec::kInstall, 1},      {Spec::kPutBack, 1},          {Spec::kAwaitNode, 1},
      {Spec::kStop, 1},         {Spec::kRestoreDatastore, 1}, {Spec::kRejoin, 1},
      {Spec::kRestart, 1},      {Spec::kApplyManifests, 1},   {Spec::kRemoveManifests, 1},
      {Spec::kVeleroBackup, 1}, {Spec::kVeleroRestore, 1},
  };
  return verbs;
}

}  // namespace k3saga
