#pragma once

#include <absl/status/statusor.h>

#include <filesystem>
#include <string>

#include "lab/control/up.h"

namespace k3saga::lab {

// Makes a lab's files, before anything runs: lab.json, nodes' folders, releases, installer, identities,
// agent.yaml of each node, cluster.yaml, units of agents and of the lab's own services.
absl::StatusOr<Lab> Scaffold(const UpOptions& options, const std::filesystem::path& dir,
                             const std::string& network);

// The stand-in for k3s's installer, as Layout::Installer of `lab.dir`.
absl::Status WriteInstaller(const Lab& lab);

// A program of k3saga that is needed to run a lab: beside this one, or where packages put helpers.
absl::StatusOr<std::filesystem::path> FindProgram(const std::string& name);

}  // namespace k3saga::lab
