#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace k3saga::lab {

// One kind of object that the API serves.
struct Resource {
  std::string group;  // "" for the core group
  std::string version;
  std::string plural;
  std::string kind;
  bool namespaced = false;
  bool has_status = false;  // status is changed through .../status only

  std::string ApiVersion() const { return group.empty() ? version : group + "/" + version; }
  std::string KeyPrefix() const;
  std::string Key(std::string_view name_space, std::string_view name) const;
};

// The built-in ones; custom resources come from CustomResourceDefinition objects.
const std::vector<Resource>& BuiltInResources();
const Resource& BuiltIn(std::string_view plural);  // must exist

// An API path taken apart; `plural` is empty for a group's discovery document.
struct ApiPath {
  std::string group;
  std::string version;
  std::string plural;
  std::string name_space;
  std::string name;
  std::string subresource;
};
std::optional<ApiPath> ParseApiPath(std::string_view path);

}  // namespace k3saga::lab
