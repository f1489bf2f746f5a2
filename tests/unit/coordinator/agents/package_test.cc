#include "coordinator/agents/package.h"

#include "common/host/files.h"
#include "tests/unit/common/temp_dir.h"

namespace k3saga::agents {
namespace {

using testing::HasSubstr;

std::string Program(char machine) {
  std::string head(64, '\0');
  head.replace(0, 4,
               "\x7f"
               "ELF");
  head[18] = machine;
  return head;
}
constexpr char kDeb[] = "!<arch>\ndebian-binary   and so on";

TEST(ReadPackage, KnowsPackagesByTheirNameAndProgramsByTheirHead) {
  const TempDir dir;
  const auto deb = ReadPackage(dir.Write("k3saga-agent_0.2.0~rc1_arm64.deb", kDeb));
  ASSERT_TRUE(deb.ok()) << deb.status();
  EXPECT_EQ(deb->version, "0.2.0~rc1");
  EXPECT_EQ(deb->architecture, "arm64");
  EXPECT_EQ(deb->wire_name, "k3saga-agent.deb");
  EXPECT_EQ(deb->sha256, Sha256Of(kDeb));
  const auto program = ReadPackage(dir.Write("whatever", Program(62)));
  ASSERT_TRUE(program.ok()) << program.status();
  EXPECT_EQ(program->architecture, "amd64");
  EXPECT_EQ(program->wire_name, "k3saga-agent");
}

TEST(ReadPackage, RefusesWhatIsNoAgent) {
  const TempDir dir;
  for (const auto& [name, content, why] :
       {std::tuple{"k3saga_0.2.0_amd64.deb", std::string(kDeb), "a package of the agent is called"},
        std::tuple{"k3saga-agent.deb", std::string(kDeb), "a package of the agent is called"},
        std::tuple{"k3saga-agent", Program(40), "neither"},
        std::tuple{"notes.txt", std::string(100, 'x'), "neither"},
        std::tuple{"empty", std::string(), "too short"}}) {
    EXPECT_THAT(std::string(ReadPackage(dir.Write(name, content)).status().message()), HasSubstr(why))
        << name;
  }
  EXPECT_TRUE(absl::IsNotFound(ReadPackage(dir / "absent").status()));
}

TEST(ReadPackages, TakesOneAnArchitecture) {
  const TempDir dir;
  const std::string amd64 = dir.Write("k3saga-agent_0.2.0_amd64.deb", kDeb);
  const auto both = ReadPackages({amd64, dir.Write("k3saga-agent_0.2.0_arm64.deb", kDeb)});
  ASSERT_TRUE(both.ok()) << both.status();
  EXPECT_EQ(PackageFor(*both, "arm64")->architecture, "arm64");
  EXPECT_EQ(PackageFor(*both, "s390x"), nullptr);
  EXPECT_FALSE(ReadPackages({amd64, dir.Write("k3saga-agent_0.3.0_amd64.deb", kDeb)}).ok());
  EXPECT_FALSE(ReadPackages({}).ok());
}

}  // namespace
}  // namespace k3saga::agents
