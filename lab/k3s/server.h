#pragma once

#include "lab/k3s/instance.h"

namespace k3saga::lab {

// Runs `k3s server` until a signal or a fault ends it; returns its exit code. As k3s: exits 1 on SIGTERM,
// kills its etcd without handing leadership over, sends READY=1 shortly before /readyz is 200.
int RunServer(const Instance& instance);

// Runs `k3s agent`.
int RunWorker(const Instance& instance);

}  // namespace k3saga::lab
