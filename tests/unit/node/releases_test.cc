#include "agent/node/releases.h"

#include <absl/strings/str_cat.h>

#include "agent/node/uploads.h"
#include "common/reason.h"
#include "tests/support/release_server.h"
#include "tests/unit/node/fake_host.h"

namespace k3saga::node {
namespace {

using k3saga::testing::ReleaseServer;

constexpr char kVersion[] = "v1.32.0+k3s1";

class ReleasesTest : public ::testing::Test {
 protected:
  ReleasesTest()
      : store_(host_.state(), &host_.processes(), K3s()),
        architecture_(MachineArchitecture()),
        binary_name_(K3s().FilesOfRelease(architecture_).binary),
        checksum_name_(K3s().FilesOfRelease(architecture_).checksums) {
    binary_ = *ReadFile(host_.WriteBinary("made/k3s", kVersion));
    host_.Write("install.sh", "#!/bin/sh\n");
  }

  std::string Checksums(const std::string& binary) const {
    return absl::StrCat(Sha256Of("images"), "  k3s-airgap-images-", architecture_, ".tar.zst\n",
                        Sha256Of(binary), "  ", binary_name_, "\n");
  }
  void FillFolder(const std::string& folder, const std::string& binary) {
    host_.Write(absl::StrCat(folder, "/", kVersion, "/", binary_name_), binary);
    host_.Write(absl::StrCat(folder, "/", kVersion, "/", checksum_name_), Checksums(binary));
    host_.Write(absl::StrCat(folder, "/", kVersion, "/k3s-airgap-images-", architecture_, ".tar.zst"),
                "images");
  }
  v1::Release Release(v1::ReleaseSource::Kind kind, const std::string& location) {
    v1::Release release;
    release.set_version(kVersion);
    v1::ReleaseSource* source = release.add_sources();
    source->set_kind(kind);
    source->set_location(location);
    release.mutable_installer()->set_kind(v1::Installer::FILE);
    release.mutable_installer()->set_location(host_.Path("install.sh"));
    return release;
  }
  v1::ReasonCode CodeOf(const v1::Release& release) {
    return ReasonOf(store_.Stage(release, {.deadline = std::chrono::seconds(60)}).status()).code();
  }

