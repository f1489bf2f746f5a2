#include "agent/node/installer.h"

#include <absl/strings/str_cat.h>
#include <sys/stat.h>

#include "agent/node/images.h"
#include "agent/node/k3s_installer.h"
#include "common/host/process.h"
#include "common/reason.h"
#include "tests/unit/node/fake_host.h"

namespace k3saga::node {
namespace {

TEST(Installer, QuotesOnlyWhatTheInstallersEvalWouldTouch) {
  const std::pair<const char*, const char*> cases[] = {
      {"--disable=traefik", "--disable=traefik"},
      {"a b", "a' 'b"},
      {"a  b", "a' '\\x20b"},
      {"it's", "it\"'\"s"},
      {"\"q\"", "'\"'q'\"'"},
      {"\\.", "\\\\."},
      {"a\tb\n", "a\\x09b\\x0a"},
      {"~x~", "'~'x~"},
      {"", "''"},
      {"5%%", "5%%"},
      {"${A}", "${A}"},
  };
  for (const auto& [word, quoted] : cases) EXPECT_EQ(QuoteForInstaller(word), quoted) << word;
}

class InstallerTest : public ::testing::Test {
 protected:
  InstallerTest() {
    host_.WriteBinary("usr/local/bin/k3s", "v1.31.4+k3s1");
    host_.Write("etc/systemd/system/k3s.service",
                "[Service]\nType=notify\nEnvironmentFile=@ROOT@/etc/systemd/system/k3s.service.env\n"
                "ExecStart=@ROOT@/usr/local/bin/k3s server --token in-flag\n");
    host_.Write("etc/systemd/system/k3s.service.env", "K3S_AGENT_TOKEN=in-file\n", 0600);
    host_.SetEnabled("k3s.service", true);
  }

  // A script that stands where the installer would.
  InstallerCall CallOf(const std::string& script) {
    host_.Write("script.sh", script, 0755);
    auto call = PlanInstaller(host_.Read(), host_.Path("script.sh"));
    EXPECT_TRUE(call.ok()) << call.status();
    return *call;
  }

  FakeHost host_;
};

TEST_F(InstallerTest, SecretsAreInNoArgumentAndInNoError) {
  const InstallerCall call = CallOf("echo \"failed with $K3S_AGENT_TOKEN and in-flag\" >&2; exit 1\n");
  for (const std::string& word : call.argv) EXPECT_THAT(word, ::testing::Not(::testing::HasSubstr("in-f")));
  EXPECT_THAT(call.Describe(), ::testing::Not(::testing::HasSubstr("in-f")));
  const absl::Status status = RunInstaller(call, std::chrono::seconds(30), host_.systemd());
  EXPECT_EQ(ReasonOf(status).code(), v1::INSTALLER_FAILED);
  EXPECT_THAT(std::string(status.message()), ::testing::HasSubstr("failed with *** and ***"));
  EXPECT_EQ(host_.Calls().back(), "systemctl daemon-reload");
}

TEST_F(InstallerTest, ItsDeadlineIsOurs) {
  const InstallerCall call = CallOf("sleep 600 & wait\n");
  const absl::Status status = RunInstaller(call, std::chrono::milliseconds(200), host_.systemd());
  EXPECT_EQ(ReasonOf(status).code(), v1::TIMED_OUT);
}

TEST_F(InstallerTest, TheAgentsOwnEnvironmentIsNotHandedOn) {
  ASSERT_EQ(setenv("K3S_URL", "https://of-the-agent:6443", 1), 0);
  const InstallerCall call = CallOf("test -z \"$K3S_URL\"\n");
  unsetenv("K3S_URL");
  EXPECT_TRUE(RunInstaller(call, std::chrono::seconds(30), host_.systemd()).ok());
}

TEST_F(InstallerTest, PlacesTheBinaryWholeAndOnce) {
  const std::string staged = host_.WriteBinary("staged/k3s", "v1.32.0+k3s1");
  const std::string target = host_.Path("usr/local/bin/k3s");
  ASSERT_EQ(chmod(staged.c_str(), 0600), 0);
  ASSERT_TRUE(PlaceBinary(staged, target).ok());
  struct stat first {};
  struct stat second {};
  ASSERT_EQ(stat(target.c_str(), &first), 0);
  EXPECT_EQ(first.st_mode & 07777, 0755u);
  EXPECT_EQ(*host_.processes().VersionOfFile(target), "v1.32.0+k3s1");
  ASSERT_TRUE(PlaceBinary(staged, target).ok());
  ASSERT_EQ(stat(target.c_str(), &second), 0);
  EXPECT_EQ(first.st_ino, second.st_ino);
  EXPECT_TRUE(absl::IsNotFound(PlaceBinary(host_.Path("nothing"), target)));
}

TEST_F(InstallerTest, ReplacesTheArchiveOfImages) {
  const std::string data = host_.Path("var/lib/rancher/k3s");
  host_.Write("var/lib/rancher/k3s/agent/images/k3s-airgap-images-amd64.tar", "old");
  host_.Write("var/lib/rancher/k3s/agent/images/my-app.tar", "mine");
  const std::string staged = host_.Write("staged/k3s-airgap-images-amd64.tar.zst", "new");
  ASSERT_TRUE(PlaceImages(staged, data).ok());
  EXPECT_EQ(*ListDirectory(data + "/agent/images"),
            (std::vector<std::string>{"k3s-airgap-images-amd64.tar.zst", "my-app.tar"}));
}

}  // namespace
}  // namespace k3saga::node
