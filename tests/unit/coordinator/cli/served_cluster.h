#pragma once

#include <absl/strings/str_cat.h>
#include <absl/strings/str_replace.h>

#include <string>
#include <vector>

#include "common/host/files.h"
#include "tests/unit/coordinator/cli/fake_cluster.h"
#include "tests/unit/coordinator/cli/terminal_workspace.h"

namespace k3saga::cli {

// A workspace whose cluster.yaml names five agents that answer.
class ServedCluster : public TerminalWorkspace {
 protected:
  void SetUp() override {
    Workspace::SetUp();
    // The authority first: the agents' certificates come from it, and their ports go into the cluster file.
    ASSERT_EQ(K3saga({"init", "--name", "shop-12"}).exit_code, 0);
    auto authority = tls::LoadAuthority(At("identity/ca.crt"), At("identity/ca.key"));
    ASSERT_TRUE(authority.ok()) << authority.status();
    cluster_.Serve(*authority);
    ASSERT_TRUE(RemoveFileDurably(At("cluster.yaml")).ok());
    std::vector<std::string> nodes;
    for (const auto& [name, port] : cluster_.Ports()) {
      nodes.push_back(absl::StrCat(name, name.front() == 's' ? "=server" : "=worker", "@127.0.0.1:", port));
    }
    Init(nodes);
    auto text = ReadFile(At("cluster.yaml"));
    ASSERT_TRUE(text.ok());
    ASSERT_TRUE(WriteFileDurably(
                    At("cluster.yaml"),
                    absl::StrReplaceAll(
                        *text, {{"settle_time: 15s", "settle_time: 0s"},
                                {"source: https://github.com/k3s-io/k3s/releases", "source: /srv/releases"}}))
                    .ok());
  }

  FakeCluster cluster_{3, 2};
};

}  // namespace k3saga::cli
