#include "coordinator/cli/channel.h"

#include <httplib.h>

#include <thread>

namespace k3saga::cli {
namespace {

using ::testing::HasSubstr;

// A channel server on the loopback, as update.k3s.io answers: a redirect whose last path element is the
// version.
class ChannelServer {
 public:
  ChannelServer() {
    port_ = server_.bind_to_any_port("127.0.0.1");
    const auto redirect = [this](const char* channel, const char* to) {
      server_.Get(
          std::string("/v1-release/channels/") + channel,
          [to](const httplib::Request&, httplib::Response& response) { response.set_redirect(to, 302); });
    };
    redirect("stable", "https://github.com/k3s-io/k3s/releases/tag/v1.32.5%2Bk3s1");
    redirect("v1.31", "https://github.com/k3s-io/k3s/releases/tag/v1.31.9%2bk3s2");
    redirect("latest", "/k3s/releases/tag/v1.33.1+k3s1");
    redirect("home", "https://k3s.io/");
    server_.Get("/v1-release/channels/page", [](const httplib::Request&, httplib::Response& response) {
      response.set_content("hello", "text/plain");
    });
    thread_ = std::thread([this] { server_.listen_after_bind(); });
    while (!server_.is_running()) std::this_thread::yield();
  }
  ~ChannelServer() { Stop(); }
  void Stop() {
    if (!thread_.joinable()) return;
    server_.stop();
    thread_.join();
  }
  std::string url() const {
    return absl::StrCat("http://127.0.0.1:", std::to_string(port_), "/v1-release/channels");
  }

 private:
  httplib::Server server_;
  int port_ = 0;
  std::thread thread_;
};

TEST(ResolveTarget, AsksTheChannelServerForAChannel) {
  const ChannelServer server;
  struct Case {
    const char* to;
    const char* version;
  };
  for (const Case& each :
       {Case{"stable", "v1.32.5+k3s1"}, Case{"v1.31", "v1.31.9+k3s2"}, Case{"latest", "v1.33.1+k3s1"}}) {
    const auto version = ResolveTarget(each.to, server.url());
    ASSERT_TRUE(version.ok()) << each.to << ": " << version.status();
    EXPECT_EQ(*version, each.version);
  }
}

TEST(ResolveTarget, SaysWhatAChannelServerAnsweredInstead) {
  const ChannelServer server;
  struct Case {
    const char* to;
    absl::StatusCode code;
    const char* says;
  };
  for (const Case& each : {Case{"nightly", absl::StatusCode::kNotFound, "answered 404 instead of a redirect"},
                           Case{"page", absl::StatusCode::kNotFound, "answered 200 instead of a redirect"},
                           Case{"home", absl::StatusCode::kNotFound, "which names no version"}}) {
    const auto version = ResolveTarget(each.to, server.url());
    EXPECT_EQ(version.status().code(), each.code) << each.to;
    EXPECT_THAT(std::string(version.status().message()), HasSubstr(each.says));
    EXPECT_THAT(std::string(version.status().message()), HasSubstr(absl::StrCat("/channels/", each.to)));
  }
}

TEST(ResolveTarget, NeedsNoServerForAVersion) {
  ChannelServer server;
  const std::string url = server.url();
  server.Stop();
  EXPECT_EQ(ResolveTarget("v1.32.0+k3s1", url).value(), "v1.32.0+k3s1");
  // Meant as versions, or as nothing that may become a part of a URL: refused without asking anybody.
  for (const char* wrong :
       {"v1.32.0", "v1.32.0+k3s", "1.32.0.1", "", "../stable", "a/b", "stable?x", "st able"}) {
    EXPECT_EQ(ResolveTarget(wrong, url).status().code(), absl::StatusCode::kInvalidArgument) << wrong;
  }
  const auto gone = ResolveTarget("stable", url);
  EXPECT_EQ(gone.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(gone.status().message()), HasSubstr(url + "/stable"));
}

}  // namespace
}  // namespace k3saga::cli
