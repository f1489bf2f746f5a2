#pragma once

#include <absl/status/statusor.h>

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "lab/base/pki.h"

namespace k3saga::lab {

// The little HTTP that the lab needs, over cpp-httplib (kept out of every other file).
struct HttpRequest {
  std::string method;
  std::string path;
  std::map<std::string, std::string> query;
  std::string content_type;
  std::string authorization;
  std::string body;
  std::string user;   // of the verified client certificate: its common name,
  std::string group;  // and its organization; empty without a certificate
};

struct HttpResponse {
  int code = 200;
  std::string body;
  std::string content_type = "text/plain";
};

using HttpHandler = std::function<HttpResponse(const HttpRequest&)>;

// Serves until destroyed, with threads of its own. Connections are closed after each answer: cpp-httplib
// waits for a next request by polling, which 30 idle nodes would feel.
class HttpServer {
 public:
  // Plain HTTP.
  static absl::StatusOr<std::unique_ptr<HttpServer>> Listen(const std::string& address, int port, int threads,
                                                            HttpHandler handler);
  // HTTPS; a client certificate is asked for, not demanded, and must be of `client_ca`.
  static absl::StatusOr<std::unique_ptr<HttpServer>> ListenTls(const std::string& address, int port,
                                                               int threads, const KeyPair& serving,
                                                               const std::string& client_ca,
                                                               HttpHandler handler);
  ~HttpServer();

 private:
  struct Impl;
  static std::unique_ptr<Impl> Run(std::unique_ptr<Impl> impl);
  explicit HttpServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// Whom an HTTPS client talks to, and as whom.
struct HttpsPeer {
  std::string address;
  std::string ca;  // empty: the server is not verified (how a joining node first asks for the authority)
  KeyPair client;  // empty: no certificate
  int port = 6443;
};

struct HttpsCall {
  std::string method = "GET";
  std::string path;
  std::string content_type = "application/json";
  std::string body;
  std::string basic_user;  // with basic_password: HTTP basic authentication
  std::string basic_password;
  std::chrono::milliseconds deadline{5000};
};

// Keeps the parsed certificates, which cost more than a whole request; a connection lasts for one.
// Thread-safe.
class HttpsClient {
 public:
  explicit HttpsClient(const HttpsPeer& peer);
  ~HttpsClient();
  absl::StatusOr<HttpResponse> Send(const HttpsCall& call);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// GET over plain HTTP; the status code.
absl::StatusOr<int> CallHttp(const std::string& address, int port, const std::string& path,
                             std::chrono::milliseconds deadline);

}  // namespace k3saga::lab
