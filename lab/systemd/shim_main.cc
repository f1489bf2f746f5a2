// k3saga-lab-systemd: systemctl, systemd-run and journalctl of a lab's node, by the name it is called with.
// It carries its command line to the lab's daemon, which plays systemd, and prints what comes back.
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>

#include "lab/base/layout.h"
#include "lab/base/unix_socket.h"

namespace {

using k3saga::lab::FindNodeHome;
using nlohmann::json;

// A start of Type=notify without a timeout may block for ever, as on a real node; a day is as good.
constexpr std::chrono::hours kLongest{24};

// The path this shim was called by: argv[0], looked for in PATH when it has no slash.
std::filesystem::path CalledAs(const std::string& name) {
  if (name.find('/') != std::string::npos) return std::filesystem::absolute(name);
  const char* path = std::getenv("PATH");
  const std::string folders = path == nullptr ? "" : path;
  for (size_t at = 0; at <= folders.size();) {
    const size_t end = std::min(folders.find(':', at), folders.size());
    std::filesystem::path candidate = std::filesystem::path(folders.substr(at, end - at)) / name;
    if (access(candidate.c_str(), X_OK) == 0) return candidate;
    at = end + 1;
  }
  return name;
}

}  // namespace

int main(int argc, char** argv) {
  const std::filesystem::path self = CalledAs(argc > 0 ? argv[0] : "");
  auto home = FindNodeHome(nullptr, self);
  if (!home.has_value()) home = FindNodeHome(std::getenv("K3SAGA_LAB_NODE_DIR"), "");
  if (!home.has_value()) {
    std::cerr << self.string() << ": belongs to no lab; call it by its path below DIR/nodes/NAME/bin\n";
    return 1;
  }
  const json request = {{"node", home->name},
                        {"program", self.filename().string()},
                        {"arguments", std::vector<std::string>(argv + 1, argv + argc)}};
  const k3saga::lab::Layout layout{home->lab_dir};
  auto line = k3saga::lab::ExchangeLine(layout.DaemonSocket(), request.dump(), kLongest);
  if (!line.ok()) {
    std::cerr << self.filename().string() << ": " << line.status().message() << "\n";
    return 1;
  }
  const json reply = json::parse(*line, nullptr, /*allow_exceptions=*/false);
  if (!reply.is_object()) return 1;
  std::cout << reply.value("out", "") << std::flush;
  std::cerr << reply.value("err", "");
  return reply.value("code", 1);
}
