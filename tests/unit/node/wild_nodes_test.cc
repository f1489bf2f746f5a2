#include "tests/unit/node/wild_nodes.h"

#include <absl/strings/str_join.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <set>

#include "agent/node/configuration.h"
#include "agent/node/k3s_installer.h"
#include "agent/node/keep.h"
#include "common/later_setting.h"
#include "tests/unit/node/fake_host.h"

namespace k3saga::node {
namespace {

class WildNodesTest : public ::testing::TestWithParam<WildNode> {
 protected:
  void SetUp() override {
    const WildNode& node = GetParam();
    host_.WriteBinary(node.binary, node.version);
    if (node.with_links) {
      for (const char* tool : {"kubectl", "crictl", "ctr"}) {
        ASSERT_EQ(symlink("k3s", host_.Path(JoinPath(DirName(node.binary), tool)).c_str()), 0);
      }
    }
    for (const WildNode::File& file : node.files) host_.Write(file.path, file.text, 0600);
    host_.SetEnabled(node.unit, node.enabled);
    host_.SetStatus(node.unit, "active");
  }

  std::map<std::string, std::string> EnvironmentOf(const InstallerCall& call) {
    std::map<std::string, std::string> variables;
    for (const std::string& each : call.environment)
      variables[each.substr(0, each.find('='))] = each.substr(each.find('=') + 1);
    return variables;
  }

