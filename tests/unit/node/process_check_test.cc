#include "agent/node/process_check.h"

#include "agent/node/installer.h"
#include "tests/unit/node/fake_host.h"

namespace k3saga::node {
namespace {

TEST(ProcessCheck, ReadsTheVersionOutOfWhatK3sPrints) {
  EXPECT_EQ(ParseVersionOutput("k3s version v1.31.4+k3s1 (a562d090)\ngo version go1.22.9\n"), "v1.31.4+k3s1");
  EXPECT_EQ(ParseVersionOutput(
                "time=\"...\" level=info msg=\"Preparing data dir\"\nk3s version v1.20.8+k3s1 (x)\n"),
            "v1.20.8+k3s1");
  EXPECT_EQ(ParseVersionOutput("exe version v1.20.8+k3s1 (5d0a12a6)\ngo version go1.19.8\n"), "v1.20.8+k3s1");
  EXPECT_EQ(ParseVersionOutput("bash: no such file"), "");
  EXPECT_EQ(ParseVersionOutput("rke2 version v1.31.4+rke2r1 (x)\n"), "");
}

TEST(ProcessCheck, BelievesTheProcessNotTheFile) {
  FakeHost host;
  const std::string binary = host.WriteBinary("usr/local/bin/k3s", "v1.31.4+k3s1");
  const std::string newer = host.WriteBinary("staged/k3s", "v1.32.0+k3s1");
  const uint32_t pid = host.StartProcess(binary);
  auto process = host.processes().Inspect(pid);
  ASSERT_TRUE(process.ok()) << process.status();
  EXPECT_EQ(process->version, "v1.31.4+k3s1");
  EXPECT_EQ(process->executable, binary);
  EXPECT_FALSE(process->deleted);
  EXPECT_GT(process->start_ticks, 0u);
  EXPECT_TRUE(host.processes().IsRunning(*process, binary));

  ASSERT_TRUE(PlaceBinary(newer, binary).ok());
  auto after = host.processes().Inspect(pid);
  ASSERT_TRUE(after.ok());
  EXPECT_EQ(after->version, "v1.31.4+k3s1");
  EXPECT_TRUE(after->deleted);
  EXPECT_EQ(after->executable, binary);
  EXPECT_EQ(*host.processes().VersionOfFile(binary), "v1.32.0+k3s1");
  EXPECT_FALSE(host.processes().IsRunning(*after, binary));
}

TEST(ProcessCheck, K3sUnpackedIntoItsDataFolderIsTheSame) {
  FakeHost host;
  const std::string binary = host.WriteBinary("usr/local/bin/k3s", "v1.31.4+k3s1");
  const std::string unpacked = host.WriteBinary("var/lib/rancher/k3s/data/0a1b/bin/k3s", "v1.31.4+k3s1");
  auto process = host.processes().Inspect(host.StartProcess(unpacked));
  ASSERT_TRUE(process.ok());
  EXPECT_TRUE(host.processes().IsRunning(*process, binary));
  host.WriteBinary("usr/local/bin/k3s", "v1.32.0+k3s1");
  EXPECT_FALSE(host.processes().IsRunning(*process, binary));
}

TEST(ProcessCheck, SaysWhatIsWrongWithAFile) {
  FakeHost host;
  host.Write("truncated",
             "\x7f"
             "ELF",
             0755);
  EXPECT_FALSE(host.processes().VersionOfFile(host.Path("truncated")).ok());
  EXPECT_TRUE(absl::IsNotFound(host.processes().VersionOfFile(host.Path("nothing")).status()));
  host.Write("other", "#!/bin/sh\necho 'kubectl 1'\n", 0755);
  EXPECT_TRUE(absl::IsFailedPrecondition(host.processes().VersionOfFile(host.Path("other")).status()));
  EXPECT_TRUE(absl::IsNotFound(host.processes().Inspect(0x3fffffff).status()));
}

}  // namespace
}  // namespace k3saga::node
