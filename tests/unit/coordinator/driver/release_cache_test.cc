#include "coordinator/driver/release_cache.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "common/host/files.h"
#include "common/reason.h"
#include "coordinator/driver/release_files.h"
#include "tests/support/release_server.h"
#include "tests/unit/common/temp_dir.h"

namespace k3saga::driver {
namespace {

using k3saga::testing::ReleaseServer;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

constexpr char kVersion[] = "v1.32.0+k3s1";

bool Nobody(const std::string&, uint64_t, uint64_t) { return true; }

class ReleaseCacheTest : public ::testing::Test {
 protected:
  ReleaseCacheTest() {
    release_.set_version(kVersion);
    AddSource(v1::ReleaseSource::COORDINATOR, server_.Url());
    server_.PutRelease(binary_);
  }

  void AddSource(v1::ReleaseSource::Kind kind, const std::string& location) {
    v1::ReleaseSource& source = *release_.add_sources();
    source.set_kind(kind);
    source.set_location(location);
  }
  absl::StatusOr<v1::Release> Bring(const std::vector<std::string>& architectures = {"amd64"}) {
    return ReleaseCache(dir_.path(), std::chrono::seconds(60)).BringHere(release_, architectures, Nobody);
  }
  v1::ReasonCode CodeOf(const absl::StatusOr<v1::Release>& brought) {
    return ReasonOf(brought.status()).code();
  }
  // Asked of the server since last time, without the version.
  std::vector<std::string> Asked() {
    std::vector<std::string> all = server_.Requests();
    std::vector<std::string> since(all.begin() + static_cast<ptrdiff_t>(seen_), all.end());
    seen_ = all.size();
    for (std::string& request : since) request = request.substr(request.find('/') + 1);
    return since;
  }

