#include "agent/replace/record.h"

#include "common/host/files.h"
#include "common/status_macros.h"

namespace k3saga::replace {

RecordFile::RecordFile(const node::StatePaths& state)
    : folder_(state.Replace()),
      file_(JoinPath(folder_, "record.pb")),
      previous_(JoinPath(folder_, "previous")) {}

std::optional<v1::AgentReplacement> RecordFile::Load() const {
  const auto bytes = ReadFile(file_);
  v1::AgentReplacement record;
  if (!bytes.ok() || !record.ParseFromString(*bytes)) return std::nullopt;
  return record;
}

absl::Status RecordFile::Save(const v1::AgentReplacement& record) const {
  K3SAGA_RETURN_IF_ERROR(MakeDirectories(folder_));
  return WriteFileDurably(file_, record.SerializeAsString());
}

}  // namespace k3saga::replace
