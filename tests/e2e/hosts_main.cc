// One rollout on booted hosts, measured from outside: real k3s where its releases are given, the lab's
// simulated one otherwise. tests/e2e/run starts it; docs/testing.md says more.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <fstream>
#include <iostream>

#include "tests/systemd/rollout.h"
#include "tests/systemd/way_back.h"

namespace {

using k3saga::hosts::Cluster;
using k3saga::hosts::ClusterOptions;
using k3saga::hosts::K3sSource;

struct Options {
  std::string releases;
  std::string installer;
  std::string pod_image = "rancher/pause:3.1";
  std::string from = "v1.31.4+k3s1";
  std::string to = "v1.32.0+k3s1";
  std::string json;
  bool and_back = false;
  bool keep = false;
  ClusterOptions cluster;
};

// Ready comes some seconds after systemd's "active"; then longer than any settle time that is measured.
constexpr std::chrono::seconds kRunsFor{25};

absl::StatusOr<std::unique_ptr<K3sSource>> Source(const Options& options) {
  if (!options.releases.empty()) {
    return k3saga::hosts::UseRealK3s(
        {.releases = options.releases, .installer = options.installer, .pod_image = options.pod_image});
  }
  return k3saga::hosts::UseSimulatedK3s({.versions = {options.from, options.to}});
}

// Whether all was as it should be.
bool Upgrade(Cluster& cluster, const Options& options) {
  std::cerr << "Upgrading to " << options.to << "\n";
  const absl::StatusOr<k3saga::hosts::RolloutReport> report =
      k3saga::hosts::MeasureRollout(cluster, options.from, options.to);
  if (!report.ok()) {
    std::cerr << report.status().message() << "\n";
    return false;
  }
  std::cout << report->log << "\n" << k3saga::hosts::Print(*report) << std::flush;
  if (!options.json.empty()) {
    std::ofstream(options.json) << k3saga::hosts::ToJson(*report);
  }
  return k3saga::hosts::Shortcomings(*report).empty();
}

bool GoBack(Cluster& cluster, const Options& options) {
  std::cerr << "Going back to " << options.from << " with the datastore\n";
  const absl::StatusOr<k3saga::hosts::WayBackReport> report =
      k3saga::hosts::MeasureWayBack(cluster, options.from);
  if (!report.ok()) {
    std::cerr << report.status().message() << "\n";
    return false;
  }
  std::cout << report->log << "\n" << k3saga::hosts::Print(*report) << std::flush;
  return k3saga::hosts::Shortcomings(*report).empty();
}

int Run(const Options& options) {
  const absl::StatusOr<std::unique_ptr<K3sSource>> source = Source(options);
  if (!source.ok()) {
    std::cerr << source.status().message() << "\n";
    return 2;
  }
  std::cerr << "Booting " << options.cluster.servers << " servers and " << options.cluster.workers
            << " workers at " << options.from << "\n";
  absl::StatusOr<std::unique_ptr<Cluster>> cluster = Cluster::Start(**source, options.cluster);
  if (!cluster.ok()) {
    std::cerr << "the cluster could not be made: " << cluster.status().message() << "\n";
    return 1;
  }
  if (const absl::Status steady = (*cluster)->AwaitAge(kRunsFor); !steady.ok()) {
    std::cerr << steady.message() << "\n";
    return 1;
  }
  if (const absl::Status noted = k3saga::hosts::WriteNote(**cluster, "before"); !noted.ok()) {
    std::cerr << noted.message() << "\n";
    return 1;
  }
  const bool upgraded = Upgrade(**cluster, options);
  const bool went_back = !options.and_back || GoBack(**cluster, options);
  if (options.keep) {
    std::cerr << "The hosts stay up: tests/systemd/hosts exec " << (*cluster)->hosts().folder()
              << " s1 bash. Press Enter to end them.\n";
    std::cin.get();
  }
  return upgraded && went_back ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  std::string hosts = "nspawn";
  CLI::App app{"A whole rollout on booted hosts, measured from outside."};
  app.add_option("--releases", options.releases,
                 "folder with VERSION/k3s of real releases; without: simulated k3s")
      ->check(CLI::ExistingDirectory);
  app.add_option("--installer", options.installer, "k3s's install.sh of the release upgraded to")
      ->check(CLI::ExistingFile);
  app.add_option("--hosts", hosts, "what hosts are")->check(CLI::IsMember({"nspawn"}));
  app.add_option("--from", options.from, "version that the cluster starts with");
  app.add_option("--to", options.to, "version that it is upgraded to");
  app.add_option("--servers", options.cluster.servers, "servers with embedded etcd");
  app.add_option("--workers", options.cluster.workers, "workers");
  app.add_option("--settle-time", options.cluster.settle_time, "of cluster.yaml");
  app.add_option("--canary", options.cluster.canary, "of cluster.yaml: workers that go before the others");
  app.add_option("--max-unavailable", options.cluster.max_unavailable, "of cluster.yaml: workers at once");
  app.add_option("--pod-image", options.pod_image, "image that every node has (RELEASES/images/*.tar)");
  app.add_option("--json", options.json, "also write the report to this file");
  app.add_flag("--and-back", options.and_back, "then go back: binaries and the datastore's snapshot");
  app.add_flag("--keep", options.keep, "leave the hosts up until Enter is pressed");
  CLI11_PARSE(app, argc, argv);
  if (options.releases.empty() != options.installer.empty()) {
    std::cerr << "--releases and --installer go together\n";
    return 2;
  }
  options.cluster.version = options.from;
  if (const auto code = k3saga::hosts::ExitWhereImpossible()) return *code;
  return Run(options);
}
