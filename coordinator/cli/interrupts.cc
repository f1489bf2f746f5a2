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
std::atomic<int> g_count{0};
std::array<struct sigaction, kSignals.size()> g_before;

void OnSignal(int) {
  if (g_count.fetch_add(1) > 0) {
    constexpr char kNewline = '\n';
    (void)!write(STDERR_FILENO, &kNewline, 1);
    _exit(static_cast<int>(ExitCode::kPaused));
  }
  if (EventLoop* loop = g_loop.load()) loop->Stop();
}

}  // namespace

Interrupts::Interrupts(EventLoop& loop) {
  g_count = 0;
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

bool Interrupts::TakePending() {
  if (taken_ || g_count == 0) return false;
  taken_ = true;
  return true;
}

}  // namespace k3saga::cli
