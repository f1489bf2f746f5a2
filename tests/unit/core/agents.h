#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "coordinator/core/adopt.h"
#include "tests/unit/core/plans.h"
#include "tests/unit/core/stage.h"

// A rollout whose coordinator and journal are gone, as its agents know it.
namespace k3saga::core {

inline constexpr char kHolder[] = "bob@ci:7";

// 3+2 nodes as they were before the rollout, each agent with its journal and the rollout's claim.
class Agents {
 public:
  Agents() : created_(MakeRollout(3, 2)) {
    for (const v1::PlannedNode& node : created_.plan().nodes()) {
      AgentReport report;
      report.facts.set_name(node.name());
      report.facts.set_journal_id("journal-" + node.name());
      report.facts.mutable_k3s()->set_running_version(kFrom);
      v1::Claim& claim = *report.facts.mutable_claim();
      claim.set_rollout(created_.rollout());
      claim.set_epoch(4);
      claim.set_holder("ada@desk:42");
      claim.set_active(true);
      if (node.role() == v1::ROLE_SERVER) report.facts.set_adoption(created_.SerializeAsString());
      reports_.push_back(std::move(report));
    }
    for (const v1::PlannedNode& node : created_.plan().nodes())
      reports_[0].facts.add_nodes()->set_name(node.name());
  }

  AgentReport& operator[](const std::string& name) {
    return *std::find_if(reports_.begin(), reports_.end(),
                         [&](const AgentReport& each) { return each.facts.name() == name; });
  }
  void Runs(const std::string& node, const std::string& version) {
    (*this)[node].facts.mutable_k3s()->set_running_version(version);
  }
  void CordonedByUs(int number) {
    reports_[0].facts.mutable_nodes(number)->set_cordoned_by(created_.rollout());
  }
  // In the order in which they were asked for; without an outcome it still runs.
  void Did(const std::string& node, v1::OperationSpec spec, const v1::Outcome& outcome = {}) {
    KeptOperation record;
    record.id.set_rollout(created_.rollout());
    record.id.set_sequence(++sequence_);
    record.spec = std::move(spec);
    record.outcome = outcome;
    (*this)[node].operations.insert((*this)[node].operations.begin(), record);
  }
  void Installed(const std::string& node) {
    v1::Outcome done;
    done.set_code(v1::Outcome::SUCCEEDED);
    done.set_node_state(v1::Outcome::CHANGED);
    Did(node, Install(), done);
    Runs(node, kTo);
  }
  static v1::OperationSpec Install() {
    v1::OperationSpec spec;
    spec.mutable_install()->set_version(kTo);
    return spec;
  }
  static v1::OperationSpec PutBack() {
    v1::OperationSpec spec;
    spec.mutable_put_back();
    return spec;
  }
  void BackedUp() {
    v1::OperationSpec spec;
    spec.mutable_backup();
    v1::Outcome done;
    done.set_code(v1::Outcome::SUCCEEDED);
    done.mutable_backup()->set_id("b1");
    Did("s2", spec, done);
  }

  v1::RolloutCreated& created() { return created_; }
  std::vector<v1::NodeFacts> Facts() const {
    std::vector<v1::NodeFacts> facts;
    for (const AgentReport& report : reports_) facts.push_back(report.facts);
    return facts;
  }
  Adoption Adopt() const { return core::Adopt(created_, reports_, kHolder, 6); }
  // What a coordinator makes of it from there, in a world where everything works.
  Stage Continue() const {
    Stage stage(created_);
    v1::Event event;
    *event.mutable_adopted() = Adopt().adopted;
    stage.Feed(std::move(event));
    return stage;
  }

 private:
  v1::RolloutCreated created_;
  std::vector<AgentReport> reports_;
  uint64_t sequence_ = 0;
};

inline const v1::AdoptedNode& Node(const v1::RolloutAdopted& adopted, const std::string& name) {
  return *std::find_if(adopted.nodes().begin(), adopted.nodes().end(),
                       [&](const v1::AdoptedNode& node) { return node.node() == name; });
}

}  // namespace k3saga::core
