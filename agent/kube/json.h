#pragma once

#include <nlohmann/json.hpp>

#include <cstdint>
#include <initializer_list>
#include <map>
#include <string>

namespace k3saga::kube {

using Json = nlohmann::json;
using Labels = std::map<std::string, std::string>;

// Reading what a server sent without ever throwing: what is missing or of another type reads as nothing.
const Json& At(const Json& json, std::initializer_list<const char*> path);
std::string TextAt(const Json& json, std::initializer_list<const char*> path);
int64_t NumberAt(const Json& json, std::initializer_list<const char*> path, int64_t otherwise = 0);
bool TrueAt(const Json& json, std::initializer_list<const char*> path);
Labels LabelsAt(const Json& json, std::initializer_list<const char*> path);
// Elements of an array; nothing for anything else.
const Json::array_t& ListAt(const Json& json, std::initializer_list<const char*> path);

}  // namespace k3saga::kube
