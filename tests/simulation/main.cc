#include <CLI/CLI.hpp>

#include <ctime>
#include <iostream>
#include <string>

#include "tests/simulation/world.h"

// Runs the real core and the agents' real operation machine through many histories, one seed each, and says
// which of them broke an invariant.
namespace k3saga::simulation {
namespace {

struct Options {
  uint64_t seeds = 1000;
  uint64_t start = 1;
  std::string nodes;  // "3x10"; empty: drawn
  std::string mutant;
  bool list_mutants = false;
  bool trace = false;
  bool expect_caught = false;
  bool twice = false;
  uint64_t most_reports = 10;
};

struct Totals {
  FaultCounts faults = {};
  std::array<uint64_t, 5> results = {};
  uint64_t violations = 0;
  uint64_t journaled = 0;
  uint64_t events = 0;
};

struct Shape {
  int servers = 0;
  int workers = 0;
};

Shape ParseShape(const std::string& text) {
  Shape shape;
  if (text.empty()) return shape;
  const size_t x = text.find('x');
  if (x == std::string::npos) throw CLI::ValidationError("--nodes", "expected SERVERSxWORKERS, like 3x10");
  shape.servers = std::stoi(text.substr(0, x));
  shape.workers = std::stoi(text.substr(x + 1));
  return shape;
}

void Report(const Options& options, uint64_t seed, const Verdict& verdict) {
  std::cout << "seed " << seed << ": " << verdict.violation << "\n  after " << verdict.events
            << " events, at " << verdict.at_ms << " ms, " << verdict.journaled
            << " journaled; replay: k3saga-sim --start " << seed << " --seeds 1 --trace";
  if (!options.nodes.empty()) std::cout << " --nodes " << options.nodes;
  if (!options.mutant.empty()) std::cout << " --mutant " << options.mutant;
  std::cout << "\n";
}

void Print(const Totals& totals, uint64_t seeds, double seconds) {
  static constexpr const char* kResults[] = {"unfinished", "succeeded", "compensated", "stopped", "refused"};
  std::cout << seeds << " histories in " << seconds << " s of CPU ("
            << static_cast<uint64_t>(static_cast<double>(seeds) / seconds) << " a second), " << totals.events
            << " events, " << totals.journaled << " journaled\nended:";
  for (size_t i = 0; i < totals.results.size(); ++i)
    std::cout << "  " << kResults[i] << " " << totals.results[i];
  std::cout << "\nfaults injected:\n";
  for (size_t i = 0; i < kFaults; ++i) {
    std::cout << "  " << Name(static_cast<Fault>(i)) << ": " << totals.faults[i] << "\n";
  }
  std::cout << (totals.violations == 0 ? "no violation"
                                       : std::to_string(totals.violations) + " histories broke an invariant")
            << "\n";
}

// One seed, one history: also the second time.
void Repeat(const Options& options, const Shape& shape, const Mutation& mutation, uint64_t seed,
            Verdict& verdict) {
  World world(DrawScenario(seed, shape.servers, shape.workers), mutation, options.trace);
  world.digests = true;
  const Verdict again = world.Run();
  const bool same = again.violation == verdict.violation && again.events == verdict.events &&
                    again.at_ms == verdict.at_ms && again.journaled == verdict.journaled &&
                    again.digest == verdict.digest && again.result == verdict.result;
  if (!same) verdict.violation = "the same seed gave another history";
}

int Simulate(const Options& options) {
  const Shape shape = ParseShape(options.nodes);
  Mutation mutation;
  if (!options.mutant.empty()) {
    const Mutant* mutant = FindMutant(options.mutant);
    if (mutant == nullptr) throw CLI::ValidationError("--mutant", "no such mutant; see --list-mutants");
    mutant->apply(mutation);
  }
  Totals totals;
  const std::clock_t begun = std::clock();
  uint64_t seed = options.start;
  for (; seed < options.start + options.seeds; ++seed) {
    World world(DrawScenario(seed, shape.servers, shape.workers), mutation, options.trace);
    world.digests = options.twice;
    Verdict verdict = world.Run();
    if (options.twice) Repeat(options, shape, mutation, seed, verdict);
    ++totals.results[static_cast<size_t>(verdict.result)];
    totals.journaled += verdict.journaled;
    totals.events += verdict.events;
    for (size_t i = 0; i < kFaults; ++i) totals.faults[i] += world.scenario.faults.counts[i];
    if (verdict.violation.empty()) continue;
    if (++totals.violations <= options.most_reports) Report(options, seed, verdict);
    if (options.expect_caught) break;
  }
  if (options.expect_caught) {
    std::cout << (totals.violations != 0 ? "caught" : "NOT caught") << ": " << options.mutant << ", after "
              << seed - options.start + 1 << " histories\n";
    return totals.violations != 0 ? 0 : 1;
  }
  Print(totals, options.seeds, static_cast<double>(std::clock() - begun) / CLOCKS_PER_SEC);
  return totals.violations == 0 ? 0 : 1;
}

int Main(int argc, char** argv) {
  Options options;
  CLI::App app("Simulates rollouts: one 64-bit seed, one history.", "k3saga-sim");
  app.add_option("--seeds", options.seeds, "how many histories");
  app.add_option("--start", options.start, "the first seed");
  app.add_option("--nodes", options.nodes, "SERVERSxWORKERS; drawn by seed otherwise");
  app.add_option("--mutant", options.mutant, "run this faulty version of the system");
  app.add_option("--reports", options.most_reports, "how many failing seeds are reported");
  app.add_flag("--expect-caught", options.expect_caught, "succeed as soon as a history breaks an invariant");
  app.add_flag("--twice", options.twice, "run every history twice: both have to be the same");
  app.add_flag("--list-mutants", options.list_mutants, "name the faulty versions");
  app.add_flag("--trace", options.trace, "print every journaled event");
  try {
    app.parse(argc, argv);
    if (options.list_mutants) {
      for (const Mutant& mutant : AllMutants()) std::cout << mutant.name << "\t" << mutant.what << "\n";
      return 0;
    }
    return Simulate(options);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
}

}  // namespace
}  // namespace k3saga::simulation

int main(int argc, char** argv) { return k3saga::simulation::Main(argc, argv); }
