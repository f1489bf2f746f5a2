// Files that go through the agent's service: uploads, downloads, backups that are verified where they lie.
#include <fstream>

#include "tests/unit/service/served_agent.h"

namespace k3saga::service {
namespace {

using operations::MakeAuthority;

TEST_F(ServiceTest, VerifiesABackupWhereItLies) {
  v1::VerifyBackupRequest request;
  request.set_id("b1");
  v1::VerifyBackupReply reply;
  ASSERT_TRUE(stub_->VerifyBackup(Context().get(), request, &reply).ok());
  EXPECT_FALSE(reply.sound());
  EXPECT_EQ(reply.problem(), "token is damaged");
  request.set_id("b2");
  EXPECT_EQ(stub_->VerifyBackup(Context().get(), request, &reply).error_code(), grpc::StatusCode::NOT_FOUND);
}

TEST_F(ServiceTest, AnUploadIsResumedWhereItBroke) {
  const std::string content = std::string(300'000, 'k') + "3s";
  const std::string sha256 = Sha256Of(content);
  v1::BeginUploadRequest begin;
  begin.set_sha256(sha256);
  begin.set_bytes(content.size());
  v1::BeginUploadReply begun;
  ASSERT_TRUE(stub_->BeginUpload(Context().get(), begin, &begun).ok());
  EXPECT_EQ(begun.offset(), 0u);

  const auto send = [&](uint64_t from, uint64_t to, v1::UploadReply* reply) {
    auto context = Context();
    auto stream = stub_->Upload(context.get(), reply);
    v1::UploadChunk chunk;
    *chunk.mutable_authority() = MakeAuthority();
    chunk.set_sha256(sha256);
    chunk.set_release_version("v1.32.0+k3s1");
    chunk.set_file_name("k3s");
    for (uint64_t offset = from; offset < to; offset += 100'000) {
      chunk.set_offset(offset);
      chunk.set_data(content.substr(offset, std::min<uint64_t>(100'000, to - offset)));
      stream->Write(chunk);
      chunk.Clear();
    }
    stream->WritesDone();
    return stream->Finish();
  };
  v1::UploadReply reply;
  EXPECT_EQ(send(0, 200'000, &reply).error_code(), grpc::StatusCode::UNAVAILABLE);
  ASSERT_TRUE(stub_->BeginUpload(Context().get(), begin, &begun).ok());
  EXPECT_EQ(begun.offset(), 200'000u);
  EXPECT_TRUE(send(200'000, content.size(), &reply).ok());
  EXPECT_EQ(reply.bytes(), content.size());
  EXPECT_EQ(transfers_.named["v1.32.0+k3s1/k3s"], content);
}

TEST_F(ServiceTest, ADownloadStartsAtItsOffset) {
  const std::string content(300'000, 'x');
  std::ofstream(folder_ / "etcd") << content << "end";
  std::ofstream(folder_ / "empty").flush();
  const auto read = [&](const std::string& id, const std::string& name, uint64_t offset, std::string* data) {
    v1::DownloadRequest request;
    request.set_backup_id(id);
    request.set_file_name(name);
    request.set_offset(offset);
    auto context = Context();
    auto stream = stub_->Download(context.get(), request);
    v1::DownloadChunk chunk;
    uint64_t total = 0;
    while (stream->Read(&chunk)) {
      data->append(chunk.data());
      total = chunk.total_bytes();
    }
    return std::pair(stream->Finish().error_code(), total);
  };
  std::string data;
  EXPECT_EQ(read("b1", "etcd", 0, &data), std::pair(grpc::StatusCode::OK, uint64_t{300'003}));
  EXPECT_EQ(data, content + "end");
  data.clear();
  EXPECT_EQ(read("b1", "etcd", 300'000, &data).first, grpc::StatusCode::OK);
  EXPECT_EQ(data, "end");
  EXPECT_EQ(read("b1", "empty", 0, &data).first, grpc::StatusCode::OK);
  EXPECT_EQ(read("b1", "etcd", 400'000, &data).first, grpc::StatusCode::OUT_OF_RANGE);
  EXPECT_EQ(read("b2", "etcd", 0, &data).first, grpc::StatusCode::NOT_FOUND);
}

}  // namespace
}  // namespace k3saga::service
