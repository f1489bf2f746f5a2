#pragma once

#include <ostream>
#include <string>
#include <vector>

// How each crash point is reached, and in which process.
namespace k3saga::testing {

enum class Where {
  kCoordinator,  // k3saga itself, again and again in one rollout
  kAgent,        // the agents, each at another time
  kOperation,    // the processes that change nodes, each at another time
  kByHand,       // a journal alone: nothing in a rollout comes there
};

enum class Story {
  kUpgrade,  // from one release to the next
  kPush,     // the coordinator pushes the release, and copies the backup to its own machine
  kPause,    // somebody pauses from another terminal
  kPutBack,  // the release does not come up on one server: everything goes back
};

struct Recipe {
  std::string point;
  Where where = Where::kCoordinator;
  Story story = Story::kUpgrade;
  // At which time of being reached: one after the other for the coordinator, one a node for the others.
  std::vector<int> hits = {1};
  std::string what;  // tells recipes of one point apart
  friend std::ostream& operator<<(std::ostream& out, const Recipe& recipe) { return out << recipe.point; }
};

// "journal.before_commit", "agent.journal.phase.before_commit in operation, later"
std::string NameOf(const Recipe& recipe);

// One for every point of these programs; a point that nobody knows how to reach gets one without hits, whose
// test fails.
std::vector<Recipe> AllRecipes();

}  // namespace k3saga::testing
