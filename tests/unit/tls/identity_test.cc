#include "common/tls/identity.h"

#include <sys/stat.h>
#include <unistd.h>

#include <ctime>
#include <filesystem>
#include <fstream>

namespace k3saga::tls {
namespace {

namespace fs = std::filesystem;

class IdentityFilesTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "k3saga-tls-XXXXXX").string();
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    dir_ = name;
    authority_ = *CreateAuthority("shop-12", time(nullptr), 30);
    files_ = {At("ca.crt"), At("s1.crt"), At("s1.key")};
    ASSERT_EQ(WriteCertificate(authority_.certificate_pem, files_.ca), absl::OkStatus());
    const Peer peer{"shop-12", PeerRole::kAgent, "s1"};
    ASSERT_EQ(
        WriteCertificateAndKey(*Issue(authority_, peer, time(nullptr), 30), files_.certificate, files_.key),
        absl::OkStatus());
  }
  void TearDown() override { fs::remove_all(dir_); }

  std::string At(const char* name) const { return (fs::path(dir_) / name).string(); }
  std::string ErrorOf(const IdentityFiles& files) const {
    auto identity = LoadIdentity(files, time(nullptr));
    return identity.ok() ? "" : std::string(identity.status().message());
  }

  std::string dir_;
  CertificateAndKey authority_;
  IdentityFiles files_;
};

TEST_F(IdentityFilesTest, ReadsWhatWasWritten) {
  auto identity = LoadIdentity(files_, time(nullptr));
  ASSERT_TRUE(identity.ok()) << identity.status();
  EXPECT_EQ(identity->self, (Peer{"shop-12", PeerRole::kAgent, "s1"}));
  EXPECT_NEAR(static_cast<double>(identity->not_after_unix - time(nullptr)), 30 * 86400.0, 60);
}

TEST_F(IdentityFilesTest, KeysAreForTheOwnerOnly) {
  struct stat about {};
  ASSERT_EQ(stat(files_.key.c_str(), &about), 0);
  EXPECT_EQ(about.st_mode & 07777, 0600u);
  for (mode_t mode : {0640, 0604, 0644}) {
    ASSERT_EQ(chmod(files_.key.c_str(), mode), 0);
    EXPECT_THAT(ErrorOf(files_), testing::AllOf(testing::HasSubstr("others may use"),
                                                testing::HasSubstr("chmod 600 " + files_.key)));
  }
}

TEST_F(IdentityFilesTest, EveryErrorNamesTheFile) {
  IdentityFiles missing = files_;
  missing.certificate = At("nobody.crt");
  EXPECT_THAT(ErrorOf(missing), testing::HasSubstr("nobody.crt: cannot be opened: No such file"));
  IdentityFiles folder = files_;
  folder.ca = dir_;
  EXPECT_THAT(ErrorOf(folder), testing::HasSubstr("not a regular file"));
  IdentityFiles swapped = files_;
  swapped.certificate = files_.ca;
  EXPECT_THAT(ErrorOf(swapped),
              testing::AllOf(testing::HasSubstr("ca.crt"), testing::HasSubstr("key does not belong")));
}

TEST_F(IdentityFilesTest, NothingIsOverwritten) {
  absl::Status status = WriteCertificateAndKey(authority_, At("new.crt"), files_.key);
  EXPECT_EQ(status.code(), absl::StatusCode::kAlreadyExists);
  EXPECT_FALSE(fs::exists(At("new.crt")));
  EXPECT_TRUE(LoadIdentity(files_, time(nullptr)).ok());
}

}  // namespace
}  // namespace k3saga::tls
