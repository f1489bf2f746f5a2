#include "coordinator/cli/interrupts.h"

#include <signal.h>
#include <unistd.h>

#include <array>
#include <atomic>

#include "coordinator/cli/exit_code.h"

namespace k3saga::cli {
namespace {

constexpr std::array kSignals = {SIGINT, SIGTERM, SIGHUP};

// A handler can reach nothing but globals.
std::atomic<EventLoop*> g_loop{nullptr};
std::atomic<int> g_first{0};  // signal
std::array<struct sigaction, kSignals.size()> g_before;

void OnSignal(int signal) {
  int none = 0;
  if (!g_first.compare_exchange_strong(none, signal)) {
    constexpr char kNewline = '\n';
    (void)!write(STDERR_FILENO, &kNewline, 1);
    _exit(static_cast<int>(ExitCode::kPaused));
  }
  if (EventLoop* loop = g_loop.load()) loop->Stop();
}

}  // namespace

Interrupts::Interrupts(EventLoop& loop) {
  g_first = 0;
  g_loop = &loop;
  struct sigaction action {};
  action.sa_handler = OnSignal;
  action.sa_flags = SA_RESTART;
  for (size_t i = 0; i < kSignals.size(); ++i) sigaction(kSignals[i], &action, &g_before[i]);
}

Interrupts::~Interrupts() {
  for (size_t i = 0; i < kSignals.size(); ++i) sigaction(kSignals[i], &g_before[i], nullptr);
  g_loop = nullptr;
}

Interrupts::Asked Interrupts::Take() {
  const int first = g_first;
  if (taken_ || first == 0) return Asked::kNothing;
  taken_ = true;
  return first == SIGINT ? Asked::kPause : Asked::kLeave;
}

}  // namespace k3saga::cli
