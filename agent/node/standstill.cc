#include "agent/node/standstill.h"

#include <absl/strings/str_cat.h>

#include <nlohmann/json.hpp>

#include "common/host/files.h"
#include "common/status_macros.h"

namespace k3saga::node {

using nlohmann::json;

Standstill::Standstill(const StatePaths& state) : file_(JoinPath(state.state, "standstill.json")) {}

absl::Status Standstill::Begin(const std::string& unit, Systemd& systemd) {
  if (!Exists(file_)) {
    K3SAGA_ASSIGN_OR_RETURN(const std::string enabled, systemd.IsEnabled(unit));
    const json memory = {{"unit", unit}, {"was_enabled", enabled == "enabled"}};
    K3SAGA_RETURN_IF_ERROR(WriteFileDurably(file_, memory.dump()));
  }
  return systemd.Disable(unit);
}

absl::Status Standstill::End(Systemd& systemd) {
  const auto text = ReadFile(file_);
  if (absl::IsNotFound(text.status())) return absl::OkStatus();
  K3SAGA_RETURN_IF_ERROR(text.status());
  const json memory = json::parse(*text, nullptr, /*allow_exceptions=*/false);
  if (!memory.is_object()) {
    return absl::DataLossError(absl::StrCat(
        file_, " is damaged; enable k3s's unit by hand if it should start at boot, then remove the file"));
  }
  if (memory.value("was_enabled", true)) {
    K3SAGA_RETURN_IF_ERROR(systemd.Enable(memory.value("unit", "")));
  }
  return RemoveFileDurably(file_);
}

}  // namespace k3saga::node
