#include "lab/k3s/release_file.h"

#include "lab/base/files.h"
#include "lab/base/layout.h"
#include "lab/base/pki.h"

namespace k3saga::lab {
namespace {

TEST(ReleaseFile, CarriesItsVersionBehindTheProgram) {
  const std::filesystem::path dir =
      std::filesystem::temp_directory_path() / ("k3saga-release-" + RandomHex(8));
  ASSERT_TRUE(WriteFile(dir / "program", "not really a program").ok());
  ASSERT_TRUE(
      WriteRelease(dir / "program", dir, "v1.32.0+k3s1", {"v1.32.0+k3s1", {{"never_ready", true}}}).ok());
  const std::filesystem::path binary = dir / "v1.32.0+k3s1" / BinaryFileName();
  auto info = ReadRelease(binary);
  ASSERT_TRUE(info.ok()) << info.status();
  EXPECT_EQ(info->version, "v1.32.0+k3s1");
  EXPECT_TRUE(info->faults.value("never_ready", false));
  auto sums = ReadFile(dir / "v1.32.0+k3s1" / ChecksumFileName());
  EXPECT_THAT(*sums, ::testing::StartsWith(Sha256Hex(*ReadFile(binary)) + "  "));

  std::string contents = *ReadFile(binary);
  contents.resize(contents.size() / 2);
  ASSERT_TRUE(WriteFile(dir / "cut", contents).ok());
  EXPECT_FALSE(ReadRelease(dir / "cut").ok());
  std::filesystem::remove_all(dir);
}

}  // namespace
}  // namespace k3saga::lab
