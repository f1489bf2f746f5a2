#include "coordinator/gate/external_gate.h"

#include <httplib.h>

#include <thread>

#include "common/reason.h"

namespace k3saga::gate {
namespace {

using testing::HasSubstr;
using testing::Not;

// Answers /api/v1/alerts with whatever the test says.
class Prometheus {
 public:
  explicit Prometheus(std::string answer, int code = 200) {
    server_.Get("/prom/api/v1/alerts", [answer, code](const httplib::Request&, httplib::Response& response) {
      response.status = code;
      response.set_content(answer, "application/json");
    });
    port_ = server_.bind_to_any_port("127.0.0.1");
    thread_ = std::thread([this] { server_.listen_after_bind(); });
    while (!server_.is_running()) std::this_thread::yield();
  }
  ~Prometheus() {
    server_.stop();
    thread_.join();
  }
  std::string url() const { return "http://user:secret@127.0.0.1:" + std::to_string(port_) + "/prom/"; }

 private:
  httplib::Server server_;
  int port_ = 0;
  std::thread thread_;
};

constexpr char kFiring[] = R"({"status":"success","data":{"alerts":[
  {"labels":{"alertname":"PodsCrash","severity":"critical"},"state":"firing"}]}})";
constexpr char kQuiet[] = R"({"status":"success","data":{"alerts":[]}})";

const Question kQuestion{"20260131-142507-4f2a", "w1"};

TEST(ExternalGate, ClosedByAlertsAndNamesThem) {
  const Prometheus prometheus(kFiring);
  v1::ExternalGate policy;
  policy.set_prometheus_url(prometheus.url());
  const Answer answer = Ask(policy, kQuestion);
  EXPECT_FALSE(answer.open);
  EXPECT_EQ(answer.reason.code(), v1::EXTERNAL_GATE_CLOSED);
  EXPECT_EQ(answer.reason.subject(), "PodsCrash");
  policy.set_alert_filter(R"(severity="warning")");
  EXPECT_TRUE(Ask(policy, kQuestion).open);
}

TEST(ExternalGate, OpenWhenNothingFires) {
  const Prometheus prometheus(kQuiet);
  v1::ExternalGate policy;
  policy.set_prometheus_url(prometheus.url());
  EXPECT_TRUE(Ask(policy, kQuestion).open);
}

TEST(ExternalGate, ClosedWhenItCannotBeAskedWithoutTellingThePassword) {
  v1::ExternalGate policy;
  {
    const Prometheus prometheus("no", 503);
    policy.set_prometheus_url(prometheus.url());
    const Answer answer = Ask(policy, kQuestion);
    EXPECT_FALSE(answer.open);
    EXPECT_THAT(answer.reason.detail(), HasSubstr("it answered 503"));
    EXPECT_THAT(Describe(answer.reason), Not(HasSubstr("secret")));
  }
  const Answer gone = Ask(policy, kQuestion);
  EXPECT_FALSE(gone.open);
  EXPECT_THAT(Describe(gone.reason), Not(HasSubstr("secret")));
}

v1::ExternalGate Command(const std::vector<std::string>& argv) {
  v1::ExternalGate policy;
  for (const std::string& argument : argv) policy.add_command(argument);
  policy.set_timeout_seconds(1);
  return policy;
}

TEST(ExternalGate, ACommandOpensWithZero) {
  EXPECT_TRUE(Ask(Command({"true"}), kQuestion).open);
  EXPECT_TRUE(
      Ask(Command({"sh", "-c", "test \"$K3SAGA_NODE $K3SAGA_ROLLOUT\" = \"w1 20260131-142507-4f2a\""}),
          kQuestion)
          .open);
}

TEST(ExternalGate, ACommandThatSaysNoIsQuoted) {
  const Answer answer =
      Ask(Command({"sh", "-c", "echo first >&2; echo queue too long >&2; exit 3"}), kQuestion);
  EXPECT_FALSE(answer.open);
  EXPECT_EQ(answer.reason.detail(), "the command says no: queue too long");
}

TEST(ExternalGate, ACommandThatCannotBeRunOrHangsCloses) {
  EXPECT_FALSE(Ask(Command({"/no/such/program"}), kQuestion).open);
  EXPECT_FALSE(Ask(Command({"sleep", "60"}), kQuestion).open);
}

TEST(ExternalGate, BothHaveToOpen) {
  const Prometheus prometheus(kQuiet);
  v1::ExternalGate policy = Command({"false"});
  policy.set_prometheus_url(prometheus.url());
  EXPECT_FALSE(Ask(policy, kQuestion).open);
}

}  // namespace
}  // namespace k3saga::gate
