#include "agent/kube/json.h"

namespace k3saga::kube {

const Json& At(const Json& json, std::initializer_list<const char*> path) {
  static const Json nothing;
  const Json* here = &json;
  for (const char* key : path) {
    if (!here->is_object()) {
      return nothing;
    }
    const auto found = here->find(key);
    if (found == here->end()) {
      return nothing;
    }
    here = &*found;
  }
  return *here;
}

std::string TextAt(const Json& json, std::initializer_list<const char*> path) {
  const Json& value = At(json, path);
  return value.is_string() ? value.get<std::string>() : "";
}

int64_t NumberAt(const Json& json, std::initializer_list<const char*> path, int64_t otherwise) {
  const Json& value = At(json, path);
  return value.is_number_integer() ? value.get<int64_t>() : otherwise;
}

bool TrueAt(const Json& json, std::initializer_list<const char*> path) {
  const Json& value = At(json, path);
  return value.is_boolean() && value.get<bool>();
}

Labels LabelsAt(const Json& json, std::initializer_list<const char*> path) {
  Labels labels;
  const Json& value = At(json, path);
  if (value.is_object()) {
    for (const auto& [key, text] : value.items()) {
      if (text.is_string()) {
        labels[key] = text.get<std::string>();
      }
    }
  }
  return labels;
}

const Json::array_t& ListAt(const Json& json, std::initializer_list<const char*> path) {
  static const Json::array_t nothing;
  const Json& value = At(json, path);
  return value.is_array() ? value.get_ref<const Json::array_t&>() : nothing;
}

}  // namespace k3saga::kube
