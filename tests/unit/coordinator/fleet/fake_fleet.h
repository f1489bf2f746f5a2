#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "coordinator/fleet/fleet.h"

namespace k3saga::fleet {

// A fleet by hand: a test sees every question and gives the answers, in the order it likes. Answers run the
// callbacks at once, so a test gives them where the loop would.
class FakeFleet final : public Fleet {
 public:
  template <typename Request, typename Callback>
  struct Asked {
    std::string node;
    Request request;
    std::chrono::milliseconds timeout;
    Callback callback;
    std::shared_ptr<bool> alive;  // false once the caller dropped the call
  };
  struct UploadRequest {
    v1::Authority authority;
    UploadFile file;
    Transferred moved;
  };
  struct DownloadQuestion {
    v1::Authority authority;
    DownloadFile file;
  };

  std::vector<Asked<v1::GetFactsRequest, Done<v1::NodeFacts>>> facts;
  std::vector<Asked<v1::ProbeRequest, Done<v1::ServerProof>>> probes;
  std::vector<Asked<v1::RunRequest, RunEvents>> runs;
  std::vector<Asked<v1::CancelRequest, Done<v1::CancelReply>>> cancels;
  std::vector<Asked<v1::ListOperationsRequest, Done<v1::ListOperationsReply>>> listings;
  std::vector<Asked<v1::ReplaceAgentRequest, Done<v1::ReplaceAgentReply>>> replacements;
  std::vector<Asked<v1::VerifyBackupRequest, Done<v1::VerifyBackupReply>>> verifications;
  std::vector<Asked<UploadRequest, Done<v1::UploadReply>>> uploads;
  std::vector<Asked<DownloadQuestion, Done<uint64_t>>> downloads;
  std::function<void()> on_run;  // hears of every Run, before it returns

  CallHandle GetFacts(const std::string& node, const v1::GetFactsRequest& request,
                      std::chrono::milliseconds timeout, Done<v1::NodeFacts> done) override {
    return Ask(facts, node, request, timeout, std::move(done));
  }
  CallHandle Probe(const std::string& node, const v1::ProbeRequest& request,
                   std::chrono::milliseconds timeout, Done<v1::ServerProof> done) override {
    return Ask(probes, node, request, timeout, std::move(done));
  }
  CallHandle Run(const std::string& node, const v1::RunRequest& request, std::chrono::milliseconds timeout,
                 RunEvents events) override {
    if (on_run) on_run();
    return Ask(runs, node, request, timeout, std::move(events));
  }
  CallHandle Cancel(const std::string& node, const v1::CancelRequest& request,
                    std::chrono::milliseconds timeout, Done<v1::CancelReply> done) override {
    return Ask(cancels, node, request, timeout, std::move(done));
  }
  CallHandle ListOperations(const std::string& node, const v1::ListOperationsRequest& request,
                            std::chrono::milliseconds timeout, Done<v1::ListOperationsReply> done) override {
    return Ask(listings, node, request, timeout, std::move(done));
  }
  CallHandle ReplaceAgent(const std::string& node, const v1::ReplaceAgentRequest& request,
                          std::chrono::milliseconds timeout, Done<v1::ReplaceAgentReply> done) override {
    return Ask(replacements, node, request, timeout, std::move(done));
  }
  CallHandle VerifyBackup(const std::string& node, const v1::VerifyBackupRequest& request,
                          std::chrono::milliseconds timeout, Done<v1::VerifyBackupReply> done) override {
    return Ask(verifications, node, request, timeout, std::move(done));
  }
  CallHandle Upload(const std::string& node, const v1::Authority& authority, const UploadFile& file,
                    std::chrono::milliseconds timeout, Transferred moved,
                    Done<v1::UploadReply> done) override {
    return Ask(uploads, node, UploadRequest{authority, file, std::move(moved)}, timeout, std::move(done));
  }
  CallHandle Download(const std::string& node, const v1::Authority& authority, const DownloadFile& file,
                      std::chrono::milliseconds timeout, Transferred, Done<uint64_t> done) override {
    return Ask(downloads, node, DownloadQuestion{authority, file}, timeout, std::move(done));
  }

 private:
  class Handle final : public Call {
   public:
    explicit Handle(std::shared_ptr<bool> alive) : alive_(std::move(alive)) {}
    ~Handle() override { *alive_ = false; }

   private:
    std::shared_ptr<bool> alive_;
  };

  // What is said to a call that was dropped is not heard.
  template <typename Argument>
  static std::function<void(Argument)> IfAlive(std::shared_ptr<bool> alive,
                                               std::function<void(Argument)> callback) {
    return [alive = std::move(alive), callback = std::move(callback)](Argument argument) {
      if (*alive) callback(std::forward<Argument>(argument));
    };
  }
  static RunEvents IfAlive(const std::shared_ptr<bool>& alive, RunEvents events) {
    return {IfAlive(alive, std::move(events.accepted)), IfAlive(alive, std::move(events.progress)),
            IfAlive(alive, std::move(events.done))};
  }

  template <typename Request, typename Callback>
  static CallHandle Ask(std::vector<Asked<Request, Callback>>& list, const std::string& node,
                        const Request& request, std::chrono::milliseconds timeout, Callback callback) {
    auto alive = std::make_shared<bool>(true);
    list.push_back({node, request, timeout, IfAlive(alive, std::move(callback)), alive});
    return std::make_unique<Handle>(alive);
  }
};

}  // namespace k3saga::fleet
