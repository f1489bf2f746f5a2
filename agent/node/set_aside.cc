#include "agent/node/set_aside.h"

#include <absl/strings/str_cat.h>
#include <sys/stat.h>

#include <filesystem>

#include "common/host/crash_point.h"
#include "common/host/files.h"
#include "common/status_macros.h"

namespace k3saga::node {
namespace {

CrashPoint kBeforeMove("set_aside.before_move");
CrashPoint kAfterMove("set_aside.after_move");

constexpr char kFolder[] = "k3saga-aside";
constexpr const char* kCredentials[] = {"tls", "cred"};
constexpr int kMostMoves = 1000;  // of one thing in one operation: far more than an operation is started

absl::Status SystemError(const std::string& what, const std::error_code& error) {
  return absl::InternalError(absl::StrCat(what, ": ", error.message()));
}

// Every file durably, with mode, owner and label; links as links.
absl::Status CopyInto(const std::string& from, const std::string& to) {
  std::error_code error;
  std::filesystem::create_directory(to, from, error);  // with its permissions
  if (error) return SystemError("cannot create " + to, error);
  K3SAGA_ASSIGN_OR_RETURN(const std::vector<std::string> names, ListDirectory(from));
  for (const std::string& name : names) {
    const std::string source = JoinPath(from, name);
    const std::string target = JoinPath(to, name);
    const std::filesystem::file_status status = std::filesystem::symlink_status(source, error);
    if (std::filesystem::is_symlink(status)) {
      std::filesystem::copy_symlink(source, target, error);
      if (error) return SystemError("cannot copy the link " + source, error);
    } else if (std::filesystem::is_directory(status)) {
      K3SAGA_RETURN_IF_ERROR(CopyInto(source, target));
    } else if (std::filesystem::is_regular_file(status)) {
      K3SAGA_RETURN_IF_ERROR(CopyFileDurably(source, target));
    }
  }
  return SyncDirectory(to);
}

}  // namespace

SetAside::SetAside(const std::string& data_dir, std::string_view name)
    : server_(JoinPath(data_dir, "server")), folder_(JoinPath(JoinPath(server_, kFolder), name)) {}

absl::Status SetAside::Move(const std::string& path) {
  if (!Exists(path)) return absl::OkStatus();
  K3SAGA_RETURN_IF_ERROR(MakeDirectories(folder_));
  std::string target = JoinPath(folder_, BaseName(path));
  for (int number = 2; Exists(target); ++number) {
    if (number > kMostMoves) {
      return absl::ResourceExhaustedError(absl::StrCat(folder_, " is full of copies of ", BaseName(path)));
    }
    target = JoinPath(folder_, absl::StrCat(BaseName(path), "-", number));
  }
  kBeforeMove.MaybeDie();
  K3SAGA_RETURN_IF_ERROR(RenameDurably(path, target));
  kAfterMove.MaybeDie();
  return absl::OkStatus();
}

absl::Status SetAside::MoveDatastore(v1::Datastore datastore) {
  const std::string db = JoinPath(server_, "db");
  if (datastore == v1::DATASTORE_EMBEDDED_ETCD) return Move(JoinPath(db, "etcd"));
  if (datastore != v1::DATASTORE_SQLITE) return absl::OkStatus();
  // The write-ahead log first: a database without its log is an older one, a log without its database is
  // nothing.
  for (const char* file : {"state.db-wal", "state.db-shm", "state.db"}) {
    K3SAGA_RETURN_IF_ERROR(Move(JoinPath(db, file)));
  }
  return absl::OkStatus();
}

absl::Status SetAside::CopyCredentials() {
  for (const char* name : kCredentials) {
    const std::string from = JoinPath(server_, name);
    const std::string to = JoinPath(folder_, name);
    if (!IsDirectory(from) || Exists(to)) continue;
    K3SAGA_RETURN_IF_ERROR(MakeDirectories(folder_));
    const std::string part = to + ".part";
    K3SAGA_RETURN_IF_ERROR(RemoveTree(part));
    K3SAGA_RETURN_IF_ERROR(CopyInto(from, part));
    K3SAGA_RETURN_IF_ERROR(RenameDurably(part, to));
  }
  return absl::OkStatus();
}

absl::Status SetAside::MoveCredentials() {
  for (const char* name : kCredentials) K3SAGA_RETURN_IF_ERROR(Move(JoinPath(server_, name)));
  return absl::OkStatus();
}

std::string SetAside::FolderIn(const std::string& data_dir) {
  return JoinPath(JoinPath(data_dir, "server"), kFolder);
}

}  // namespace k3saga::node
