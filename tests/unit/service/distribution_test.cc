#include "agent/node/distribution.h"

#include <absl/strings/str_cat.h>

#include "agent/node/strangers.h"
#include "agent/operations/journal.h"
#include "agent/service/effects.h"
#include "agent/service/node_parts.h"
#include "common/reason.h"
#include "tests/unit/node/fake_host.h"

namespace k3saga::service {
namespace {

using node::ConfigurationMeaning;
using node::FakeHost;
using node::Installation;
using operations::EffectResult;
using operations::Phase;
using ::testing::HasSubstr;

constexpr char kOld[] = "v1.31.4+k3s1";
constexpr char kNew[] = "v1.32.0+k3s1";
constexpr char kUnitFile[] = "etc/systemd/system/toy.service";
constexpr char kFlagFile[] = "etc/toy/flags";

// A second distribution: a unit of its own, flags in a file of its own, and an installer that loses them.
class Toy final : public node::Distribution {
 public:
  std::string_view name() const override { return "toy"; }

  Installation Read(const node::HostPaths& paths, node::Systemd& systemd,
                    node::ProcessInspector& processes) const override {
    Installation toy;
    if (!Exists(paths.Below(kUnitFile))) {
      const auto stranger = node::FindStranger(paths, name());
      toy.distribution = stranger ? stranger->name : "";
      toy.problems.push_back(
          MakeReason(v1::DISTRIBUTION_UNSUPPORTED, "", stranger ? stranger->Describe() : "no toy here"));
      return toy;
    }
    toy.distribution = "toy";
    toy.unit = "toy.service";
    toy.unit_file = paths.Below(kUnitFile);
    toy.environment_file = paths.Below(kFlagFile);
    toy.command = "server";
    toy.role = v1::ROLE_SERVER;
    toy.binary = paths.Below("opt/toy/toyd");
    toy.data_dir = DataDirectory(paths);
    toy.arguments = {ReadFile(toy.environment_file).value_or("")};
    toy.binary_version = processes.VersionOfFile(toy.binary).value_or("");
    toy.status = systemd.Show(toy.unit).value_or(node::UnitStatus());
    return toy;
  }

  std::string DataDirectory(const node::HostPaths& paths) const override {
    return paths.Below("var/lib/toy");
  }

  release::Files FilesOfRelease(std::string_view architecture) const override {
    return {.binary = absl::StrCat("toyd-", std::string(architecture)),
            .checksums = "toy.sha256",
            .images = {"toy-images.tar"}};
  }

  std::vector<std::string> FilesAtStake(const Installation& toy) const override {
    return {toy.binary, toy.unit_file, toy.environment_file, toy.data_dir + "/images.tar"};
  }

  std::vector<std::string> ImageArchives(const std::string& data_dir) const override {
    return {data_dir + "/images.tar"};
  }

  absl::Status PlaceImages(const std::string& staged, const Installation& toy) const override {
    return CopyFileDurably(staged, toy.data_dir + "/images.tar");
  }

  absl::StatusOr<node::InstallerCall> PlanInstaller(const Installation& toy,
                                                    std::string_view script) const override {
    node::InstallerCall call;
    call.argv = {"/bin/sh", std::string(script), "--into", DirName(toy.unit_file)};
    call.environment = {absl::StrCat("TOY_FLAGS=", toy.arguments[0]), "TOY_TOKEN=hush"};
    call.flags_variable = "TOY_FLAGS";
    call.secrets.Add("hush");
    return call;
  }

  absl::Status MendEnvironment(const ConfigurationMeaning& before, const std::string& kept,
                               const Installation& after) const override {
    if (after.arguments == before.arguments || !mends) return absl::OkStatus();
    return CopyFileDurably(kept, after.environment_file);
  }

  std::vector<std::string> Compare(const ConfigurationMeaning& before,
                                   const ConfigurationMeaning& after) const override {
    if (before.arguments == after.arguments) return {};
    return {"the toy's flags are gone"};
  }

