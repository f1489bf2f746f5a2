#include "agent/health/metrics.h"

#include "agent/kube/http.h"
#include "common/host/process.h"
#include "common/reason.h"

namespace k3saga::health {
namespace {

using std::chrono::milliseconds;
using ::testing::HasSubstr;

NodeSample Sample() {
  return {.k3s_version = "v1.32.0+k3s1",
          .role = "server",
          .checks = {{.check = "process", .status = absl::OkStatus()},
                     {.check = "apiserver", .status = ReasonError(MakeReason(v1::API_NOT_READY, "", "500"))}},
          .certificate_expiry = {{"k3s", 1800000000}, {"agent", 1900000000}}};
}

TEST(Metrics, ShowTheNodeAndWhatTheAgentDid) {
  Metrics metrics(&Sample);
  metrics.OperationSettled("install", "succeeded", milliseconds(12'500));
  metrics.OperationSettled("install", "succeeded", milliseconds(20'000));
  metrics.OperationSettled("cordon", "failed", milliseconds(30));
  metrics.UpgradeDown(milliseconds(9'250));
  const std::string text = metrics.Expose();
  for (const char* line : {
           "k3saga_agent_build_info{version=\"" K3SAGA_VERSION "\"} 1\n",
           "k3saga_node_k3s_info{role=\"server\",version=\"v1.32.0+k3s1\"} 1\n",
           "k3saga_operations_total{kind=\"install\",outcome=\"succeeded\"} 2\n",
           "k3saga_operations_total{kind=\"cordon\",outcome=\"failed\"} 1\n",
           "k3saga_operation_duration_seconds_bucket{kind=\"install\",outcome=\"succeeded\",le=\"30\"} 2\n",
           "k3saga_operation_duration_seconds_sum{kind=\"install\",outcome=\"succeeded\"} 32.5\n",
           "k3saga_health_check_up{check=\"process\"} 1\n",
           "k3saga_health_check_up{check=\"apiserver\"} 0\n",
           "k3saga_last_upgrade_down_seconds 9.25\n",
           "k3saga_certificate_expiry_timestamp_seconds{certificate=\"k3s\"} 1800000000\n",
           "# TYPE process_cpu_seconds_total counter\n",
       }) {
    EXPECT_THAT(text, HasSubstr(line));
  }
}

TEST(Metrics, ANodeWithoutK3sShowsNoVersion) {
  const std::string text = Metrics([] { return NodeSample(); }).Expose();
  EXPECT_THAT(text, ::testing::Not(HasSubstr("k3saga_node_k3s_info")));
  EXPECT_THAT(text, ::testing::Not(HasSubstr("k3saga_health_check_up")));
}

TEST(Metrics, AScrapePleasesPromtool) {
  Metrics metrics(&Sample);
  metrics.OperationSettled("drain", "unknown", milliseconds(1));
  metrics.UpgradeDown(milliseconds(1));
  const auto port = metrics.Serve("127.0.0.1:0");
  ASSERT_TRUE(port.ok()) << port.status();
  kube::HttpClient client({});
  kube::HttpRequest request;
  request.url = absl::StrCat("http://127.0.0.1:", *port, "/metrics");
  ASSERT_TRUE(client.Send(request).ok());
  const auto scrape = client.Send(request);  // the second one shows what the first one counted
  ASSERT_TRUE(scrape.ok()) << scrape.status();
  EXPECT_THAT(scrape->body, HasSubstr("k3saga_agent_build_info"));

  Command promtool;
  promtool.argv = {"promtool", "check", "metrics"};
  promtool.environment = PlainEnvironment();
  promtool.stdin_data = scrape->body;
  const auto result = k3saga::Run(promtool);
  if (absl::IsNotFound(result.status())) {
    GTEST_SKIP() << "promtool is missing (apt-get install prometheus)";
  }
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_TRUE(result->ok()) << result->out << result->err;
  EXPECT_EQ(result->err, "");
}

TEST(Metrics, ATakenAddressIsSaid) {
  Metrics first(&Sample);
  const auto port = first.Serve("127.0.0.1:0");
  ASSERT_TRUE(port.ok()) << port.status();
  const std::string address = absl::StrCat("127.0.0.1:", *port);
  Metrics second(&Sample);
  const auto status = second.Serve(address).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(status.message()), HasSubstr(address));
}

}  // namespace
}  // namespace k3saga::health
