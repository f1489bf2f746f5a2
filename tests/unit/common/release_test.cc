#include <gmock/gmock.h>

#include <optional>

#include "common/host/files.h"
#include "common/reason.h"
#include "common/release/fetch.h"
#include "common/release/files.h"
#include "tests/unit/common/temp_dir.h"

namespace k3saga::release {
namespace {

TEST(Checksums, AreFoundByName) {
  const std::string sha(64, 'a');
  EXPECT_EQ(*FindChecksum(absl::StrCat(sha, "  k3s\n"), "k3s"), sha);
  EXPECT_EQ(*FindChecksum(absl::StrCat(sha, " *k3s\r\n"), "k3s"), sha);
  EXPECT_EQ(*FindChecksum(absl::StrCat(std::string(64, 'A'), "  k3s\n"), "k3s"), sha);
  EXPECT_EQ(*FindChecksum(absl::StrCat(sha, "  k3s-arm64\n"), "k3s"), "");
  EXPECT_EQ(FindImages(absl::StrCat(sha, "  b.tar\n", sha, "  c.tar\n"), {"a.tar", "b.tar", "c.tar"})->first,
            "b.tar");
  EXPECT_TRUE(absl::IsNotFound(FindImages("", {"a.tar"}).status()));
  EXPECT_FALSE(FindChecksum("abc  k3s\n", "k3s").ok());
}

TEST(ArchitectureOf, KnowsTheFilesOfARelease) {
  struct Case {
    const char* name;
    std::optional<std::string> architecture;
  };
  for (const Case& one :
       {Case{"k3s", "amd64"}, Case{"k3s-arm64", "arm64"}, Case{"k3s-armhf", "arm"},
        Case{"sha256sum-amd64.txt", "amd64"}, Case{"sha256sum-arm.txt", "arm"},
        Case{"k3s-airgap-images-amd64.tar", "amd64"}, Case{"k3s-airgap-images-arm64.tar.zst", "arm64"},
        Case{"k3s-airgap-images-s390x.tar.gz", "s390x"}, Case{"k3s.bak", std::nullopt},
        Case{"", std::nullopt}, Case{"sha256sum-mips.txt", std::nullopt}, Case{"../k3s", std::nullopt}}) {
    EXPECT_EQ(ArchitectureOf(one.name), one.architecture) << one.name;
  }
}

TEST(UrlOf, HasGitHubsLayout) {
  for (const char* base : {"https://mirror.example/k3s", "https://mirror.example/k3s//"}) {
    EXPECT_EQ(UrlOf(base, "v1.32.0+k3s1", "k3s"), "https://mirror.example/k3s/download/v1.32.0%2Bk3s1/k3s");
  }
}

class FetchVerifiedTest : public ::testing::Test {
 protected:
  // What comes, one a try; the last one again and again.
  absl::Status Fetch(const std::vector<std::string>& contents) {
    return FetchVerified({.name = "k3s", .sha256 = Sha256Of("good"), .path = path_, .source = "the mirror"},
                         [&](const std::string& partial) {
                           EXPECT_EQ(partial, path_ + ".part");
                           const std::string& content =
                               contents[std::min(static_cast<size_t>(tries_++), contents.size() - 1)];
                           return WriteFileDurably(partial, content);
                         });
  }

  TempDir dir_;
  const std::string path_ = dir_ / "k3s";
  int tries_ = 0;
};

TEST_F(FetchVerifiedTest, FetchesWhatIsMissingOrOtherwise) {
  ASSERT_TRUE(Fetch({"good"}).ok());
  ASSERT_TRUE(Fetch({"good"}).ok());
  EXPECT_EQ(tries_, 1) << "what is there and right stays";
  dir_.Write("k3s", "rot");
  ASSERT_TRUE(Fetch({"good"}).ok());
  EXPECT_EQ(*ReadFile(path_), "good");
}

TEST_F(FetchVerifiedTest, RefusesAnotherHashAndKeepsNothingOfIt) {
  const absl::Status wrong = Fetch({"bad"});
  EXPECT_EQ(ReasonOf(wrong).code(), v1::CHECKSUM_MISMATCH);
  EXPECT_THAT(std::string(wrong.message()), ::testing::HasSubstr("the mirror"));
  EXPECT_EQ(tries_, 1);
  EXPECT_FALSE(Exists(path_));
  EXPECT_FALSE(Exists(path_ + ".part"));
}

TEST_F(FetchVerifiedTest, BeginsAnewWhereTheBeginningWasOfSomethingElse) {
  dir_.Write("k3s.part", "b");
  EXPECT_TRUE(Fetch({"bood", "good"}).ok());
  dir_.Write("k3s", "rot");
  dir_.Write("k3s.part", "b");
  tries_ = 0;
  EXPECT_EQ(ReasonOf(Fetch({"bad"})).code(), v1::CHECKSUM_MISMATCH);
  EXPECT_EQ(tries_, 2) << "once";
}

}  // namespace
}  // namespace k3saga::release
