#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace k3saga {

// Named places where a test lets the process die as by a power cut (Kudu's idea). One before and one after
// every commit and every RPC; they stand in the seams (journal, transport, effects) and nowhere else.
//
//   CrashPoint kBeforeCommit("journal.before_commit");   // namespace scope: registers the name
//   kBeforeCommit.MaybeDie();
//
// Armed by the environment variable K3SAGA_CRASH_AT="name" or "name:N" (the Nth time it is reached; 1 by
// default), several separated by commas: the process _exits with 86, nothing flushed. With
// K3SAGA_CRASH_MARKS=DIR a point leaves a file DIR/name behind and spares whoever finds one there, so that
// what is started again under the same environment goes on. Unarmed it costs one load.
class CrashPoint {
 public:
  explicit CrashPoint(std::string_view name);
  void MaybeDie();

  // Every registered name of this program, sorted: what --list-crash-points prints.
  static std::vector<std::string> All();

 private:
  std::string_view name_;
  int countdown_;  // 0: not armed
};

}  // namespace k3saga
