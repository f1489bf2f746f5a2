#include "coordinator/plans/label_selector.h"

#include <absl/strings/str_join.h>

namespace k3saga::plans {
namespace {

std::string Shown(std::string_view text) {
  auto parsed = ParseLabelSelector(text);
  if (!parsed.ok()) return "refused";
  return absl::StrJoin(*parsed, "; ", [](std::string* out, const Requirement& r) {
    absl::StrAppend(out, r.key, " ", r.op, r.values.empty() ? "" : " ", absl::StrJoin(r.values, ","));
  });
}

TEST(LabelSelector, ReadsWhatKubectlTakes) {
  struct {
    const char* text;
    const char* expected;
  } const cases[] = {
      {"", ""},
      {"app=web", "app In web"},
      {"app==web", "app In web"},
      {" app = web , tier != db ", "app In web; tier NotIn db"},
      {"gpu,!spot", "gpu Exists; spot DoesNotExist"},
      {"zone in (a, b),zone notin (c)", "zone In a,b; zone NotIn c"},
      {"app.kubernetes.io/name=x", "app.kubernetes.io/name In x"},
      {"app=web,", "refused"},
      {"=web", "refused"},
      {"zone in a", "refused"},
      {"zone within (a)", "refused"},
      {"a=b;c=d", "refused"},
  };
  for (const auto& c : cases) EXPECT_EQ(Shown(c.text), c.expected) << c.text;
}

}  // namespace
}  // namespace k3saga::plans
