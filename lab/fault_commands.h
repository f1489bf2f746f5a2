#pragma once

#include <CLI/CLI.hpp>
#include <functional>

namespace k3saga::lab {

// `k3saga-lab fault --dir DIR KIND ...`: sets `action` to what was asked for.
void AddFaultCommands(CLI::App& app, std::function<int()>& action);

}  // namespace k3saga::lab