  FakeHost host_;
  ReleaseStore store_;
  std::string architecture_;
  std::string binary_name_;
  std::string checksum_name_;
  std::string binary_;
};

TEST_F(ReleasesTest, StagesFromAFolder) {
  FillFolder("releases", binary_);
  v1::Release release = Release(v1::ReleaseSource::FOLDER, host_.Path("releases"));
  release.set_images(true);
  auto staged = store_.Stage(release, {});
  ASSERT_TRUE(staged.ok()) << staged.status();
  EXPECT_EQ(*host_.processes().VersionOfFile(staged->binary), kVersion);
  EXPECT_EQ(*ReadFile(staged->images), "images");
  EXPECT_TRUE(IsExecutableFile(staged->installer));
  auto found = store_.Find(kVersion);
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ(found->sha256, Sha256Of(binary_));
  EXPECT_EQ(found->images, staged->images);
  EXPECT_EQ(store_.Versions(), std::vector<std::string>{kVersion});
  // What is verified needs no source any more.
  ASSERT_TRUE(RemoveTree(host_.Path("releases")).ok());
  ASSERT_TRUE(store_.Stage(release, {}).ok());
  ASSERT_TRUE(WriteFileDurably(found->binary, "rot").ok());
  EXPECT_EQ(CodeOf(release), v1::RELEASE_UNAVAILABLE);
  ASSERT_TRUE(store_.Drop(kVersion).ok());
  EXPECT_FALSE(store_.Find(kVersion).ok());
  EXPECT_TRUE(store_.Drop(kVersion).ok());
}

TEST_F(ReleasesTest, ResumesADownloadThatWasCut) {
  ReleaseServer server;
  server.Put(checksum_name_, Checksums(binary_));
  server.Put(binary_name_, binary_);
  server.CutAfter(binary_name_, 4096, 1);
  uint64_t seen = 0;
  StageOptions options;
  options.progress = [&](std::string_view, uint64_t done, uint64_t) {
    seen = std::max(seen, done);
    return true;
  };
  auto staged = store_.Stage(Release(v1::ReleaseSource::GITHUB, server.Url() + "/"), options);
  ASSERT_TRUE(staged.ok()) << staged.status();
  EXPECT_EQ(*Sha256OfFile(staged->binary), Sha256Of(binary_));
  EXPECT_GT(seen, 0u);
  const std::vector<std::string> requests = server.Requests();
  ASSERT_EQ(requests.size(), 3u);
  EXPECT_EQ(requests[0], absl::StrCat("v1.32.0+k3s1/", checksum_name_, " "));
  EXPECT_THAT(requests[2], ::testing::HasSubstr("bytes=4096-"));
}

TEST_F(ReleasesTest, ADownloadCutInAnEarlierLifeIsGoneOnWith) {
  ReleaseServer server;
  server.Put(checksum_name_, Checksums(binary_));
  server.Put(binary_name_, binary_);
  const std::string folder = JoinPath(host_.state().Staged(), kVersion);
  ASSERT_TRUE(MakeDirectories(folder).ok());
  ASSERT_TRUE(WriteFileDurably(folder + "/k3s.part", binary_.substr(0, 1000)).ok());
  ASSERT_TRUE(store_.Stage(Release(v1::ReleaseSource::GITHUB, server.Url()), {}).ok());
  EXPECT_THAT(server.Requests().back(), ::testing::HasSubstr("bytes=1000-"));
}

TEST_F(ReleasesTest, WhatDoesNotMatchItsChecksumIsThrownAwayAndTheNextSourceTried) {
  FillFolder("bad", binary_);
  host_.Write(absl::StrCat("bad/", kVersion, "/", binary_name_), "tampered");
  v1::Release release = Release(v1::ReleaseSource::FOLDER, host_.Path("bad"));
  EXPECT_EQ(CodeOf(release), v1::CHECKSUM_MISMATCH);
  EXPECT_FALSE(store_.Find(kVersion).ok());
  FillFolder("good", binary_);
  v1::ReleaseSource* second = release.add_sources();
  second->set_kind(v1::ReleaseSource::FOLDER);
  second->set_location(host_.Path("good"));
  EXPECT_TRUE(store_.Stage(release, {}).ok());
}

TEST_F(ReleasesTest, EveryFailureHasItsReason) {
  EXPECT_EQ(CodeOf(Release(v1::ReleaseSource::FOLDER, host_.Path("nowhere"))), v1::RELEASE_UNAVAILABLE);

  FillFolder("wrong", *ReadFile(host_.WriteBinary("other", "v1.31.0+k3s1")));
  EXPECT_EQ(CodeOf(Release(v1::ReleaseSource::FOLDER, host_.Path("wrong"))), v1::WRONG_VERSION_RUNNING);

  FillFolder("garbage", "not a program");
  EXPECT_EQ(CodeOf(Release(v1::ReleaseSource::FOLDER, host_.Path("garbage"))), v1::RELEASE_UNAVAILABLE);

  host_.Write(absl::StrCat("unnamed/", kVersion, "/", checksum_name_), "# empty\n");
  EXPECT_EQ(CodeOf(Release(v1::ReleaseSource::FOLDER, host_.Path("unnamed"))), v1::RELEASE_UNAVAILABLE);

  ReleaseServer server;
  EXPECT_EQ(CodeOf(Release(v1::ReleaseSource::GITHUB, server.Url())), v1::RELEASE_UNAVAILABLE);

  FillFolder("releases", binary_);
  v1::Release release = Release(v1::ReleaseSource::FOLDER, host_.Path("releases"));
  release.mutable_installer()->set_sha256(std::string(64, '0'));
  EXPECT_EQ(CodeOf(release), v1::CHECKSUM_MISMATCH);
  release.set_version("../../etc");
  EXPECT_FALSE(store_.Stage(release, {}).ok());
}

TEST_F(ReleasesTest, CanBeStoppedInTheMiddle) {
  ReleaseServer server;
  server.Put(checksum_name_, Checksums(binary_));
  server.Put(binary_name_, binary_);
  StageOptions options;
  options.progress = [](std::string_view, uint64_t, uint64_t) { return false; };
  auto staged = store_.Stage(Release(v1::ReleaseSource::GITHUB, server.Url()), options);
  EXPECT_EQ(ReasonOf(staged.status()).code(), v1::CANCELLED);
}

TEST_F(ReleasesTest, TakesWhatTheCoordinatorPushed) {
  UploadStore uploads(host_.state());
  auto push = [&](const std::string& version, const std::string& name, const std::string& content) {
    const std::string sha = Sha256Of(content);
    auto begun = uploads.Begin(sha, content.size());
    ASSERT_TRUE(begun.ok()) << begun.status();
    ASSERT_TRUE(uploads.Append(sha, 0, content).ok());
    ASSERT_TRUE(uploads.Finish(sha, version, name).ok());
  };
  push(kVersion, binary_name_, binary_);
  push(kVersion, checksum_name_, Checksums(binary_));
  push("", "install.sh", "#!/bin/sh\n");
  v1::Release release = Release(v1::ReleaseSource::COORDINATOR, "");
  release.mutable_installer()->set_kind(v1::Installer::COORDINATOR);
  auto staged = store_.Stage(release, {});
  ASSERT_TRUE(staged.ok()) << staged.status();
  EXPECT_EQ(*ReadFile(staged->installer), "#!/bin/sh\n");
}

TEST(Uploads, AreResumedAndVerified) {
  TempDir dir;
  UploadStore uploads({dir.path()});
  const std::string content(1000, 'u');
  const std::string sha = Sha256Of(content);
  ASSERT_EQ(uploads.Begin(sha, 1000)->complete, false);
  ASSERT_TRUE(uploads.Append(sha, 0, content.substr(0, 600)).ok());
  EXPECT_EQ(uploads.Begin(sha, 1000)->offset, 600u);
  EXPECT_TRUE(absl::IsOutOfRange(uploads.Append(sha, 700, "x")));
  EXPECT_TRUE(uploads.Append(sha, 500, content.substr(500)).ok());
  EXPECT_TRUE(uploads.Begin(sha, 1000)->complete);
  EXPECT_EQ(*uploads.Finish(sha, kVersion, "k3s"), 1000u);
  EXPECT_EQ(*uploads.Finish(sha, kVersion, "k3s"), 1000u);  // pushed again
  EXPECT_EQ(*ReadFile(*uploads.Find(kVersion, "k3s")), content);

  const std::string other = Sha256Of("other");
  ASSERT_TRUE(uploads.Append(other, 0, "damaged").ok());
  EXPECT_TRUE(absl::IsDataLoss(uploads.Finish(other, kVersion, "x").status()));
  EXPECT_EQ(uploads.Begin(other, 5)->offset, 0u);
}

TEST(Uploads, OfABackupMakeOneOnceItsManifestCame) {
  TempDir dir;
  const StatePaths state{dir.path()};
  UploadStore uploads(state);
  const std::string folder = state.Backups() + "/b1";
  const auto push = [&](const std::string& name, const std::string& content) {
    const std::string sha = Sha256Of(content);
    EXPECT_TRUE(uploads.Begin(sha, content.size()).ok());
    EXPECT_TRUE(uploads.Append(sha, 0, content).ok());
    const auto bytes = uploads.Finish(sha, "backup/b1", name);
    EXPECT_TRUE(bytes.ok()) << bytes.status();
  };
  push("token", "secret");
  push("environment", "");
  push("config.yaml", "");
  push("manifest.json", "{}");
  for (const char* name : {"token", "environment", "config.yaml", "manifest.json"}) {
    EXPECT_TRUE(Exists(folder + "/" + name)) << name;
  }
  struct stat info {};
  ASSERT_EQ(stat((folder + "/token").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  // Another content: until the manifest has come again, it is no backup.
  push("token", "another");
  EXPECT_FALSE(Exists(folder + "/manifest.json"));
  for (const char* id : {"", ".", "..", "../x", "a/b"}) {
    EXPECT_FALSE(uploads.Finish(Sha256Of("x"), std::string("backup/") + id, "token").ok()) << id;
  }
}

TEST(Uploads, NamesNeverLeaveTheFolder) {
  TempDir dir;
  UploadStore uploads({dir.path()});
  const std::string sha = Sha256Of("x");
  EXPECT_FALSE(uploads.Begin("../../etc/passwd", 1).ok());
  EXPECT_FALSE(uploads.Append("ABC", 0, "x").ok());
  for (const char* name : {"", "../x", "a/b", ".x"})
    EXPECT_FALSE(uploads.Finish(sha, kVersion, name).ok()) << name;
  EXPECT_FALSE(uploads.Finish(sha, "../x", "k3s").ok());
}

}  // namespace
}  // namespace k3saga::node
