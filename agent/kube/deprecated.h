#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "agent/kube/json.h"
#include "k3saga/v1/facts.pb.h"

// Callers of APIs that a later release removes. Pure.
namespace k3saga::kube {

// What the API server counts of them since it started: its metric apiserver_requested_deprecated_apis, in the
// text format of /metrics. Each resource once, whatever its subresources.
std::vector<v1::DeprecatedApi> DeprecatedIn(std::string_view metrics);

// "/apis/policy/v1beta1/poddisruptionbudgets"
std::string PathOf(const v1::DeprecatedApi& api);

// Objects whose managers last wrote them through that API version, at most `most`: "shop/web (by helm)".
std::vector<std::string> WrittenThrough(const v1::DeprecatedApi& api, const Json::array_t& objects,
                                        size_t most);

}  // namespace k3saga::kube
