#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include <map>
#include <set>

#include "common/later_setting.h"
#include "coordinator/core/planner/survey.h"

// Configuration files that lie on a node unread: the release that reads them makes them count.
namespace k3saga::core {

void CheckConfigFiles(const Survey& survey, Findings& findings) {
  if (!survey.target) return;
  for (const Surveyed& node : survey.nodes) {
    if (!node.reached() || !node.version) continue;
    std::map<std::string, std::set<std::string>> flags;  // by file
    for (const v1::Setting& setting : node.facts->k3s().settings()) {
      const auto later = ParseLaterSettingKey(setting.key());
      if (later && survey.target->minor() >= later->minor) flags[setting.source()].insert(later->flag);
    }
    for (const auto& [file, changed] : flags) {
      const std::string what =
          absl::StrCat(file, " is not read by ", node.version->ToString(), ", but by ",
                       survey.target->ToString(), ", where it changes ", absl::StrJoin(changed, ", "));
      if (survey.request->release.allow_changed_configuration()) {
        findings.Notice(v1::CONFIGURATION_WOULD_CHANGE, node.name(), what);
      } else {
        findings.Refuse(
            v1::CONFIGURATION_WOULD_CHANGE, node.name(), what,
            "move it away, which changes nothing now; say the same where both read it (the unit or, "
            "since v1.19, config.yaml); or agree with --allow-changed-configuration");
      }
    }
  }
}

}  // namespace k3saga::core
