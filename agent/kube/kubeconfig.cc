#include "agent/kube/kubeconfig.h"

#include <absl/strings/escaping.h>
#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <yaml-cpp/yaml.h>

#include "common/host/files.h"
#include "common/status_macros.h"

namespace k3saga::kube {
namespace {

// The text of one document, with its path for messages. YAML's exceptions end here.
class Reader {
 public:
  explicit Reader(std::string path) : path_(std::move(path)) {}

  absl::Status Error(std::string_view what) const {
    return absl::InvalidArgumentError(absl::StrCat(path_, ": ", std::string(what)));
  }

  static std::string Text(const YAML::Node& node, const char* key) {
    const YAML::Node value = node.IsMap() ? node[key] : YAML::Node(YAML::NodeType::Undefined);
    return value.IsDefined() && value.IsScalar() ? value.Scalar() : "";
  }

  // The `kind` ("cluster") called `name` in the list `list` ("clusters").
  absl::StatusOr<YAML::Node> Named(const YAML::Node& root, const char* list, const char* kind,
                                   const std::string& name) const {
    const YAML::Node all = root[list];
    for (size_t i = 0; all.IsSequence() && i < all.size(); ++i) {
      if (Text(all[i], "name") == name && all[i][kind].IsMap()) {
        return YAML::Node(all[i][kind]);
      }
    }
    return Error(absl::StrCat("no ", kind, " called \"", name, "\" in ", list));
  }

  // KEY-data inside, or the file that KEY names; "" when there is neither.
  absl::StatusOr<std::string> Pem(const YAML::Node& node, const std::string& key) const {
    const std::string data = Text(node, (key + "-data").c_str());
    if (!data.empty()) {
      std::string decoded;
      if (!absl::Base64Unescape(data, &decoded)) {
        return Error(key + "-data: expected base64");
      }
      return decoded;
    }
    const std::string file = Text(node, key.c_str());
    if (file.empty()) {
      return std::string();
    }
    return ReadFile(file.front() == '/' ? file : JoinPath(DirName(path_), file));
  }

 private:
  const std::string path_;
};

absl::StatusOr<Kubeconfig> Resolve(const YAML::Node& root, const Reader& reader) {
  if (!root.IsMap()) {
    return reader.Error("expected a kubeconfig (a YAML mapping)");
  }
  const std::string current = Reader::Text(root, "current-context");
  K3SAGA_ASSIGN_OR_RETURN(const YAML::Node context, reader.Named(root, "contexts", "context", current));
  K3SAGA_ASSIGN_OR_RETURN(const YAML::Node cluster,
                          reader.Named(root, "clusters", "cluster", Reader::Text(context, "cluster")));
  K3SAGA_ASSIGN_OR_RETURN(const YAML::Node user,
                          reader.Named(root, "users", "user", Reader::Text(context, "user")));
  Kubeconfig config;
  config.server = Reader::Text(cluster, "server");
  config.token = Reader::Text(user, "token");
  K3SAGA_ASSIGN_OR_RETURN(config.ca_pem, reader.Pem(cluster, "certificate-authority"));
  K3SAGA_ASSIGN_OR_RETURN(config.client_certificate_pem, reader.Pem(user, "client-certificate"));
  K3SAGA_ASSIGN_OR_RETURN(config.client_key_pem, reader.Pem(user, "client-key"));
  while (absl::EndsWith(config.server, "/")) {
    config.server.pop_back();
  }
  if (!absl::StartsWith(config.server, "https://")) {
    return reader.Error("server: expected https://HOST:PORT");
  }
  if (config.ca_pem.empty()) {
    return reader.Error("the cluster has neither certificate-authority-data nor certificate-authority");
  }
  if (config.token.empty() && (config.client_certificate_pem.empty() || config.client_key_pem.empty())) {
    return reader.Error("the user has neither a client certificate with its key nor a token");
  }
  return config;
}

}  // namespace

absl::StatusOr<Kubeconfig> ParseKubeconfig(std::string_view text, const std::string& path) {
  const Reader reader(path);
  try {
    return Resolve(YAML::Load(std::string(text)), reader);
  } catch (const YAML::Exception& error) {
    // Only the place: the message may quote the text.
    return reader.Error(absl::StrCat("line ", error.mark.line + 1, ": not valid YAML"));
  }
}

absl::StatusOr<Kubeconfig> LoadKubeconfig(const std::string& path) {
  K3SAGA_ASSIGN_OR_RETURN(const std::string text, ReadFile(path, 1 << 20));
  return ParseKubeconfig(text, path);
}

}  // namespace k3saga::kube