  bool mends = true;
};

class Context final : public operations::EffectContext {
 public:
  std::chrono::milliseconds Remaining() const override { return std::chrono::seconds(60); }
  std::stop_token StopToken() const override { return {}; }
  bool Wait(std::chrono::milliseconds) override { return true; }
  void Report(std::string_view, uint32_t) override {}
};

// An agent that looks after toys, on a machine with one.
class DistributionTest : public ::testing::Test {
 protected:
  DistributionTest() {
    host_.WriteBinary("opt/toy/toyd", kOld);
    host_.Write(kUnitFile, "[Service]\nExecStart=@ROOT@/opt/toy/toyd\n");
    host_.Write(kFlagFile, "--red --blue");
    host_.Write("var/lib/toy/images.tar", "old images");
    host_.SetStatus("toy.service", "inactive");
    host_.Write("toy-install.sh",
                "test \"$2\" = \"$(dirname @ROOT@/etc/systemd/system/x)\" || exit 9\n"
                "echo \"$1 $TOY_FLAGS $TOY_TOKEN\" >@ROOT@/ran\n"
                "echo '# by the new installer' >>@ROOT@/etc/systemd/system/toy.service\n"
                ": >@ROOT@/etc/toy/flags\n");
    const std::string released = *ReadFile(host_.WriteBinary("made", kNew));
    const std::string folder = absl::StrCat("releases/", kNew, "/");
    const std::string binary = absl::StrCat("toyd-", node::MachineArchitecture());
    host_.Write(folder + binary, released);
    host_.Write(folder + "toy-images.tar", "new images");
    host_.Write(folder + "toy.sha256", absl::StrCat(Sha256Of(released), "  ", binary, "\n",
                                                    Sha256Of("new images"), "  toy-images.tar\n"));
  }

  void MakeAgent() {
    AgentConfig config;
    config.node = "t1";
    config.state = host_.state();
    config.host = host_.paths();
    auto journal = operations::Journal::Open(config.JournalFile(), {}, &clock_);
    ASSERT_TRUE(journal.ok()) << journal.status();
    journal_ = *std::move(journal);
    parts_ = std::make_unique<NodeParts>(config, toy_);
    effects_ = std::make_unique<NodeEffects>(parts_.get(), journal_.get());
  }

  EffectResult Perform(Phase phase, v1::OperationSpec spec) {
    v1::OperationId id;
    id.set_rollout("20260131-142507-4f2a");
    operations::Record record =
        operations::NewRecord(id, {}, std::make_shared<const v1::OperationSpec>(std::move(spec)));
    record.phase = phase;
    Context context;
    return effects_->Perform(phase, record, context);
  }

  v1::OperationSpec Stage() const {
    v1::OperationSpec spec;
    v1::Release& release = *spec.mutable_stage()->mutable_release();
    release.set_version(kNew);
    release.set_images(true);
    v1::ReleaseSource& source = *release.add_sources();
    source.set_kind(v1::ReleaseSource::FOLDER);
    source.set_location(host_.Path("releases"));
    release.mutable_installer()->set_kind(v1::Installer::FILE);
    release.mutable_installer()->set_location(host_.Path("toy-install.sh"));
    return spec;
  }

  static v1::OperationSpec Install() {
    v1::OperationSpec spec;
    spec.mutable_install()->set_version(kNew);
    spec.mutable_install()->set_images(true);
    spec.mutable_install()->mutable_installer()->set_kind(v1::Installer::FILE);
    return spec;
  }

  std::string BinaryVersion() { return host_.processes().VersionOfFile(host_.Path("opt/toy/toyd")).value(); }

