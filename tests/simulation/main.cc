#include <CLI/CLI.hpp>

#include <algorithm>
#include <ctime>
#include <iostream>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

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
  std::vector<std::string> only;  // of the drawn faults; empty: all
  int64_t faults_until_ms = -1;   // -1: as drawn
};

// A history with less in it than its seed drew.
struct Trimmed {
  std::array<bool, kFaults> without = {};
  int64_t until_ms = -1;

  Scenario Of(Scenario scenario) const {
    for (size_t i = 0; i < kFaults; ++i) {
      if (without[i]) scenario.faults.rates[i] = 0;
    }
    if (until_ms >= 0) scenario.faults.until = std::min(scenario.faults.until, until_ms);
    return scenario;
  }
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

// How `trimmed` is run again.
std::string ReplayOf(const Options& options, const Scenario& drawn, const Trimmed& trimmed) {
  std::ostringstream line;
  line << "k3saga-sim --start " << drawn.seed << " --seeds 1 --trace";
  if (!options.nodes.empty()) line << " --nodes " << options.nodes;
  if (!options.mutant.empty()) line << " --mutant " << options.mutant;
  if (trimmed.until_ms >= 0) line << " --faults-until " << trimmed.until_ms;
  bool some = false;
  for (size_t i = 0; i < kFaults; ++i) some = some || trimmed.without[i];
  for (size_t i = 0; i < kFaults && some; ++i) {
    if (drawn.faults.rates[i] != 0 && !trimmed.without[i])
      line << " --only \"" << Name(static_cast<Fault>(i)) << "\"";
  }
  return line.str();
}

// Leaves out one kind of fault after the other, then ends them sooner, as long as an invariant still breaks.
// What is left is the shortest prefix that we know of.
Trimmed Shrink(const Scenario& drawn, const Mutation& mutation, Trimmed trimmed, Verdict& shortest) {
  const auto breaks = [&](const Trimmed& tried) {
    Verdict verdict = World(tried.Of(drawn), mutation, false).Run();
    if (verdict.violation.empty() || verdict.events > shortest.events) return false;
    shortest = std::move(verdict);
    return true;
  };
  for (size_t i = 0; i < kFaults; ++i) {
    if (drawn.faults.rates[i] == 0 || trimmed.without[i]) continue;
    Trimmed tried = trimmed;
    tried.without[i] = true;
    if (breaks(tried)) trimmed = tried;
  }
  int64_t step = std::min(drawn.faults.until, shortest.at_ms);
  for (int64_t until = step; step >= 100; step /= 2) {
    Trimmed tried = trimmed;
    tried.until_ms = until - step / 2;
    if (!breaks(tried)) continue;
    trimmed = tried;
    until = tried.until_ms;
  }
  return trimmed;
}

void Report(const Options& options, const Scenario& drawn, const Mutation& mutation, const Trimmed& trimmed,
            const Verdict& verdict) {
  Verdict shortest = verdict;
  const Trimmed shrunk = Shrink(drawn, mutation, trimmed, shortest);
  std::cout << "seed " << drawn.seed << ": " << verdict.violation << "\n  after " << verdict.events
            << " events, at " << verdict.at_ms << " ms, " << verdict.journaled
            << " journaled; replay: " << ReplayOf(options, drawn, trimmed)
            << "\n  shortest: " << shortest.violation << "\n  after " << shortest.events << " events, at "
            << shortest.at_ms << " ms, " << shortest.journaled
            << " journaled; replay: " << ReplayOf(options, drawn, shrunk) << "\n";
}

Trimmed AskedFor(const Options& options) {
  Trimmed trimmed;
  trimmed.until_ms = options.faults_until_ms;
  if (options.only.empty()) return trimmed;
  trimmed.without.fill(true);
  for (const std::string& name : options.only) {
    const std::optional<Fault> fault = FaultNamed(name);
    if (!fault)
      throw CLI::ValidationError("--only", "no fault is called \"" + name + "\"; a run's end lists them");
    trimmed.without[static_cast<size_t>(*fault)] = false;
  }
  return trimmed;
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
void Repeat(const Scenario& scenario, const Mutation& mutation, Verdict& verdict) {
  World world(scenario, mutation, false);
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
  const Trimmed trimmed = AskedFor(options);
  Totals totals;
  const std::clock_t begun = std::clock();
  uint64_t seed = options.start;
  for (; seed < options.start + options.seeds; ++seed) {
    const Scenario drawn = DrawScenario(seed, shape.servers, shape.workers);
    World world(trimmed.Of(drawn), mutation, options.trace);
    world.digests = options.twice;
    Verdict verdict = world.Run();
    if (options.twice) Repeat(trimmed.Of(drawn), mutation, verdict);
    ++totals.results[static_cast<size_t>(verdict.result)];
    totals.journaled += verdict.journaled;
    totals.events += verdict.events;
    for (size_t i = 0; i < kFaults; ++i) totals.faults[i] += world.scenario.faults.counts[i];
    if (verdict.violation.empty()) continue;
    if (++totals.violations <= options.most_reports) Report(options, drawn, mutation, trimmed, verdict);
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
  app.add_option("--only", options.only, "of the drawn faults, only this kind; may be repeated");
  app.add_option("--faults-until", options.faults_until_ms,
                 "virtual milliseconds after which nothing goes wrong");
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
