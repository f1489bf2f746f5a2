#pragma once

#include <absl/status/statusor.h>

#include <compare>
#include <string>
#include <string_view>

namespace k3saga {

// A k3s release, "v1.31.4+k3s1" or "v1.32.0-rc1+k3s1". A value; ordered as releases follow each other: a
// release candidate before its release, k3s1 before k3s2.
class Version {
 public:
  // kInvalidArgument names what is wrong and what was expected. Image tags write "-" for "+"; that form is
  // refused.
  static absl::StatusOr<Version> Parse(std::string_view text);

  int major() const { return major_; }
  int minor() const { return minor_; }
  int patch() const { return patch_; }
  // "v1.31.4+k3s1"
  std::string ToString() const;
  // "v1.31.4-k3s1", as image tags and Plans write it.
  std::string ToImageTag() const;

  bool SameMinor(const Version& other) const { return major_ == other.major_ && minor_ == other.minor_; }

  std::strong_ordering operator<=>(const Version& other) const;
  bool operator==(const Version& other) const { return (*this <=> other) == std::strong_ordering::equal; }

 private:
  int major_ = 0;
  int minor_ = 0;
  int patch_ = 0;
  int candidate_ = 0;  // 0: the release itself
  int revision_ = 0;   // the N of k3sN
};

}  // namespace k3saga
