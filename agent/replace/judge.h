#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "k3saga/v1/agent.pb.h"

namespace k3saga::replace {

// How an agent came to its machine, and so how another one gets there.
enum class Form : uint8_t {
  kPackage,  // a Debian package: dpkg knows its files
  kProgram,  // the program alone, as from the tarball
};

// What serves on this machine.
struct Installed {
  Form form = Form::kProgram;
  std::string version;       // of the package or the program
  std::string architecture;  // Debian's word: "amd64", "arm64"
  bool runs = false;         // what lies on the disk is what runs
  bool own_unit = false;     // systemd runs it as k3saga-agent.service, and so can restart it
};

// What was uploaded.
struct Offered {
  Form form = Form::kProgram;
  std::string name;  // of the package; of a program what it calls itself
  std::string version;
  std::string architecture;
};

struct Question {
  std::string node;
  Installed installed;
  Offered offered;
  int order = 0;  // of the versions: negative when the offered one is older, 0 when it is the installed one
  bool allow_downgrade = false;
  std::vector<std::string> unsettled;  // operations of this node
};

// REFUSED with the reason, UNCHANGED when there is nothing to do, or RUNNING: begin. Pure.
v1::ReplaceAgentReply Judge(const Question& question);

// Numbers between dots, one after the other: "0.10.0" is newer than "0.9.3"; what follows the numbers
// ("-rc1") decides by its letters, and none of it is newer than some. Negative: `one` is older.
int CompareVersions(std::string_view one, std::string_view other);

}  // namespace k3saga::replace
