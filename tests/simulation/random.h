#pragma once

#include <cstdint>

namespace k3saga::simulation {

// SplitMix64: small, fast, the same on every machine. One seed, one history.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}

  uint64_t Next() {
    uint64_t z = (state_ += 0x9e3779b97f4a7c15ull);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
  }
  // 0 .. n-1; n > 0.
  uint32_t Below(uint32_t n) { return static_cast<uint32_t>((Next() >> 32) * n >> 32); }
  // low .. high, both included.
  int64_t Between(int64_t low, int64_t high) { return low + Below(static_cast<uint32_t>(high - low + 1)); }
  bool Chance(uint32_t per_mille) { return per_mille != 0 && Below(1000) < per_mille; }

 private:
  uint64_t state_;
};

}  // namespace k3saga::simulation
