// `k3saga agents upgrade` on booted hosts: packages by apt, the tarball's program, one that does not work. No
// k3s is needed for it, and none is touched.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/systemd/cluster.h"

namespace k3saga::hosts {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class AgentsTest : public ::testing::Test {
 protected:
  static constexpr char kFromTarball[] = "w3";
  static std::vector<std::string> Packaged() { return {"w1", "w2", "s1"}; }
  static std::vector<std::string> Nodes() { return {"w1", "w2", "s1", kFromTarball}; }

  static void SetUpTestSuite() {
    const absl::StatusOr<std::vector<std::string>> dependencies = DependenciesOfPackages();
    ASSERT_TRUE(dependencies.ok()) << dependencies.status();
    absl::StatusOr<std::unique_ptr<Hosts>> booted =
        Hosts::Boot({.names = {"w1", "w2", "s1", kFromTarball, kOperator},
                     .debian_packages = *dependencies,
                     .read_only = {{PackagesFolder(), kPackagesOnHost},
                                   {absl::StrCat(K3SAGA_BUILD_DIR, "/tests/next"), "/opt/next"}}});
    ASSERT_TRUE(booted.ok()) << booted.status();
    hosts_ = booted->release();
    MakeCluster();
    MakePackages();
  }
  static void TearDownTestSuite() {
    delete hosts_;
    hosts_ = nullptr;
  }

  static ProcessResult Shell(const std::string& host, const std::string& script) {
    absl::StatusOr<ProcessResult> result =
        hosts_->Run(host, {"bash", "-c", "set -e; cd /root; " + script}, std::chrono::minutes(5));
    EXPECT_TRUE(result.ok()) << result.status();
    return result.ok()
               ? *std::move(result)
               : ProcessResult{.exit_code = 255, .signal = 0, .out = "", .err = "", .truncated = false};
  }
  static void Do(const std::string& host, const std::string& script) {
    const ProcessResult result = Shell(host, script);
    ASSERT_TRUE(result.ok()) << host << ": " << script << ": " << result.Describe() << "\n" << result.out;
  }

  // Three agents by dpkg, one from the tarball, all serving.
  static void MakeCluster() {
    const std::string packages = kPackagesOnHost;
    std::string init = "dpkg --install " + packages + "/k3saga_*.deb >/dev/null; k3saga init --name test";
    for (const std::string& name : Nodes()) {
      init += absl::StrCat(" --node ", name, "=", name[0] == 's' ? "server" : "worker", "@",
                           hosts_->Address(name));
    }
    Do(kOperator, init);
    for (const std::string& name : Nodes()) {
      Do(name, name == kFromTarball
                   ? "tar -C / --no-same-owner -xzf " + packages +
                         "/k3saga-*.tar.gz; systemctl daemon-reload; systemctl enable -q k3saga-agent"
                   : "dpkg --install " + packages + "/k3saga-agent_*.deb >/dev/null");
      Do(kOperator, "k3saga identity agent " + name);
      for (const char* file : {"ca.crt", "agent.crt", "agent.key"}) {
        const auto content = hosts_->ReadFile(kOperator, absl::StrCat("/root/identity/", name, "/", file));
        ASSERT_TRUE(content.ok()) << content.status();
        ASSERT_TRUE(hosts_->WriteFile(name, absl::StrCat("/etc/k3saga/", file), *content, 0600).ok());
      }
      Do(name,
         "sed -i 's/^node:.*/node: " + name + "/' /etc/k3saga/agent.yaml; systemctl start k3saga-agent");
    }
  }

  // Beside the operator: the same agent under a later version, one that cannot start, and the program alone.
  static void MakePackages() {
    Do(kOperator, absl::StrCat("dpkg-deb --raw-extract ", kPackagesOnHost,
                               "/k3saga-agent_*.deb next; "
                               "version=$(sed -n 's/^Version: //p' next/DEBIAN/control); "
                               "cp next/usr/bin/k3saga-agent k3saga-agent; "
                               "sed -i \"s/^Version: .*/Version: $version.next1/\" next/DEBIAN/control; "
                               "dpkg-deb --build next k3saga-agent_$version.next1_amd64.deb >/dev/null; "
                               "sed -i \"s/^Version: .*/Version: $version.next2/\" next/DEBIAN/control; "
                               "printf '#!/bin/sh\\necho I am broken; exit 1\\n' >next/usr/bin/k3saga-agent; "
                               "dpkg-deb --build next k3saga-agent_$version.next2_amd64.deb >/dev/null"));
  }

  static ProcessResult Upgrade(const std::string& arguments) {
    return Shell(kOperator, "k3saga agents upgrade --yes " + arguments);
  }
  static std::string MainPid(const std::string& host) {
    return Shell(host, "systemctl show --property=MainPID --value k3saga-agent").out;
  }
  static std::string Package(const std::string& host) {
    return Shell(host, "dpkg-query --show --showformat='${Version} ${db:Status-Status}' k3saga-agent").out;
  }