  FakeHost host_{FakeHost::Systemctl::kDirect};
};

// Every file that something was read from, as ToFacts names it.
std::set<std::string> FilesNamed(const v1::K3sFacts& facts) {
  std::set<std::string> named;
  for (const v1::Setting& setting : facts.settings()) {
    if (ParseLaterSettingKey(setting.key())) continue;
    named.insert(setting.source().substr(0, setting.source().find(':')));
    for (const char* key : {"FragmentPath", "DropInPaths", "EnvironmentFile"}) {
      if (setting.key() == key) named.insert(setting.value());
    }
  }
  return named;
}

std::string Problems(const Installation& node) {
  std::string text;
  for (const v1::Reason& reason : node.problems) text += reason.ShortDebugString() + "\n";
  return text;
}

TEST_P(WildNodesTest, IsReadAsItIs) {
  const WildNode& expected = GetParam();
  const Installation node = host_.Read();
  EXPECT_EQ(Problems(node), "");
  EXPECT_EQ(node.distribution, "k3s");
  EXPECT_EQ(node.unit, expected.unit);
  EXPECT_EQ(node.role, expected.role);
  std::vector<std::string> arguments;
  for (const std::string& word : expected.arguments) arguments.push_back(host_.Fill(word));
  EXPECT_EQ(node.arguments, arguments);
  std::map<std::string, std::string> environment;
  for (const auto& [key, variable] : node.environment) environment[key] = variable.value;
  std::map<std::string, std::string> expected_environment;
  for (const auto& [key, value] : expected.environment) expected_environment[key] = host_.Fill(value);
  EXPECT_EQ(environment, expected_environment);
  EXPECT_EQ(node.data_dir, host_.Fill(expected.data_dir));
  EXPECT_EQ(node.binary_version, expected.version);
  if (!expected.node_name.empty()) {
    EXPECT_EQ(node.node_name, expected.node_name);
  }
  if (expected.role == v1::ROLE_SERVER) {
    EXPECT_EQ(v1::Datastore_Name(node.datastore), v1::Datastore_Name(expected.datastore));
    EXPECT_EQ(node.runs_etcd, expected.runs_etcd);
    EXPECT_EQ(node.runs_apiserver, expected.runs_apiserver);
  }
  EXPECT_EQ(node.runs_kubelet, expected.runs_kubelet);

  const v1::K3sFacts facts = ToFacts(node);
  std::multimap<std::string, std::string> settings;
  for (const v1::Setting& setting : facts.settings()) settings.emplace(setting.key(), setting.value());
  for (const auto& [key, value] : expected.facts) {
    bool found = false;
    for (auto [it, end] = settings.equal_range(key); it != end; ++it)
      found = found || it->second == host_.Fill(value);
    EXPECT_TRUE(found) << key << "=" << value;
  }
}

TEST_P(WildNodesTest, IsShownWithWhereItWasReadFromAndWithoutSecrets) {
  const WildNode& expected = GetParam();
  const Installation node = host_.Read();
  const v1::K3sFacts facts = ToFacts(node);
  const std::set<std::string> named = FilesNamed(facts);
  for (const WildNode::File& file : expected.files) {
    const bool unread =
        std::find(expected.not_read.begin(), expected.not_read.end(), file.path) != expected.not_read.end();
    EXPECT_EQ(named.count(host_.Path(file.path)), unread ? 0u : 1u) << file.path;
  }
  std::vector<std::string> later;
  for (const v1::Setting& setting : facts.settings()) {
    if (setting.key() == "not read") later.push_back(setting.value());
  }
  std::vector<std::string> expected_later;
  for (const std::string& path : expected.later) expected_later.push_back(host_.Path(path));
  EXPECT_EQ(later, expected_later);
  ASSERT_GT(facts.settings_size(), 1);
  EXPECT_EQ(facts.settings(0).key(), "FragmentPath");
  EXPECT_EQ(facts.settings(0).value(), node.unit_file);
  for (const Flag& flag : node.settings) {
    if (!IsSecretName(flag.name) || flag.value.size() < 4) continue;
    for (const v1::Setting& setting : facts.settings()) {
      EXPECT_THAT(setting.value(), ::testing::Not(::testing::HasSubstr(flag.value))) << setting.key();
    }
  }
}

TEST_P(WildNodesTest, TheInstallerIsGivenAllOfIt) {
  const WildNode& expected = GetParam();
  const Installation node = host_.Read();
  auto call = PlanInstaller(node, "/x/install.sh");
  if (!expected.refused.empty()) {
    ASSERT_FALSE(call.ok());
    EXPECT_THAT(std::string(call.status().message()), ::testing::HasSubstr(expected.refused));
    return;
  }
  ASSERT_TRUE(call.ok()) << call.status();
  EXPECT_EQ(call->argv, (std::vector<std::string>{"/bin/sh", "/x/install.sh"}));
  std::map<std::string, std::string> variables = EnvironmentOf(*call);
  if (!expected.exec.empty()) {
    EXPECT_EQ(variables["INSTALL_K3S_EXEC"], host_.Fill(expected.exec));
  }
  for (const auto& [key, value] : expected.given) EXPECT_EQ(variables[key], host_.Fill(value)) << key;
  for (const std::string& key : expected.not_given) EXPECT_FALSE(variables.contains(key)) << key;
  EXPECT_EQ(variables["INSTALL_K3S_SKIP_DOWNLOAD"], "true");
  EXPECT_EQ(variables["INSTALL_K3S_SKIP_START"], "true");
  // Nothing secret in what may be logged.
  for (const auto& [key, value] : variables) {
    if (IsSecretName(key) && value.size() > 3) {
      EXPECT_THAT(call->Describe(), ::testing::Not(::testing::HasSubstr(value)));
    }
  }
}

// The whole way: keep, run an installer with all its traps, mend, compare by meaning, put back.
void RunThrough(FakeHost& host, const WildNode& expected, bool old_installer) {
  const Installation before = host.Read();
  auto call = PlanInstaller(before, host.StandInInstaller(old_installer));
  if (!expected.refused.empty()) return;
  ASSERT_TRUE(call.ok()) << call.status();
  KeptFiles kept(host.state(), K3s());
  auto manifest = kept.Keep("20260101-000000-aaaa", before);
  ASSERT_TRUE(manifest.ok()) << manifest.status();

  ASSERT_TRUE(RunInstaller(*call, std::chrono::seconds(60), host.systemd()).ok());
  auto copy = kept.KeptCopy("20260101-000000-aaaa", before.environment_file);
  const absl::Status mended = MendEnvironment(manifest->meaning, copy.ok() ? *copy : "", host.Read());
  ASSERT_TRUE(mended.ok()) << mended;
  // An old installer's unit does not read /etc/default: what stood there is written into the environment
  // file.
  if (copy.ok() && before.unit_variables.empty() && !old_installer) {
    EXPECT_EQ(*ReadFile(before.environment_file), *ReadFile(*copy));
  }
  const std::vector<std::string> differences = CompareMeaning(manifest->meaning, MeaningOf(host.Read()));
  ASSERT_EQ(differences.size(), expected.differences.size()) << absl::StrJoin(differences, "\n");
  for (size_t i = 0; i < differences.size(); ++i) {
    EXPECT_THAT(differences[i], ::testing::HasSubstr(expected.differences[i]));
  }
  for (const std::string& call_line : host.Calls())
    EXPECT_THAT(call_line, ::testing::Not(::testing::HasSubstr("restart")));

  ASSERT_TRUE(kept.Restore("20260101-000000-aaaa", host.systemd()).ok());
  const Installation restored = host.Read();
  EXPECT_THAT(CompareMeaning(manifest->meaning, MeaningOf(restored)), ::testing::IsEmpty());
  EXPECT_EQ(restored.main_unit.entries().size(), before.main_unit.entries().size());
}

TEST_P(WildNodesTest, NothingIsLostByTheInstaller) { RunThrough(host_, GetParam(), /*old_installer=*/false); }
TEST_P(WildNodesTest, NothingIsLostByAnOldInstaller) {
  RunThrough(host_, GetParam(), /*old_installer=*/true);
}

std::string NameOf(const ::testing::TestParamInfo<WildNode>& node) { return node.param.name; }

INSTANTIATE_TEST_SUITE_P(All, WildNodesTest, ::testing::ValuesIn(WildNodes()), NameOf);

TEST(WildNodes, AreAtLeastForty) { EXPECT_GE(WildNodes().size(), 40u); }

}  // namespace
}  // namespace k3saga::node