  FakeHost host_;
  Toy toy_;
  SystemClock clock_;
  std::unique_ptr<operations::Journal> journal_;
  std::unique_ptr<NodeParts> parts_;
  std::unique_ptr<NodeEffects> effects_;
};

TEST_F(DistributionTest, IsAskedForAllThatIsItsOwn) {
  MakeAgent();
  const v1::K3sFacts facts = node::ToFacts(parts_->ReadK3s());
  EXPECT_EQ(facts.distribution(), "toy");
  EXPECT_EQ(facts.unit(), "toy.service");
  EXPECT_EQ(facts.binary_version(), kOld);

  const EffectResult staged = Perform(Phase::kDownload, Stage());
  ASSERT_EQ(staged.kind, EffectResult::Kind::kDone) << Describe(staged.reason);
  for (const Phase phase :
       {Phase::kCheck, Phase::kKeep, Phase::kPlace, Phase::kRunInstaller, Phase::kCompare}) {
    const EffectResult result = Perform(phase, Install());
    ASSERT_EQ(result.kind, EffectResult::Kind::kDone)
        << operations::PhaseName(phase) << ": " << Describe(result.reason);
  }
  EXPECT_EQ(BinaryVersion(), kNew);
  EXPECT_EQ(host_.Read("var/lib/toy/images.tar"), "new images");
  EXPECT_EQ(host_.Read("ran"), "--into --red --blue hush\n");
  EXPECT_EQ(host_.Read(kFlagFile), "--red --blue");  // mended: the installer had emptied it
  EXPECT_THAT(host_.Read(kUnitFile), HasSubstr("by the new installer"));

  const EffectResult undone = Perform(Phase::kUndo, Install());
  ASSERT_EQ(undone.kind, EffectResult::Kind::kDone) << Describe(undone.reason);
  EXPECT_EQ(BinaryVersion(), kOld);
  EXPECT_EQ(host_.Read("var/lib/toy/images.tar"), "old images");
  EXPECT_EQ(host_.Read(kFlagFile), "--red --blue");
  EXPECT_EQ(host_.Read(kUnitFile), host_.Fill("[Service]\nExecStart=@ROOT@/opt/toy/toyd\n"));
}

TEST_F(DistributionTest, SaysWhatAnInstallerChanged) {
  toy_.mends = false;
  MakeAgent();
  for (const Phase phase : {Phase::kDownload, Phase::kKeep, Phase::kRunInstaller}) {
    const EffectResult result = Perform(phase, phase == Phase::kDownload ? Stage() : Install());
    ASSERT_EQ(result.kind, EffectResult::Kind::kDone) << Describe(result.reason);
  }
  ASSERT_EQ(Perform(Phase::kPlace, Install()).kind, EffectResult::Kind::kDone);
  const EffectResult compared = Perform(Phase::kCompare, Install());
  EXPECT_EQ(compared.kind, EffectResult::Kind::kRefused);
  EXPECT_EQ(compared.reason.code(), v1::CONFIGURATION_WOULD_CHANGE);
  EXPECT_EQ(compared.reason.detail(), "the toy's flags are gone");

  v1::OperationSpec agreed = Install();
  agreed.mutable_install()->set_allow_changed_configuration(true);
  const EffectResult shown = Perform(Phase::kCompare, agreed);
  EXPECT_EQ(shown.kind, EffectResult::Kind::kDone);
  ASSERT_EQ(shown.details.install().changes_size(), 1);
  EXPECT_EQ(shown.details.install().changes(0), "the toy's flags are gone");
}

// Each is a stranger to the other, and none touches what is not its own.
TEST_F(DistributionTest, AreToldApart) {
  ASSERT_TRUE(RemoveFileDurably(host_.Path(kUnitFile)).ok());
  host_.WriteBinary("usr/local/bin/k3s", kOld);
  host_.Write("etc/systemd/system/k3s.service", "[Service]\nExecStart=@ROOT@/usr/local/bin/k3s server\n");
  MakeAgent();
  EXPECT_EQ(node::ToFacts(parts_->ReadK3s()).distribution(), "k3s");
  const EffectResult checked = Perform(Phase::kCheck, Install());
  EXPECT_EQ(checked.kind, EffectResult::Kind::kRefused);
  EXPECT_THAT(checked.reason.detail(), HasSubstr("this node runs k3s"));
  EXPECT_EQ(host_.Read().distribution, "k3s");  // as k3s's own agent reads it
  EXPECT_TRUE(host_.Read().found());
}

}  // namespace
}  // namespace k3saga::service
