// Where a release comes from when nobody put it on the nodes: a channel that names the version, a mirror of
// the release page whose connection breaks, the coordinator's own machine.

#include <absl/strings/str_cat.h>
#include <httplib.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <mutex>
#include <thread>

#include "common/host/files.h"
#include "tests/e2e/outcome.h"

namespace k3saga::testing {
namespace {

using Versions = std::map<std::string, std::string>;

// Channel server and mirror in one, on the loopback: /channels/NAME redirects to a version,
// /releases/download/VERSION/FILE is that file of a folder, /install.sh an installer. The first `breaks`
// answers for a binary break off in its middle.
class Mirror {
 public:
  Mirror(std::string folder, std::string installer, int breaks)
      : folder_(std::move(folder)), installer_(std::move(installer)), breaks_(breaks) {
    server_.Get("/channels/stable", [this](const httplib::Request&, httplib::Response& response) {
      ++asked_for_channel_;
      response.set_redirect(absl::StrCat("/releases/tag/", "v1.32.0%2Bk3s1"), 302);
    });
    server_.Get(
        R"(/releases/download/([^/]+)/([^/]+))",
        [this](const httplib::Request& request, httplib::Response& response) { Serve(request, response); });
    server_.Get("/install.sh", [this](const httplib::Request&, httplib::Response& response) {
      ++asked_for_installer_;
      response.set_content(ReadFile(installer_).value_or(""), "text/plain");
    });
    port_ = server_.bind_to_any_port("127.0.0.1");
    thread_ = std::thread([this] { server_.listen_after_bind(); });
    while (!server_.is_running()) std::this_thread::yield();
  }
  ~Mirror() {
    server_.stop();
    thread_.join();
  }
  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }

  int asked_for_channel() const { return asked_for_channel_; }
  int asked_for_installer() const { return asked_for_installer_; }
  // Requests for a binary, whole or in part.
  int asked_for_binary() {
    const std::lock_guard lock(mutex_);
    return asked_for_binary_;
  }
  // Answers that went on behind the first byte.
  int resumed() {
    const std::lock_guard lock(mutex_);
    return resumed_;
  }
  int broken() {
    const std::lock_guard lock(mutex_);
    return broken_;
  }

 private:
  void Serve(const httplib::Request& request, httplib::Response& response) {
    const std::string name = request.matches[2];
    auto content = ReadFile(JoinPath(JoinPath(folder_, std::string(request.matches[1])), name), 1ull << 30);
    if (!content.ok()) {
      response.status = 404;
      return;
    }
    const std::string range = request.get_header_value("Range");
    const bool binary = name.rfind("k3s", 0) == 0;
    bool breaks = false;
    {
      const std::lock_guard lock(mutex_);
      if (binary) ++asked_for_binary_;
      if (binary && !range.empty() && range.rfind("bytes=0-", 0) != 0) ++resumed_;
      breaks = binary && range.empty() && broken_ < breaks_;
      if (breaks) ++broken_;
    }
    auto text = std::make_shared<const std::string>(*std::move(content));
    const size_t most = breaks ? text->size() / 2 : text->size();
    response.set_content_provider(
        text->size(), "application/octet-stream",
        [text, most](size_t offset, size_t length, httplib::DataSink& sink) {
          if (offset >= most) return false;
          return sink.write(text->data() + offset, std::min({length, most - offset, size_t{1} << 16}));
        });
  }

