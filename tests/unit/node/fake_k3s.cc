// What the tests run as k3s. Its version stands behind the program in its own file, so that, as with real
// releases, another version is another file: "…program…\n#K3S <version>\n".
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <iterator>
#include <string>

namespace {

std::string OwnVersion() {
  std::ifstream file("/proc/self/exe", std::ios::binary);
  const std::string content((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  const std::string marker =
      std::string("\n#K3") + "S ";  // in two pieces, so that the program does not hold it
  const size_t at = content.rfind(marker);
  if (at == std::string::npos) return "";
  const size_t begin = at + marker.size();
  return content.substr(begin, content.find('\n', begin) - begin);
}

}  // namespace

int main(int argc, char** argv) {
  const std::string command = argc > 1 ? argv[1] : "";
  if (command == "--version") {
    std::printf("k3s version %s (0123abcd)\ngo version go1.22.9\n", OwnVersion().c_str());
    return 0;
  }
  if (command == "server" || command == "agent") {
    for (;;) pause();
  }
  return 1;
}
