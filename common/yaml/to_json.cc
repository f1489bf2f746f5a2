#include "common/yaml/to_json.h"

#include <cmath>

namespace k3saga::yaml {
namespace {

nlohmann::json Scalar(const YAML::Node& node) {
  const std::string& text = node.Scalar();
  if (node.Tag() == "!") return text;  // quoted
  if (text == "true" || text == "false") return text == "true";
  // yaml-cpp reads "0x1f", "1e3" and ".inf" as numbers too; only what JSON can say is one.
  const bool plain = text.find_first_not_of("+-.0123456789eE") == std::string::npos;
  if (long long number = 0; plain && YAML::convert<long long>::decode(node, number)) return number;
  if (double number = 0; plain && YAML::convert<double>::decode(node, number) && std::isfinite(number)) {
    return number;
  }
  return text;
}

}  // namespace

nlohmann::json ToJson(const YAML::Node& node) {
  switch (node.Type()) {
    case YAML::NodeType::Scalar:
      return Scalar(node);
    case YAML::NodeType::Sequence: {
      nlohmann::json list = nlohmann::json::array();
      for (const YAML::Node& item : node) list.push_back(ToJson(item));
      return list;
    }
    case YAML::NodeType::Map: {
      nlohmann::json object = nlohmann::json::object();
      for (const auto& item : node) object[item.first.Scalar()] = ToJson(item.second);
      return object;
    }
    default:
      return nullptr;
  }
}

}  // namespace k3saga::yaml
