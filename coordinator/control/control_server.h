#pragma once

#include <absl/status/statusor.h>

#include <memory>
#include <string>
#include <vector>

#include "common/host/loop.h"
#include "coordinator/driver/driver.h"

namespace k3saga::control {

// A running rollout's Unix socket (0600). Serves About, Command and Watch; every request is posted to the
// loop. An observer of the driver, so that Watch hears everything the view hears.
//
// Lives on the loop's thread. Destroy it before the driver.
class ControlServer final : public driver::Observer {
 public:
  static absl::StatusOr<std::unique_ptr<ControlServer>> Listen(Loop& loop, std::string_view socket_path);
  ~ControlServer() override;

  // Requests are answered with UNAVAILABLE until a driver is there.
  void Serve(driver::Driver* driver);

  void OnEvents(uint64_t first, const std::vector<v1::Event>& events, const core::State& state) override;
  void OnProgress(uint64_t sequence, const std::string& node, const v1::Progress& progress) override;

 private:
  class Impl;
  explicit ControlServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace k3saga::control
