#pragma once

#include <absl/status/statusor.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/host/loop.h"
#include "coordinator/driver/driver.h"

namespace k3saga::control {

// A running rollout's Unix socket (0600). Serves About, Command and Watch; every request is posted to the
// loop. An observer of the driver, so that Watch hears everything the view hears.
//
// Loop's thread. Destroy it before the driver; what watchers have not heard yet is sent first, for a moment.
class ControlServer final : public driver::Observer {
 public:
  // Of the journal's writer only: takes over the path from a process that died.
  static absl::StatusOr<std::unique_ptr<ControlServer>> Listen(Loop& loop, const std::string& socket_path);
  ~ControlServer() override;

  // Requests are answered with UNAVAILABLE until there is a driver with a rollout.
  void Serve(driver::Driver* driver);

  void OnEvents(uint64_t first, const std::vector<v1::Event>& events, const core::State& state) override;
  void OnProgress(uint64_t sequence, const std::string& node, const v1::Progress& progress) override;

 private:
  class Service;
  explicit ControlServer(std::unique_ptr<Service> service);

  std::unique_ptr<Service> service_;
};

}  // namespace k3saga::control
