#pragma once

#include "agent/health/monitor.h"
#include "agent/operations/journal.h"
#include "agent/service/node_parts.h"
#include "agent/service/ports.h"

namespace k3saga::service {

// Facts and proofs of this node, as its k3s shows them. Thread-safe.
class NodeReader final : public Reader {
 public:
  // All must outlive it.
  NodeReader(NodeParts* parts, health::ReadinessMonitor* monitor, operations::Journal* journal)
      : parts_(*parts), monitor_(*monitor), journal_(*journal) {}

  v1::NodeFacts Facts(const v1::GetFactsRequest& request) override;
  v1::ServerProof Prove(const v1::ProbeRequest& request) override;

 private:
  void ReadK3s(const node::Installation& installation, v1::NodeFacts* facts);
  void ReadCluster(const node::Installation& installation, const v1::GetFactsRequest& request,
                   v1::NodeFacts* facts);
  void ReadHazards(v1::NodeFacts* facts);
  void ReadJournal(bool for_adoption, v1::NodeFacts* facts);

  NodeParts& parts_;
  health::ReadinessMonitor& monitor_;
  operations::Journal& journal_;
};

}  // namespace k3saga::service
