#pragma once

#include <absl/strings/str_cat.h>
#include <httplib.h>

#include <algorithm>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "common/host/files.h"

namespace k3saga::testing {

// A release server in the GitHub layout on a loopback port of its own.
class ReleaseServer {
 public:
  ReleaseServer() {
    port_ = server_.bind_to_any_port("127.0.0.1");
    server_.Get(
        R"(/releases/download/([^/]+)/(.+))",
        [this](const httplib::Request& request, httplib::Response& response) { Answer(request, response); });
    thread_ = std::thread([this] { server_.listen_after_bind(); });
    // A stop before it runs would be lost.
    while (!server_.is_running()) std::this_thread::yield();
  }
  ~ReleaseServer() {
    server_.stop();
    thread_.join();
  }

  std::string Url() const { return absl::StrCat("http://127.0.0.1:", port_, "/releases"); }
  void Put(const std::string& name, const std::string& content) {
    std::lock_guard lock(mutex_);
    files_[name] = content;
  }
  // A release for amd64 and arm64, with images: checksums, and `content` with the architecture behind it.
  void PutRelease(const std::string& content) {
    for (const auto& [architecture, binary] : {std::pair("amd64", "k3s"), std::pair("arm64", "k3s-arm64")}) {
      const std::string images = absl::StrCat("k3s-airgap-images-", architecture, ".tar.zst");
      Put(binary, content + architecture);
      Put(images, "images");
      Put(absl::StrCat("sha256sum-", architecture, ".txt"),
          absl::StrCat(Sha256Of("images"), "  ", images, "\n", Sha256Of(content + architecture), "  ", binary,
                       "\n"));
    }
  }
  void Remove(const std::string& name) {
    std::lock_guard lock(mutex_);
    files_.erase(name);
  }
  // The next answers for this file end after so many bytes.
  void CutAfter(const std::string& name, size_t bytes, int times) {
    std::lock_guard lock(mutex_);
    cuts_[name] = {bytes, times};
  }
  std::vector<std::string> Requests() {
    std::lock_guard lock(mutex_);
    return requests_;
  }

 private:
  void Answer(const httplib::Request& request, httplib::Response& response) {
    std::lock_guard lock(mutex_);
    const std::string name = request.matches[2];
    requests_.push_back(
        absl::StrCat(request.matches[1].str(), "/", name, " ", request.get_header_value("Range")));
    auto file = files_.find(name);
    if (file == files_.end()) {
      response.status = 404;
      return;
    }
    auto& [bytes, times] = cuts_[name];
    const size_t most = times > 0 ? bytes : std::string::npos;
    if (times > 0) --times;
    const std::string content = file->second;
    response.set_content_provider(content.size(), "application/octet-stream",
                                  [content, most](size_t offset, size_t length, httplib::DataSink& sink) {
                                    if (offset >= most) return false;
                                    return sink.write(content.data() + offset,
                                                      std::min(length, most - offset));
                                  });
  }

  httplib::Server server_;
  int port_ = 0;
  std::thread thread_;
  std::mutex mutex_;
  std::map<std::string, std::string> files_;
  std::map<std::string, std::pair<size_t, int>> cuts_;
  std::vector<std::string> requests_;
};

}  // namespace k3saga::testing
