// Wild nodes: quotes, blanks, percent signs and other things in a flag.
#include "tests/unit/node/wild_node_parts.h"

#include <absl/strings/str_replace.h>

namespace k3saga::node::wild {

void AddDifficultWords(std::vector<WildNode>* nodes) {
  nodes->push_back(Server("BlankInAFlag", {"'--kubelet-arg=feature-gates=A=true, B=false'"},
                          {"--kubelet-arg=feature-gates=A=true, B=false"}));
  nodes->push_back(
      Server("SeveralBlanksInAFlag", {R"('--node-label=note=a\x20 \x20b')"}, {"--node-label=note=a   b"}));
  nodes->push_back(Server("TabInAFlag", {R"("--node-label=note=a\tb")"}, {"--node-label=note=a\tb"}));
  nodes->push_back(Server("SecretInsideOfAFlag",
                          {"'--kube-apiserver-arg=oidc-client-secret=hush'", "'--kubelet-arg=v=2'"},
                          {"--kube-apiserver-arg=oidc-client-secret=hush", "--kubelet-arg=v=2"}));
  nodes->back().facts = {{"--kube-apiserver-arg", "oidc-client-secret=***"}, {"--kubelet-arg", "v=2"}};
  nodes->push_back(
      Server("SingleQuoteInAFlag", {R"('--node-label=who=it'\''s')"}, {"--node-label=who=it's"}));
  nodes->push_back(Server("DoubleQuotesInAFlag", {R"('--kube-apiserver-arg=x="y z"')"},
                          {R"(--kube-apiserver-arg=x="y z")"}));
  nodes->push_back(Server("DoubleQuotedByHand", {R"("--node-label=a=\"b\"")"}, {R"(--node-label=a="b")"}));

  // Installers do not double percent signs: what stands doubled has to be written doubled again.
  WildNode percent = Server("PercentSign", {"'--kubelet-arg=eviction-hard=memory.available<5%%'"},
                            {"--kubelet-arg=eviction-hard=memory.available<5%"});
  percent.exec = "server --kubelet-arg=eviction-hard=memory.available<5%%";
  nodes->push_back(percent);

  WildNode specifier = Server("Specifier", {"'--node-label=unit=%N'"}, {"--node-label=unit=k3s"});
  specifier.exec = "server --node-label=unit=%N";
  nodes->push_back(specifier);

  nodes->push_back(Server("DollarSign", {"'--kube-apiserver-arg=re=a$$'"}, {"--kube-apiserver-arg=re=a$"}));
  nodes->push_back(
      Server("Backslash", {R"('--kube-apiserver-arg=re=\\.x\\\\')"}, {R"(--kube-apiserver-arg=re=\.x\\)"}));
  nodes->push_back(Server("ShellCharacters", {R"('--node-label=a=~b;c|d&e>f<g(h)[i]{j}*k?l!m#n`o^p')"},
                          {"--node-label=a=~b;c|d&e>f<g(h)[i]{j}*k?l!m#n`o^p"}));
  nodes->push_back(Server("TildeFirst", {"'--private-registry'", "'~root/registries.yaml'"},
                          {"--private-registry", "~root/registries.yaml"}));
  nodes->push_back(Server("EmptyValue", {"'--node-taint'", "''"}, {"--node-taint", ""}));
  nodes->push_back(Server("NotAscii", {"'--node-label=ort=Köln'"}, {"--node-label=ort=Köln"}));

  WildNode comments =
      Server("CommentsBetweenFlags", {}, {"--disable", "traefik", "--flannel-backend", "host-gw"});
  comments.files[0].text = absl::StrReplaceAll(TodaysUnit({}), {{"    server \\\n",
                                                                 "    server \\\n"
                                                                 "  --disable traefik \\\n"
                                                                 "# --disable servicelb \\\n"
                                                                 "; no longer\n"
                                                                 "  --flannel-backend host-gw\n"}});
  nodes->push_back(comments);

  WildNode windows = Server("LinesOfWindows", {"'--disable=traefik'"}, {"--disable=traefik"});
  windows.files[0].text = absl::StrReplaceAll(windows.files[0].text, {{"\n", "\r\n"}});
  nodes->push_back(windows);
}

}  // namespace k3saga::node::wild
