#include "lab/k3s/http.h"

#include <httplib.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

#include <mutex>
#include <thread>

namespace k3saga::lab {
namespace {

X509* ReadCertificate(const std::string& pem) {
  BIO* bio = BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size()));
  X509* certificate = PEM_read_bio_X509(bio, nullptr, nullptr, nullptr);
  BIO_free(bio);
  return certificate;
}

EVP_PKEY* ReadKey(const std::string& pem) {
  BIO* bio = BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size()));
  EVP_PKEY* key = PEM_read_bio_PrivateKey(bio, nullptr, nullptr, nullptr);
  BIO_free(bio);
  return key;
}

bool UseIdentity(SSL_CTX* context, const KeyPair& pair) {
  X509* certificate = ReadCertificate(pair.certificate);
  EVP_PKEY* key = ReadKey(pair.key);
  const bool used = certificate != nullptr && key != nullptr &&
                    SSL_CTX_use_certificate(context, certificate) == 1 &&
                    SSL_CTX_use_PrivateKey(context, key) == 1;
  X509_free(certificate);
  EVP_PKEY_free(key);
  return used;
}

bool Trust(SSL_CTX* context, const std::string& ca) {
  X509* certificate = ReadCertificate(ca);
  if (certificate == nullptr) return false;
  const bool added = X509_STORE_add_cert(SSL_CTX_get_cert_store(context), certificate) == 1;
  X509_free(certificate);
  return added;
}

std::string NameField(X509_NAME* name, int nid) {
  char text[256] = "";
  X509_NAME_get_text_by_NID(name, nid, text, sizeof(text));
  return text;
}

HttpRequest ToRequest(const httplib::Request& request) {
  HttpRequest converted;
  converted.method = request.method;
  converted.path = request.path;
  for (const auto& [key, value] : request.params) converted.query[key] = value;
  converted.content_type = request.get_header_value("Content-Type");
  converted.authorization = request.get_header_value("Authorization");
  converted.body = request.body;
  if (request.ssl == nullptr) return converted;
  X509* peer = SSL_get1_peer_certificate(request.ssl);
  if (peer != nullptr) {
    converted.user = NameField(X509_get_subject_name(peer), NID_commonName);
    converted.group = NameField(X509_get_subject_name(peer), NID_organizationName);
    X509_free(peer);
  }
  return converted;
}

void Configure(httplib::Server& server, int threads, const HttpHandler& handler) {
  server.new_task_queue = [threads] { return new httplib::ThreadPool(static_cast<size_t>(threads)); };
  server.set_keep_alive_max_count(1);
  server.set_tcp_nodelay(true);
  server.set_read_timeout(5, 0);
  // The default would set SO_REUSEPORT, which lets a second server share the port in silence.
  server.set_socket_options([](socket_t sock) {
    const int yes = 1;
    setsockopt(sock, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
  });
  const auto answer = [handler](const httplib::Request& request, httplib::Response& response) {
    const HttpResponse reply = handler(ToRequest(request));
    response.status = reply.code;
    response.set_content(reply.body, reply.content_type);
  };
  server.Get(".*", answer);
  server.Post(".*", answer);
  server.Put(".*", answer);
  server.Patch(".*", answer);
  server.Delete(".*", answer);
}

}  // namespace

struct HttpServer::Impl {
  std::unique_ptr<httplib::Server> server;
  std::thread thread;
};

