#include "lab/control/release_server.h"

#include <absl/strings/match.h>
#include <absl/strings/str_replace.h>
#include <httplib.h>

#include <thread>

#include "lab/base/files.h"

namespace k3saga::lab {
namespace {

constexpr size_t kChunk = 16 * 1024;
constexpr std::chrono::milliseconds kSlowPause{100};  // 160 kB/s

std::string Fault(const Layout& layout) {
  auto text = ReadFile(layout.ReleaseServerFault());
  if (!text.ok()) return "";
  const nlohmann::json fault = nlohmann::json::parse(*text, nullptr, /*allow_exceptions=*/false);
  return fault.is_object() ? fault.value("fault", "") : "";
}

// In chunks, so that a fault can slow it down or cut it in the middle.
void Send(httplib::Response& response, std::string contents, const std::string& fault) {
  const size_t size = contents.size();
  response.set_content_provider(
      size, "application/octet-stream",
      [contents = std::move(contents), fault](size_t offset, size_t length, httplib::DataSink& sink) {
        if (fault == "cut" && offset >= contents.size() / 2) return false;
        if (fault == "slow") std::this_thread::sleep_for(kSlowPause);
        return sink.write(contents.data() + offset, std::min(length, kChunk));
      });
}

void Serve(const Layout& layout, const httplib::Request& request, httplib::Response& response) {
  const std::string version = request.matches[1];
  const std::string file = request.matches[2];
  if (absl::StrContains(version, "..") || absl::StrContains(file, "..")) {
    response.status = 404;
    return;
  }
  auto contents = ReadFile(layout.Releases() / version / file);
  if (!contents.ok()) {
    response.status = 404;
    return;
  }
  const std::string fault = absl::StartsWith(file, "k3s") ? Fault(layout) : "";
  if (fault == "error") {
    response.status = 503;
    return;
  }
  // In several places: a download that was cut before may be taken up behind the first of them.
  for (size_t eighth : {1, 4, 7}) {
    if (fault == "corrupt") (*contents)[contents->size() / 8 * eighth] ^= 0x55;
  }
  Send(response, *std::move(contents), fault);
}

}  // namespace

std::string ReleaseServerAddress(const Lab& lab) { return lab.network + ".250"; }

absl::Status RunReleaseServer(const Lab& lab) {
  const Layout layout{lab.dir};
  httplib::Server server;
  server.new_task_queue = [] { return new httplib::ThreadPool(8); };
  server.set_keep_alive_max_count(1);
  server.Get("/releases/download/([^/]+)/([^/]+)",
             [&](const httplib::Request& request, httplib::Response& response) {
               Serve(layout, request, response);
             });
  server.Get("/install.sh", [&](const httplib::Request&, httplib::Response& response) {
    response.set_content(ReadFile(layout.Installer()).value_or(""), "text/x-shellscript");
  });
  if (!server.listen(ReleaseServerAddress(lab), kReleaseServerPort)) {
    return absl::UnavailableError(absl::StrCat("cannot listen on ", ReleaseServerAddress(lab), ":8080"));
  }
  return absl::OkStatus();
}

}  // namespace k3saga::lab
