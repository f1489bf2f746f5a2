#pragma once

#include <string>
#include <vector>

namespace k3saga::documents {

// One described thing of a man page, as plain text.
struct Entry {
  std::string section;  // "COMMANDS"
  std::string tag;      // "agents upgrade PACKAGE... [--node NODE]... [-y|--yes]"
  std::string text;     // tag and description
};

std::vector<Entry> ParseManPage(const std::string& roff);

}  // namespace k3saga::documents