  static Hosts* hosts_;
};
Hosts* AgentsTest::hosts_ = nullptr;

// One test: each step goes on from the last one.
TEST_F(AgentsTest, AFleetIsBroughtToAnotherVersion) {
  std::map<std::string, std::string> first;
  for (const std::string& name : Packaged()) {
    first[name] = MainPid(name);
  }

  // The tarball's agent takes no package.
  const ProcessResult mixed = Upgrade("--node w3 *.next1_amd64.deb");
  EXPECT_EQ(mixed.exit_code, 1);
  EXPECT_THAT(mixed.out, HasSubstr("this agent was installed as the program alone"));

  const ProcessResult upgraded = Upgrade("--node w1 --node w2 --node s1 *.next1_amd64.deb");
  EXPECT_EQ(upgraded.exit_code, 0) << upgraded.out << upgraded.err;
  EXPECT_THAT(upgraded.out, HasSubstr("Done: 3 replaced, 0 ran that version already."));
  EXPECT_LT(upgraded.out.find("w1: agent"), upgraded.out.find("w2: sending")) << "one first:\n"
                                                                              << upgraded.out;
  for (const std::string& name : Packaged()) {
    EXPECT_THAT(Package(name), HasSubstr(".next1 installed")) << name;
    EXPECT_NE(MainPid(name), first[name]) << name;
    EXPECT_TRUE(
        Shell(name, "systemctl is-active --quiet k3saga-agent && grep -q '^node: " + name +
                        "' /etc/k3saga/agent.yaml && ! systemctl is-active --quiet k3saga-agent-replace")
            .ok())
        << name;
    first[name] = MainPid(name);
  }

  // Again: nothing to do, nobody is restarted.
  const ProcessResult again = Upgrade("--node w1 --node w2 --node s1 *.next1_amd64.deb");
  EXPECT_EQ(again.exit_code, 0) << again.out;
  EXPECT_THAT(again.out, HasSubstr("0 replaced, 3 ran that version already"));
  EXPECT_EQ(MainPid("w1"), first["w1"]);

  // One that does not start: the first node's is put back and serves, nobody else is touched.
  const ProcessResult broken = Upgrade("--node w1 --node w2 --node s1 *.next2_amd64.deb");
  EXPECT_EQ(broken.exit_code, 1) << broken.out;
  EXPECT_THAT(broken.out, HasSubstr("w1: FAILED; agent"));
  EXPECT_THAT(broken.out, HasSubstr("serves again"));
  EXPECT_THAT(broken.out, HasSubstr("Stopped: 0 replaced, 2 not begun"));
  EXPECT_EQ(MainPid("w2"), first["w2"]);
  EXPECT_EQ(MainPid("s1"), first["s1"]);
  EXPECT_TRUE(Shell(kOperator, "k3saga nodes show w1").ok());
  EXPECT_TRUE(Shell("w1", "k3saga-agent --version").ok());

  // Back to the first version: only when that is meant.
  const std::string older = absl::StrCat(kPackagesOnHost, "/k3saga-agent_*.deb");
  EXPECT_THAT(Upgrade("--node w2 " + older).out, HasSubstr("is older"));
  const ProcessResult back = Upgrade("--node w2 --node w1 --allow-downgrade " + older);
  EXPECT_EQ(back.exit_code, 0) << back.out << back.err;
  for (const char* name : {"w1", "w2"}) {
    EXPECT_THAT(Package(name), Not(HasSubstr("next"))) << name;
    EXPECT_THAT(Package(name), HasSubstr("installed")) << name;
    // The changed agent.yaml stays; everything else is as packaged.
    EXPECT_EQ(Shell(name, "dpkg --verify k3saga-agent | grep -v ' c /etc/k3saga/agent.yaml' || true").out, "")
        << name;
  }
}

TEST_F(AgentsTest, TheTarballsProgramIsReplacedByAProgram) {
  const std::string before = MainPid(kFromTarball);
  // The very version that runs: nothing to do.
  const ProcessResult same = Upgrade("--node w3 k3saga-agent");
  EXPECT_EQ(same.exit_code, 0) << same.out << same.err;
  EXPECT_THAT(same.out, HasSubstr("runs already"));
  EXPECT_EQ(MainPid(kFromTarball), before);
  const ProcessResult newer = Upgrade("--node w3 /opt/next/k3saga-agent");
  EXPECT_EQ(newer.exit_code, 0) << newer.out << newer.err;
  EXPECT_THAT(newer.out, HasSubstr("replaced by 99.0.0"));
  EXPECT_NE(MainPid(kFromTarball), before);
  EXPECT_THAT(Shell(kFromTarball, "k3saga-agent --version").out, HasSubstr("99.0.0"));
  EXPECT_TRUE(Shell(kOperator, "k3saga nodes show w3").ok());
}

TEST_F(AgentsTest, WhatCannotWorkIsRefusedBeforeAnythingIsTouched) {
  EXPECT_EQ(Upgrade("--node w9 *.next1_amd64.deb").exit_code, 2);
  EXPECT_EQ(Upgrade("/etc/hostname").exit_code, 2);
  Do("w2", "systemctl stop k3saga-agent");
  const ProcessResult down = Upgrade("*.next1_amd64.deb");
  EXPECT_EQ(down.exit_code, 3) << down.out;
  EXPECT_THAT(down.out, HasSubstr("w2"));
  Do("w2", "systemctl start k3saga-agent");
}

}  // namespace
}  // namespace k3saga::hosts

int main(int argc, char** argv) {
  ::testing::InitGoogleMock(&argc, argv);
  if (const auto code = k3saga::hosts::ExitWhereImpossible()) return *code;
  return RUN_ALL_TESTS();
}
