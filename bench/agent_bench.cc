// What an agent costs when nothing happens: resident memory, processor share, wake-ups.
//   k3saga-bench-agent [SECONDS]      (default 60)

#include <dirent.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/lab_cluster.h"

namespace {

struct Cost {
  long resident_kb = 0;
  long private_kb = 0;
  double cpu_seconds = 0;
  long wakeups = 0;  // voluntary context switches of all its threads
  int threads = 0;
};

long Field(const std::string& file, const std::string& key) {
  std::ifstream lines(file);
  for (std::string line; std::getline(lines, line);) {
    if (line.rfind(key + ":", 0) == 0) return std::atol(line.c_str() + key.size() + 1);
  }
  return 0;
}

std::vector<std::string> Entries(const std::string& folder) {
  std::vector<std::string> names;
  if (DIR* dir = opendir(folder.c_str())) {
    while (dirent* entry = readdir(dir)) {
      if (entry->d_name[0] != '.') names.emplace_back(entry->d_name);
    }
    closedir(dir);
  }
  return names;
}

Cost Look(const std::string& pid) {
  Cost cost;
  const std::string process = "/proc/" + pid;
  cost.resident_kb = Field(process + "/status", "VmRSS");
  cost.private_kb =
      Field(process + "/smaps_rollup", "Private_Dirty") + Field(process + "/smaps_rollup", "Private_Clean");
  std::ifstream file(process + "/stat");
  std::stringstream text;
  text << file.rdbuf();
  std::istringstream fields(text.str().substr(text.str().rfind(')') + 2));
  std::string skipped;
  for (int i = 0; i < 11; ++i) fields >> skipped;
  long user = 0;
  long system = 0;
  fields >> user >> system;
  cost.cpu_seconds = static_cast<double>(user + system) / static_cast<double>(sysconf(_SC_CLK_TCK));
  for (const std::string& thread : Entries(process + "/task")) {
    cost.wakeups += Field(process + "/task/" + thread + "/status", "voluntary_ctxt_switches");
    ++cost.threads;
  }
  return cost;
}

// Agents of this lab only: their command line names its folder.
std::vector<std::string> Agents(const std::string& lab) {
  std::vector<std::string> pids;
  for (const std::string& pid : Entries("/proc")) {
    std::ifstream file("/proc/" + pid + "/cmdline");
    std::stringstream text;
    text << file.rdbuf();
    const std::string command = text.str();
    if (command.find("k3saga-agent") != std::string::npos && command.find("operation") == std::string::npos &&
        command.find(lab) != std::string::npos && command.find("k3saga-agent") < command.find('\0')) {
      pids.push_back(pid);
    }
  }
  return pids;
}

}  // namespace

int main(int argc, char** argv) {
  const int seconds = argc > 1 ? std::atoi(argv[1]) : 60;
  auto lab = k3saga::testing::LabCluster::Up({.servers = 1, .workers = 1});
  if (!lab.ok()) {
    std::fprintf(stderr, "%s\n", std::string(lab.status().message()).c_str());
    return 1;
  }
  (*lab)->K3saga({"nodes"});  // an agent that has served once is what stays resident
  std::this_thread::sleep_for(std::chrono::seconds(30));  // it has rested
  const std::vector<std::string> pids = Agents((*lab)->dir());
  std::vector<Cost> before;
  for (const std::string& pid : pids) before.push_back(Look(pid));
  std::this_thread::sleep_for(std::chrono::seconds(seconds));
  std::printf("%-8s %12s %12s %8s %14s %14s\n", "agent", "resident kB", "private kB", "threads",
              "% of a core", "wake-ups/s");
  for (size_t i = 0; i < pids.size(); ++i) {
    const Cost after = Look(pids[i]);
    std::printf("%-8s %12ld %12ld %8d %14.4f %14.2f\n", pids[i].c_str(), after.resident_kb, after.private_kb,
                after.threads, 100 * (after.cpu_seconds - before[i].cpu_seconds) / seconds,
                static_cast<double>(after.wakeups - before[i].wakeups) / seconds);
  }
  return pids.empty() ? 1 : 0;
}
