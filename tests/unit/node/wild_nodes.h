#pragma once

#include <map>
#include <ostream>
#include <string>
#include <vector>

#include "k3saga/v1/facts.pb.h"

namespace k3saga::node {

// A node as found in the wild: its files, what has to be read from them, and what an installer run has to
// leave behind.
struct WildNode {
  struct File {
    std::string path;  // below the root
    std::string text;  // @ROOT@ is replaced
  };

  std::string name;
  std::vector<File> files;
  std::string binary = "usr/local/bin/k3s";  // where one stands, below the root
  std::string version = "v1.31.4+k3s1";      // that it is
  bool enabled = true;
  bool with_links = true;  // kubectl, crictl and ctr stand beside the binary

  // What must be read.
  std::string unit = "k3s.service";
  v1::Role role = v1::ROLE_SERVER;
  std::vector<std::string> arguments;
  std::map<std::string, std::string> environment = {};
  v1::Datastore datastore = v1::DATASTORE_SQLITE;
  std::string data_dir = "@ROOT@/var/lib/rancher/k3s";
  std::string node_name = {};                     // "": not looked at
  std::map<std::string, std::string> facts = {};  // of settings, as ToFacts shows them: key -> value
  std::vector<std::string> not_read = {};         // files that say nothing about this node
  std::vector<std::string> later = {};            // files that only a later release reads
  bool runs_etcd = false;
  bool runs_apiserver = true;
  bool runs_kubelet = true;

  // What the installer must be given.
  std::string exec = {};                          // INSTALL_K3S_EXEC; "": not looked at
  std::map<std::string, std::string> given = {};  // other variables that it must get
  std::vector<std::string> not_given = {};        // variables that it must not get
  std::string refused = {};                       // a piece of why no installer can do this node; "": one can
  std::vector<std::string> differences = {};      // pieces of what would change; empty: nothing does
};

// For test output.
inline void PrintTo(const WildNode& node, std::ostream* out) { *out << node.name; }

// At least forty.
const std::vector<WildNode>& WildNodes();

}  // namespace k3saga::node
