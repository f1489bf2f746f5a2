#include "tests/unit/node/wild_nodes.h"

#include "tests/unit/node/wild_node_parts.h"

namespace k3saga::node {

const std::vector<WildNode>& WildNodes() {
  static const auto* nodes = [] {
    auto* all = new std::vector<WildNode>;
    wild::AddUsual(all);
    wild::AddDatastoresAndRoles(all);
    wild::AddNamesAndAges(all);
    wild::AddDifficultWords(all);
    wild::AddSplitConfigurations(all);
    wild::AddEnvironmentFiles(all);
    wild::AddHandMade(all);
    return all;
  }();
  return *nodes;
}

}  // namespace k3saga::node
