#pragma once

#include <absl/status/statusor.h>

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "agent/node/host_paths.h"
#include "agent/node/k3s_config.h"
#include "agent/node/process_check.h"
#include "agent/node/systemd.h"
#include "agent/node/unit_file.h"
#include "k3saga/v1/facts.pb.h"

namespace k3saga::node {

// A variable of k3s's process and the file it comes from.
struct SourcedVariable {
  std::string value;
  std::string source;
};

// An EnvironmentFile= of the unit as it runs.
struct EnvironmentFileRead {
  std::string path;
  std::string named_in;  // the unit's main file or a drop-in
  bool there = false;
};

// A distribution as it was installed on this machine: read, never guessed. Said in k3s's words; others that
// are one binary, server or agent, have the same. Holds secrets (tokens); only ToFacts masks them.
struct Installation {
  std::string distribution;  // "k3s", "rke2", "kubeadm"; "" when there is none; see distribution.h

  // The unit. `unit` is empty when none was found (see `problems`).
  std::string unit;                   // "k3s.service"
  std::string unit_file;              // its main file, an absolute path
  std::vector<std::string> drop_ins;  // in the order they apply
  Unit main_unit;                     // the main file alone: what the installer rewrites
  Unit full_unit;                     // with the drop-ins: what runs
  std::string service_type;           // Type= of the main file
  bool enabled = false;

  // The command. Raw: as in the main file, specifiers and variables unexpanded, for the installer. The others
  // are of what runs, drop-ins and all.
  v1::Role role = v1::ROLE_UNSPECIFIED;
  std::string command;                     // "server", "agent"
  std::string binary;                      // path of the executable
  std::vector<std::string> raw_arguments;  // after the command
  std::vector<std::string> arguments;
  bool plain_exec =
      false;  // the main file's ExecStart is "PATH/k3s server|agent ...": an installer can write it

  // The environment.
  std::map<std::string, SourcedVariable> environment;  // what the process gets
  std::vector<EnvironmentFileRead> environment_files;  // in the order of reading
  std::string environment_file;                        // the installer's own: <unit file>.env
  bool environment_file_read = false;                  // by the unit as it runs; a drop-in may leave it out
  std::vector<Variable> installer_variables;           // what stands in it
  std::vector<Variable> unit_variables;  // Environment= of the main file, which an installer drops

  // Configuration, and what follows from all of it.
  std::string config_file;
  ConfigFiles configuration;         // as the k3s that runs reads them or, where none runs, the binary
  ConfigFiles binary_configuration;  // as the binary would: what counts from the next start on
  std::vector<Flag> settings;        // every flag and variable that counts, in order of reading
  std::string data_dir;
  std::string
      kubeconfig;  // the one to use from here: <data-dir>/server/cred/admin.kubeconfig where it exists
  std::string token_file;  // <data-dir>/server/token or --token-file
  std::string node_name;
  std::string server_url;  // --server / K3S_URL
  int https_port = 6443;
  v1::Datastore datastore = v1::DATASTORE_UNSPECIFIED;
  bool runs_etcd = false;
  bool runs_apiserver = false;
  bool runs_kubelet = false;
  std::string cluster_id;
  int64_t certificate_expiry_unix = 0;
  bool secrets_encryption_rotating = false;
  bool rancher_managed = false;

  // What runs, and what is on disk.
  UnitStatus status;
  RunningProcess process;      // pid 0 when it does not run
  std::string binary_version;  // "" when the file is missing or says nothing
  bool binary_is_running = false;

  std::vector<v1::Reason> problems;  // what could not be read, and why; empty on a sound node

  // Only of the distribution that was looked for a unit is read.
  bool found() const { return !unit.empty(); }
};

// For the wire: secrets masked. `staged_version` and `free_bytes` are the caller's to fill in.
v1::K3sFacts ToFacts(const Installation& installation);

// Kernel, operating system, boot id, cgroup version, architecture, reboot-required: all but k3s, etcd and the
// agent's own.
void ReadMachine(const HostPaths& paths, v1::NodeFacts* facts);

// Earliest notAfter of the end-entity certificates (*.crt) in these folders; 0 when there are none.
int64_t EarliestExpiry(const std::vector<std::string>& folders);
// SHA-256 of the last certificate of a PEM file: of a cluster's root.
absl::StatusOr<std::string> CertificateFingerprint(const std::string& pem_file);

}  // namespace k3saga::node