  const std::string binary_ = std::string(1 << 20, 'k');
  TempDir dir_;
  ReleaseServer server_;
  v1::Release release_;
  size_t seen_ = 0;
};

TEST_F(ReleaseCacheTest, FetchesEachArchitectureOnce) {
  const auto local = Bring({"amd64", "arm64"});
  ASSERT_TRUE(local.ok()) << local.status();
  EXPECT_THAT(Asked(), ElementsAre("sha256sum-amd64.txt ", "k3s ", "sha256sum-arm64.txt ", "k3s-arm64 "));
  const auto files = ListPushedFiles(*local);
  ASSERT_TRUE(files.ok()) << files.status();
  std::vector<std::string> names;
  for (const PushedFile& pushed : *files) {
    names.push_back(absl::StrCat(pushed.architecture, " ", pushed.file.file_name));
    struct stat info {};
    ASSERT_EQ(stat(pushed.file.path.c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777, 0600u) << pushed.file.path;
  }
  EXPECT_THAT(names, UnorderedElementsAre("amd64 k3s", "amd64 sha256sum-amd64.txt", "arm64 k3s-arm64",
                                          "arm64 sha256sum-arm64.txt"));
  // The next rollout.
  ASSERT_TRUE(Bring({"amd64", "arm64"}).ok());
  EXPECT_THAT(Asked(), ElementsAre("sha256sum-amd64.txt ", "sha256sum-arm64.txt "));
  // Wanted later.
  release_.set_images(true);
  ASSERT_TRUE(Bring({"arm64"}).ok());
  EXPECT_THAT(Asked(), ElementsAre("sha256sum-arm64.txt ", "k3s-airgap-images-arm64.tar.zst "));
}

TEST_F(ReleaseCacheTest, GoesOnAfterACutAlsoOneOfAnEarlierProcess) {
  server_.CutAfter("k3s", 4096, 1);
  const auto local = Bring();
  ASSERT_TRUE(local.ok()) << local.status();
  EXPECT_THAT(Asked(), ElementsAre("sha256sum-amd64.txt ", "k3s ", HasSubstr("k3s bytes=4096-")));
  const std::string path = JoinPath(local->sources(0).location(), absl::StrCat(kVersion, "/k3s"));
  EXPECT_EQ(*Sha256OfFile(path), Sha256Of(binary_ + "amd64"));

  ASSERT_TRUE(RemoveFileDurably(path).ok());
  ASSERT_TRUE(WriteFileDurably(path + ".part", binary_.substr(0, 1000)).ok());
  ASSERT_TRUE(Bring().ok());
  EXPECT_THAT(Asked(), ElementsAre("sha256sum-amd64.txt ", HasSubstr("k3s bytes=1000-")));
  EXPECT_EQ(*Sha256OfFile(path), Sha256Of(binary_ + "amd64"));
}

TEST_F(ReleaseCacheTest, HandsOutNothingThatDoesNotMatchItsChecksum) {
  server_.Put("k3s", "tampered");
  const auto wrong = Bring();
  EXPECT_EQ(CodeOf(wrong), v1::CHECKSUM_MISMATCH);
  EXPECT_THAT(std::string(wrong.status().message()), HasSubstr(server_.Url()));
  // Mended there; then damaged here.
  server_.PutRelease(binary_);
  const auto local = Bring();
  ASSERT_TRUE(local.ok()) << local.status();
  const std::string path = JoinPath(local->sources(0).location(), absl::StrCat(kVersion, "/k3s"));
  ASSERT_TRUE(WriteFileDurably(path, "rot").ok());
  ASSERT_TRUE(Bring().ok());
  EXPECT_EQ(*Sha256OfFile(path), Sha256Of(binary_ + "amd64"));
}

TEST_F(ReleaseCacheTest, DoesWithoutASourceThatIsGoneOnceItHasAll) {
  ASSERT_TRUE(Bring().ok());
  server_.Remove("sha256sum-amd64.txt");
  server_.Remove("k3s");
  EXPECT_TRUE(Bring().ok());
  release_.set_images(true);
  server_.Remove("k3s-airgap-images-amd64.tar.zst");
  EXPECT_EQ(CodeOf(Bring()), v1::RELEASE_UNAVAILABLE);
}

TEST_F(ReleaseCacheTest, TakesTheFirstSourceThatHasTheRelease) {
  ReleaseServer mirror;
  mirror.PutRelease(binary_);
  server_.Remove("k3s");
  EXPECT_EQ(CodeOf(Bring()), v1::RELEASE_UNAVAILABLE);
  AddSource(v1::ReleaseSource::COORDINATOR, mirror.Url());
  AddSource(v1::ReleaseSource::COORDINATOR, "/nowhere");
  const auto local = Bring();
  ASSERT_TRUE(local.ok()) << local.status();
  ASSERT_EQ(local->sources_size(), 1);
  EXPECT_TRUE(ListPushedFiles(*local).ok());
  EXPECT_EQ(mirror.Requests().size(), 2u);
}

TEST_F(ReleaseCacheTest, LeavesItToTheNodesWhereTheyHaveASourceOfTheirOwn) {
  server_.Remove("k3s");
  AddSource(v1::ReleaseSource::FOLDER, "/srv/k3s");
  const auto local = Bring();
  ASSERT_TRUE(local.ok()) << local.status();
  ASSERT_EQ(local->sources_size(), 1);
  EXPECT_EQ(local->sources(0).kind(), v1::ReleaseSource::FOLDER);
  EXPECT_THAT(*ListPushedFiles(*local), IsEmpty());
}

TEST_F(ReleaseCacheTest, EveryFailureHasItsReason) {
  release_.set_version("v1.99.0+k3s1");
  for (const char* name : {"k3s", "sha256sum-amd64.txt"}) server_.Remove(name);
  EXPECT_EQ(CodeOf(Bring()), v1::RELEASE_UNAVAILABLE);
  server_.Put("sha256sum-amd64.txt", "# nothing\n");
  EXPECT_EQ(CodeOf(Bring()), v1::RELEASE_UNAVAILABLE);
  EXPECT_EQ(CodeOf(Bring({})), v1::RELEASE_UNAVAILABLE);
  release_.set_version("../../etc");
  EXPECT_FALSE(Bring().ok());
  release_.set_version(kVersion);
  const auto stopped =
      ReleaseCache(dir_.path()).BringHere(release_, {"amd64"}, [](const std::string&, uint64_t, uint64_t) {
        return false;
      });
  EXPECT_EQ(CodeOf(stopped), v1::CANCELLED);
  release_.clear_sources();
  AddSource(v1::ReleaseSource::COORDINATOR, "/nowhere");
  EXPECT_THAT(std::string(Bring().status().message()), HasSubstr("/nowhere/v1.32.0+k3s1: no such folder"));
}

TEST_F(ReleaseCacheTest, KeepsTheVersionsUsedLast) {
  std::string source;
  for (int minor = 29; minor <= 32; ++minor) {
    release_.set_version(absl::StrCat("v1.", minor, ".0+k3s1"));
    const auto local = Bring();
    ASSERT_TRUE(local.ok()) << local.status();
    source = local->sources(0).location();
    // The first is used again and again.
    const timespec when[2] = {{minor == 29 ? 9'000 : minor, 0}, {minor == 29 ? 9'000 : minor, 0}};
    ASSERT_EQ(utimensat(AT_FDCWD, JoinPath(source, release_.version()).c_str(), when, 0), 0);
  }
  EXPECT_THAT(*ListDirectory(source), ElementsAre("v1.29.0+k3s1", "v1.31.0+k3s1", "v1.32.0+k3s1"));
}

TEST_F(ReleaseCacheTest, BringsTheInstallerToo) {
  server_.Put("install.sh", "#!/bin/sh\n");
  release_.clear_sources();
  v1::Installer& installer = *release_.mutable_installer();
  installer.set_kind(v1::Installer::COORDINATOR);
  installer.set_location(absl::StrCat(server_.Url(), "/download/any/install.sh"));
  const auto local = Bring();
  ASSERT_TRUE(local.ok()) << local.status();
  EXPECT_EQ(*ReadFile(local->installer().location()), "#!/bin/sh\n");
  EXPECT_EQ(ListPushedFiles(*local)->size(), 1u);
  // Mended there: taken anew. Gone there: the one from before. Named by its hash: nobody is asked.
  server_.Put("install.sh", "#!/bin/dash\n");
  EXPECT_EQ(*ReadFile(Bring()->installer().location()), "#!/bin/dash\n");
  server_.Remove("install.sh");
  EXPECT_EQ(*ReadFile(Bring()->installer().location()), "#!/bin/dash\n");
  Asked();
  installer.set_sha256(Sha256Of("#!/bin/dash\n"));
  EXPECT_TRUE(Bring().ok());
  EXPECT_THAT(Asked(), IsEmpty());
  installer.set_location(absl::StrCat(server_.Url(), "/download/any/other.sh"));
  EXPECT_EQ(CodeOf(Bring()), v1::RELEASE_UNAVAILABLE);
}

class ReleaseLookTest : public ReleaseCacheTest {
 protected:
  std::vector<v1::Reason> Look() {
    return ReleaseCache(dir_.path(), std::chrono::seconds(60)).Look(release_, {"amd64"}, "/etc/cluster.yaml");
  }
  // A port where nobody listens any more.
  static std::string Nowhere() { return ReleaseServer().Url(); }
};

TEST_F(ReleaseLookTest, AsksForTheChecksumsAloneAndLeavesNothingHere) {
  EXPECT_THAT(Look(), IsEmpty());
  EXPECT_THAT(Asked(), ElementsAre("sha256sum-amd64.txt "));
  EXPECT_THAT(*ListDirectory(dir_.path()), IsEmpty());
}

TEST_F(ReleaseLookTest, ARefusalNamesUrlAndFile) {
  server_.Remove("sha256sum-amd64.txt");
  std::vector<v1::Reason> missing = Look();
  ASSERT_EQ(missing.size(), 1u);
  EXPECT_EQ(missing[0].code(), v1::RELEASE_UNAVAILABLE);
  EXPECT_EQ(missing[0].subject(), kVersion);
  EXPECT_THAT(missing[0].detail(), HasSubstr(server_.Url() + "/download/"));
  EXPECT_THAT(missing[0].remedy(), HasSubstr("release.source in /etc/cluster.yaml"));

  server_.Put("sha256sum-amd64.txt", Sha256Of("x") + "  another-file\n");
  missing = Look();
  ASSERT_EQ(missing.size(), 1u);
  EXPECT_THAT(missing[0].detail(), HasSubstr("does not name k3s"));

  release_.mutable_sources(0)->set_location(Nowhere());
  missing = Look();
  ASSERT_EQ(missing.size(), 1u);
  EXPECT_TRUE(missing[0].code() == v1::DOWNLOAD_FAILED || missing[0].code() == v1::TIMED_OUT);
  EXPECT_THAT(missing[0].remedy(), HasSubstr("does this machine reach it"));

  release_.mutable_sources(0)->set_location("/nowhere");
  missing = Look();
  ASSERT_EQ(missing.size(), 1u);
  EXPECT_THAT(missing[0].detail(), HasSubstr("/nowhere/v1.32.0+k3s1: no such folder"));
}

TEST_F(ReleaseLookTest, WhatIsHereAlreadyOrElsewhereIsNotMissed) {
  ASSERT_TRUE(Bring().ok());
  server_.Remove("sha256sum-amd64.txt");
  EXPECT_THAT(Look(), IsEmpty()) << "all of it was fetched before";
  release_.set_images(true);
  EXPECT_EQ(Look().size(), 1u) << "the images were not";
  AddSource(v1::ReleaseSource::FOLDER, "/srv/k3s");
  EXPECT_THAT(Look(), IsEmpty()) << "the nodes' own to ask";
}

TEST_F(ReleaseLookTest, TheInstallerIsLookedAtToo) {
  server_.Put("install.sh", "#!/bin/sh\n");
  v1::Installer& installer = *release_.mutable_installer();
  installer.set_kind(v1::Installer::COORDINATOR);
  installer.set_location(server_.Url() + "/download/x/install.sh");
  EXPECT_THAT(Look(), IsEmpty());
  installer.set_sha256(Sha256Of("another one"));
  std::vector<v1::Reason> missing = Look();
  ASSERT_EQ(missing.size(), 1u);
  EXPECT_EQ(missing[0].code(), v1::CHECKSUM_MISMATCH);
  EXPECT_THAT(missing[0].remedy(), HasSubstr("release.installer in /etc/cluster.yaml"));
  server_.Remove("install.sh");
  missing = Look();
  ASSERT_EQ(missing.size(), 1u);
  EXPECT_THAT(missing[0].detail(), HasSubstr("install.sh: HTTP status 404"));
}

}  // namespace
}  // namespace k3saga::driver
