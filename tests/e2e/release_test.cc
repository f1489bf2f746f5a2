// Where a release comes from when nobody put it on the nodes: a channel that names the version, and a mirror
// of the release page whose connection breaks.

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
// /releases/download/VERSION/FILE is that file of a folder. The first answer for each binary breaks off in
// its middle.
class Mirror {
 public:
  explicit Mirror(std::string folder) : folder_(std::move(folder)) {
    server_.Get("/channels/stable", [this](const httplib::Request&, httplib::Response& response) {
      ++asked_for_channel_;
      response.set_redirect(absl::StrCat("/releases/tag/", "v1.32.0%2Bk3s1"), 302);
    });
    server_.Get(
        R"(/releases/download/([^/]+)/([^/]+))",
        [this](const httplib::Request& request, httplib::Response& response) { Serve(request, response); });
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
      if (binary && !range.empty() && range.rfind("bytes=0-", 0) != 0) ++resumed_;
      // One for each node: they come at the same time.
      breaks = binary && range.empty() && broken_ < kNodes;
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

  static constexpr int kNodes = 2;
  const std::string folder_;
  httplib::Server server_;
  int port_ = 0;
  std::thread thread_;
  std::atomic<int> asked_for_channel_{0};
  std::mutex mutex_;
  int broken_ = 0;   // mutex_
  int resumed_ = 0;  // mutex_
};

TEST(Release, OfAChannelComesFromAMirrorThatBreaksOff) {
  auto lab = LabCluster::Up({.servers = 1, .workers = 1});
  ASSERT_TRUE(lab.ok()) << lab.status();
  Mirror mirror((*lab)->Path("releases"));
  auto text = ReadFile((*lab)->Path("cluster.yaml"));
  ASSERT_TRUE(text.ok());
  const size_t source = text->find("\n  source: ");
  ASSERT_NE(source, std::string::npos) << *text;
  const size_t end = text->find('\n', source + 1);
  text->replace(
      source, end - source,
      absl::StrCat("\n  source: ", mirror.url(), "/releases\n  channel_server: ", mirror.url(), "/channels"));
  ASSERT_TRUE(WriteFileDurably((*lab)->Path("cluster.yaml"), *text, {.mode = 0644}).ok());

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

}  // namespace
}  // namespace k3saga::testing