// Until it really runs: stop() would miss a server that is only about to.
std::unique_ptr<HttpServer::Impl> HttpServer::Run(std::unique_ptr<Impl> impl) {
  impl->thread = std::thread([server = impl->server.get()] { server->listen_after_bind(); });
  for (int i = 0; i < 1000 && !impl->server->is_running(); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return impl;
}

HttpServer::HttpServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

HttpServer::~HttpServer() {
  impl_->server->stop();
  impl_->thread.join();
}

namespace {

absl::Status Bind(httplib::Server& server, const std::string& address, int port) {
  if (!server.bind_to_port(address.c_str(), port)) {
    return absl::UnavailableError(
        absl::StrCat("listen tcp ", address, ":", port, ": bind: address already in use"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<HttpServer>> HttpServer::Listen(const std::string& address, int port,
                                                               int threads, HttpHandler handler) {
  auto impl = std::make_unique<Impl>();
  impl->server = std::make_unique<httplib::Server>();
  Configure(*impl->server, threads, handler);
  if (absl::Status bound = Bind(*impl->server, address, port); !bound.ok()) return bound;
  return std::unique_ptr<HttpServer>(new HttpServer(Run(std::move(impl))));
}

absl::StatusOr<std::unique_ptr<HttpServer>> HttpServer::ListenTls(const std::string& address, int port,
                                                                  int threads, const KeyPair& serving,
                                                                  const std::string& client_ca,
                                                                  HttpHandler handler) {
  auto impl = std::make_unique<Impl>();
  auto tls = std::make_unique<httplib::SSLServer>([&](SSL_CTX& context) {
    SSL_CTX_set_min_proto_version(&context, TLS1_2_VERSION);
    // A resumed session would need a session id context, and 200 bytes a peer; nobody here comes back within
    // one.
    SSL_CTX_set_session_cache_mode(&context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_options(&context, SSL_OP_NO_TICKET);
    SSL_CTX_set_num_tickets(&context, 0);
    SSL_CTX_set_verify(&context, SSL_VERIFY_PEER, nullptr);
    X509* ca = ReadCertificate(client_ca);
    SSL_CTX_add_client_CA(&context, ca);
    X509_free(ca);
    return UseIdentity(&context, serving) && Trust(&context, client_ca);
  });
  if (!tls->is_valid()) return absl::InvalidArgumentError("the serving certificate is not usable");
  impl->server = std::move(tls);
  Configure(*impl->server, threads, handler);
  if (absl::Status bound = Bind(*impl->server, address, port); !bound.ok()) return bound;
  return std::unique_ptr<HttpServer>(new HttpServer(Run(std::move(impl))));
}

struct HttpsClient::Impl {
  std::mutex mutex;
  std::string where;
  std::unique_ptr<httplib::SSLClient> client;
};

HttpsClient::HttpsClient(const HttpsPeer& peer) : impl_(std::make_unique<Impl>()) {
  X509* certificate = ReadCertificate(peer.client.certificate);
  EVP_PKEY* key = certificate == nullptr ? nullptr : ReadKey(peer.client.key);
  impl_->where = absl::StrCat("https://", peer.address, ":", peer.port);
  impl_->client = std::make_unique<httplib::SSLClient>(peer.address, peer.port, certificate, key);
  X509_free(certificate);
  EVP_PKEY_free(key);
  // An authority that cannot be read leaves nothing trusted: every call then fails, as it should.
  impl_->client->enable_server_certificate_verification(!peer.ca.empty());
  if (!peer.ca.empty()) Trust(impl_->client->ssl_context(), peer.ca);
}

HttpsClient::~HttpsClient() = default;

absl::StatusOr<HttpResponse> HttpsClient::Send(const HttpsCall& call) {
  std::lock_guard<std::mutex> lock(impl_->mutex);
  httplib::SSLClient& client = *impl_->client;
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(call.deadline);
  const auto micros = std::chrono::duration_cast<std::chrono::microseconds>(call.deadline - seconds);
  client.set_connection_timeout(seconds.count(), micros.count());
  client.set_read_timeout(seconds.count(), micros.count());
  client.set_write_timeout(seconds.count(), micros.count());
  httplib::Request request;
  request.method = call.method;
  request.path = call.path;
  request.body = call.body;
  if (!call.body.empty()) request.set_header("Content-Type", call.content_type);
  if (!call.basic_password.empty()) {
    request.headers.insert(httplib::make_basic_authentication_header(call.basic_user, call.basic_password));
  }
  const httplib::Result result = client.send(request);
  if (!result) {
    return absl::UnavailableError(
        absl::StrCat(impl_->where, call.path, ": ", httplib::to_string(result.error())));
  }
  return HttpResponse{result->status, result->body, result->get_header_value("Content-Type")};
}

absl::StatusOr<int> CallHttp(const std::string& address, int port, const std::string& path,
                             std::chrono::milliseconds deadline) {
  httplib::Client client(address, port);
  const auto micros = std::chrono::duration_cast<std::chrono::microseconds>(deadline).count();
  client.set_connection_timeout(micros / 1'000'000, micros % 1'000'000);
  client.set_read_timeout(micros / 1'000'000, micros % 1'000'000);
  const httplib::Result result = client.Get(path);
  if (!result) return absl::UnavailableError(httplib::to_string(result.error()));
  return result->status;
}

}  // namespace k3saga::lab
