// A whole rollout in the lab, its wall time against the ideal: the servers' own restart and settle times one
// after the other, plus the workers' own chains, canaries first, packed into the slots that the policy gives.
//   k3saga-bench-rollout [SERVERS [WORKERS [SETTLE]]]      (default 3, 30 and the policy's own 15s)

#include <cstdio>
#include <cstdlib>

#include "bench/rollout_timing.h"
#include "tests/support/lab_cluster.h"

int main(int argc, char** argv) {
  using k3saga::testing::LabCluster;
  LabCluster::Shape shape{.servers = argc > 1 ? std::atoi(argv[1]) : 3,
                          .workers = argc > 2 ? std::atoi(argv[2]) : 30,
                          .up_arguments = {"--settle-time", argc > 3 ? argv[3] : "15s"}};
  auto lab = LabCluster::Up(shape);
  if (!lab.ok()) {
    std::fprintf(stderr, "%s\n", std::string(lab.status().message()).c_str());
    return 1;
  }
  const LabCluster::Ended upgrade = (*lab)->K3saga({"upgrade", "--to", "v1.32.0+k3s1", "--yes"});
  if (upgrade.exit_code != 0) {
    std::fprintf(stderr, "upgrade ended with %d\n%s%s", upgrade.exit_code, upgrade.out.c_str(),
                 upgrade.err.c_str());
    return 1;
  }
  const k3saga::bench::RolloutTiming timing = k3saga::bench::Measure((*lab)->Events());
  const auto seconds = [](int64_t milliseconds) { return static_cast<double>(milliseconds) / 1000; };
  std::printf("nodes                         %d servers, %d workers (%zu at once)\n", shape.servers,
              shape.workers, timing.worker_slots);
  std::printf("servers, stop to healthy      %7.1f s\n", seconds(timing.servers_down));
  std::printf("servers, settle times         %7.1f s\n", seconds(timing.servers_settle));
  std::printf("workers' own chains           %7.1f s (longest %.1f s)\n", seconds(timing.workers_chains),
              seconds(timing.longest_chain));
  std::printf("ideal                         %7.1f s\n", seconds(timing.ideal()));
  std::printf("rollout                       %7.1f s\n", seconds(timing.wall));
  std::printf("rollout / ideal               %7.3f\n",
              static_cast<double>(timing.wall) / static_cast<double>(std::max<int64_t>(1, timing.ideal())));
  return 0;
}
