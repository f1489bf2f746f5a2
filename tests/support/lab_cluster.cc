#include "tests/support/lab_cluster.h"

#include <google/protobuf/util/json_util.h>
#include <stdlib.h>

#include <fstream>
#include <sstream>

#include "common/host/files.h"
#include "common/host/process.h"

namespace k3saga::testing {
namespace {

constexpr std::chrono::minutes kLongest{10};

std::string Program(const std::string& name) { return std::string(K3SAGA_BIN_DIR) + "/" + name; }

LabCluster::Ended RunToEnd(std::vector<std::string> argv, std::vector<std::string> environment) {
  auto result = Run({.argv = std::move(argv),
                     .environment = std::move(environment),
                     .deadline = kLongest,
                     .output_cap = 64 * 1024 * 1024});
  if (!result.ok()) return {.exit_code = -1, .out = "", .err = std::string(result.status().message())};
  return {.exit_code = result->exit_code, .out = result->out, .err = result->err};
}

std::vector<std::string> Joined(std::vector<std::string> first, const std::vector<std::string>& second) {
  first.insert(first.end(), second.begin(), second.end());
  return first;
}

}  // namespace

absl::StatusOr<std::unique_ptr<LabCluster>> LabCluster::Up(const Shape& shape) {
  // Short: Unix sockets below it have to fit into sun_path.
  std::string dir = "/tmp/k3saga-lab.XXXXXX";
  if (mkdtemp(dir.data()) == nullptr) return absl::InternalError("mkdtemp failed");
  std::unique_ptr<LabCluster> lab(new LabCluster(dir));
  const Ended up = lab->Lab(Joined({"up", "--servers", std::to_string(shape.servers), "--workers",
                                    std::to_string(shape.workers), "--version", shape.version},
                                   shape.up_arguments));
  if (up.exit_code != 0) return absl::InternalError("k3saga-lab up: " + up.out + up.err);
  return lab;
}

LabCluster::~LabCluster() {
  const Ended down = Lab({"down"});
  if (getenv("K3SAGA_KEEP_LABS") == nullptr) (void)RemoveTree(dir_);
}

std::vector<std::string> LabCluster::K3sagaCommand(const std::vector<std::string>& arguments) const {
  return Joined({Program("k3saga"), "--file", dir_ + "/cluster.yaml"}, arguments);
}

std::vector<std::string> LabCluster::Environment(const std::vector<std::string>& more) const {
  return Joined(Joined(PlainEnvironment(), {"K3SAGA_STATE=" + Path(state_), "HOME=" + dir_}), more);
}

LabCluster::Ended LabCluster::K3saga(const std::vector<std::string>& arguments,
                                     const std::vector<std::string>& environment) {
  return RunToEnd(K3sagaCommand(arguments), Environment(environment));
}

nlohmann::json LabCluster::K3sagaJson(const std::vector<std::string>& arguments) {
  const Ended ended = K3saga(Joined({"--output", "json"}, arguments));
  return nlohmann::json::parse(ended.out, nullptr, /*allow_exceptions=*/false);
}

ChildProcess LabCluster::StartK3saga(const std::vector<std::string>& arguments, const std::string& log,
                                     const std::vector<std::string>& environment) {
  return ChildProcess(K3sagaCommand(arguments), Path(log), Environment(environment));
}

std::string LabCluster::Log(const std::string& name) const {
  std::ifstream file(Path(name));
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

LabCluster::Ended LabCluster::Lab(const std::vector<std::string>& arguments) {
  // --dir belongs to the command, before what a fault's kind takes.
  std::vector<std::string> argv = {Program("k3saga-lab"), arguments.front(), "--dir", dir_};
  argv.insert(argv.end(), arguments.begin() + 1, arguments.end());
  return RunToEnd(std::move(argv), PlainEnvironment());
}

nlohmann::json LabCluster::Report() {
  return nlohmann::json::parse(Lab({"report", "--output", "json"}).out, nullptr, false);
}

std::vector<v1::Event> LabCluster::Events() {
  std::vector<v1::Event> events;
  std::istringstream lines(K3saga({"history", "export"}).out);
  for (std::string line; std::getline(lines, line);) {
    // A later version may add fields; so may the line around the event.
    google::protobuf::util::JsonParseOptions lenient;
    lenient.ignore_unknown_fields = true;
    if (v1::Event event; google::protobuf::util::JsonStringToMessage(line, &event, lenient).ok()) {
      events.push_back(std::move(event));
    }
  }
  return events;
}

std::map<std::string, std::string> LabCluster::RunningVersions() {
  std::map<std::string, std::string> versions;
  const nlohmann::json nodes = K3sagaJson({"nodes"});
  if (!nodes.is_object() || !nodes.contains("nodes")) return versions;
  for (const nlohmann::json& node : nodes["nodes"]) {
    versions[node.value("name", "")] = node.value("running_version", "");
  }
  return versions;
}

}  // namespace k3saga::testing
