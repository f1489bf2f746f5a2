#pragma once

#include <absl/strings/str_cat.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <string>
#include <vector>

#include "common/host/process.h"

namespace k3saga::cli {

// A folder with a cluster file in it, and k3saga run there as a user would.
class Workspace : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = (std::filesystem::temp_directory_path() / "k3saga-cli-XXXXXX").string();
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    dir_ = name;
  }
  void TearDown() override { std::filesystem::remove_all(dir_); }

  std::string At(const std::string& name) const { return dir_ + "/" + name; }

  std::vector<std::string> Environment() const {
    std::vector<std::string> environment = PlainEnvironment();
    environment.push_back("K3SAGA_STATE=" + At("state"));
    environment.push_back("HOME=" + dir_);
    environment.push_back("TZ=UTC");
    return environment;
  }

  ProcessResult K3saga(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), K3SAGA_PROGRAM);
    auto result = k3saga::Run({.argv = std::move(arguments),
                               .environment = Environment(),
                               .working_directory = dir_,
                               .deadline = std::chrono::seconds(60)});
    EXPECT_TRUE(result.ok()) << result.status();
    return result.ok() ? *result : ProcessResult();
  }

  // Agents at addresses where nobody listens.
  void Init(const std::vector<std::string>& nodes = {"s1=server@127.0.0.1:1"}) {
    std::vector<std::string> arguments = {"init", "--name", "shop-12"};
    for (const std::string& node : nodes) {
      arguments.push_back("--node");
      arguments.push_back(node);
    }
    const ProcessResult result = K3saga(arguments);
    ASSERT_EQ(result.exit_code, 0) << result.err;
  }

  std::string dir_;
};

}  // namespace k3saga::cli