  const std::string folder_;
  const std::string installer_;
  const int breaks_;
  httplib::Server server_;
  int port_ = 0;
  std::thread thread_;
  std::atomic<int> asked_for_channel_{0};
  std::atomic<int> asked_for_installer_{0};
  std::mutex mutex_;
  int asked_for_binary_ = 0;  // mutex_
  int broken_ = 0;            // mutex_
  int resumed_ = 0;           // mutex_
};

// The value of a key of the section `release`, and more lines of the section behind it.
void SetRelease(const LabCluster& lab, const std::string& key, const std::string& value) {
  const std::string path = lab.Path("cluster.yaml");
  auto text = ReadFile(path);
  ASSERT_TRUE(text.ok()) << text.status();
  const std::string line = absl::StrCat("\n  ", key, ": ");
  const size_t begin = text->find(line);
  ASSERT_NE(begin, std::string::npos) << *text;
  text->replace(begin, text->find('\n', begin + 1) - begin, absl::StrCat(line, value));
  ASSERT_TRUE(WriteFileDurably(path, *text, {.mode = 0644}).ok());
}

// Puts an archive of images beside the release's binary; returns its name.
std::string AddImages(const LabCluster& lab, const std::string& folder) {
  for (const char* architecture : {"amd64", "arm64"}) {
    const std::string checksums = JoinPath(folder, absl::StrCat("sha256sum-", architecture, ".txt"));
    auto text = ReadFile(checksums);
    if (!text.ok()) continue;
    const std::string name = absl::StrCat("k3s-airgap-images-", architecture, ".tar.zst");
    EXPECT_TRUE(WriteFileDurably(JoinPath(folder, name), "new images").ok());
    EXPECT_TRUE(
        WriteFileDurably(checksums, absl::StrCat(*text, Sha256Of("new images"), "  ", name, "\n")).ok());
    return name;
  }
  ADD_FAILURE() << "no checksums in " << folder << " of " << lab.dir();
  return "";
}

TEST(Release, OfAChannelComesFromAMirrorThatBreaksOff) {
  auto lab = LabCluster::Up({.servers = 1, .workers = 1});
  ASSERT_TRUE(lab.ok()) << lab.status();
  Mirror mirror((*lab)->Path("releases"), "", /*breaks=*/2);  // one for each node: they come at the same time
  SetRelease(**lab, "source",
             absl::StrCat(mirror.url(), "/releases\n  channel_server: ", mirror.url(), "/channels"));

  const auto unknown = (*lab)->K3saga({"upgrade", "--to", "nightly", "--yes", "--allow-outage"});
  EXPECT_EQ(unknown.exit_code, 2) << unknown.out << unknown.err;
  EXPECT_NE(unknown.err.find("/channels/nightly: answered 404"), std::string::npos) << unknown.err;

  const auto upgrade = (*lab)->K3saga({"upgrade", "--to", "stable", "--yes", "--allow-outage"});
  EXPECT_EQ(upgrade.exit_code, 0) << upgrade.out << upgrade.err;
  EXPECT_EQ((*lab)->RunningVersions(), (Versions{{"s1", kNew}, {"w1", kNew}}));
  EXPECT_EQ(mirror.asked_for_channel(), 1);
  EXPECT_EQ(mirror.broken(), 2);
  EXPECT_EQ(mirror.resumed(), 2) << "what was there already was not fetched again";
}

// Nodes without internet: binary, images and installer lie on the coordinator's machine alone.
TEST(Release, OfTheCoordinatorReachesNodesWithoutInternet) {
  auto lab = LabCluster::Up({.servers = 1, .workers = 1});
  ASSERT_TRUE(lab.ok()) << lab.status();
  const std::string cache = (*lab)->Path("cache");
  const std::string installer = (*lab)->Path("moved-install.sh");
  ASSERT_TRUE(RenameDurably((*lab)->Path("releases"), cache).ok());
  ASSERT_TRUE(RenameDurably((*lab)->Path("install.sh"), installer).ok());
  const std::string images = AddImages(**lab, JoinPath(cache, kNew));
  SetRelease(**lab, "source", absl::StrCat("coordinator:", cache, "\n  images: true"));
  SetRelease(**lab, "installer", "coordinator:" + installer);
  // What an earlier air-gapped installation left, and an archive of the user's own.
  const std::string loaded = (*lab)->Path("nodes/w1/root/var/lib/rancher/k3s/agent/images");
  ASSERT_TRUE(MakeDirectories(loaded).ok());
  ASSERT_TRUE(WriteFileDurably(loaded + "/k3s-airgap-images-old.tar", "old images").ok());
  ASSERT_TRUE(WriteFileDurably(loaded + "/shop.tar", "the shop's").ok());

  const auto upgrade = (*lab)->K3saga({"upgrade", "--to", kNew, "--yes", "--allow-outage"});
  EXPECT_EQ(upgrade.exit_code, 0) << upgrade.out << upgrade.err;
  EXPECT_EQ((*lab)->RunningVersions(), (Versions{{"s1", kNew}, {"w1", kNew}}));
  EXPECT_EQ(ReadFile(JoinPath(loaded, images)).value_or("nothing"), "new images");
  EXPECT_EQ(ListDirectory(loaded).value_or(std::vector<std::string>()),
            (std::vector<std::string>{images, "shop.tar"}));
}

// Nodes without internet, and nothing put ready anywhere: the coordinator's machine fetches, once for all.
TEST(Release, IsFetchedOnceByTheCoordinatorForAllNodes) {
  auto lab = LabCluster::Up({.servers = 1, .workers = 2});
  ASSERT_TRUE(lab.ok()) << lab.status();
  const std::string releases = (*lab)->Path("elsewhere");
  const std::string installer = (*lab)->Path("moved-install.sh");
  ASSERT_TRUE(RenameDurably((*lab)->Path("releases"), releases).ok());
  ASSERT_TRUE(RenameDurably((*lab)->Path("install.sh"), installer).ok());
  Mirror mirror(releases, installer, /*breaks=*/0);
  SetRelease(
      **lab, "source",
      absl::StrCat("coordinator:", mirror.url(), "/releases\n  channel_server: ", mirror.url(), "/channels"));
  SetRelease(**lab, "installer", absl::StrCat("coordinator:", mirror.url(), "/install.sh"));

  const auto upgrade = (*lab)->K3saga({"upgrade", "--to", "stable", "--yes", "--allow-outage"});
  EXPECT_EQ(upgrade.exit_code, 0) << upgrade.out << upgrade.err;
  EXPECT_EQ((*lab)->RunningVersions(), (Versions{{"s1", kNew}, {"w1", kNew}, {"w2", kNew}}));
  EXPECT_EQ(mirror.asked_for_channel(), 1);
  EXPECT_EQ(mirror.asked_for_binary(), 1);
  EXPECT_EQ(mirror.asked_for_installer(), 2) << "looked at before anything was touched, then fetched";
}

}  // namespace
}  // namespace k3saga::testing
