#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "tests/unit/node/wild_nodes.h"

namespace k3saga::node::wild {

// What the tables of wild nodes are written with.

inline constexpr char kServer[] = "etc/systemd/system/k3s.service";
inline constexpr char kServerEnvironment[] = "etc/systemd/system/k3s.service.env";
inline constexpr char kAgent[] = "etc/systemd/system/k3s-agent.service";
inline constexpr char kAgentEnvironment[] = "etc/systemd/system/k3s-agent.service.env";
inline constexpr char kConfig[] = "etc/rancher/k3s/config.yaml";

// As install.sh of today writes it; `flags` are lines as they stand in the unit, quotes and all.
std::string TodaysUnit(const std::vector<std::string>& flags, const std::string& command = "server",
                       const std::string& unit = "k3s", const std::string& type = "notify",
                       const std::string& bin = "@ROOT@/usr/local/bin");
// As install.sh wrote it for 1.16 to 1.21: the environment file is no option, agents are Type=exec.
std::string UnitOf2020(const std::vector<std::string>& flags, const std::string& command = "server",
                       const std::string& unit = "k3s");

// A server whose unit has these flag lines and reads as these arguments.
WildNode Server(std::string name, const std::vector<std::string>& flags, std::vector<std::string> arguments);
// An agent with URL and token in its environment file.
WildNode Agent(std::string name, const std::vector<std::string>& flags, std::vector<std::string> arguments);
WildNode WithEnvironment(WildNode node, const std::string& text,
                         std::map<std::string, std::string> environment);
WildNode Etcd(WildNode node);

// One topic each.
void AddUsual(std::vector<WildNode>* nodes);
void AddDatastoresAndRoles(std::vector<WildNode>* nodes);
void AddNamesAndAges(std::vector<WildNode>* nodes);
void AddDifficultWords(std::vector<WildNode>* nodes);
void AddSplitConfigurations(std::vector<WildNode>* nodes);
void AddEnvironmentFiles(std::vector<WildNode>* nodes);
void AddHandMade(std::vector<WildNode>* nodes);

}  // namespace k3saga::node::wild
