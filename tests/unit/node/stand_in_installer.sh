# Stands in for install.sh in the node tests: its contract with the caller and its traps, nothing of its downloads.
# SYSTEMCTL, ROOT and OLD come before this text. Deliberately kept from the original: what is not repeated is lost; unit and
# environment file are deleted first; words of flags and variables go through the shell's splitting. It runs some hundred times
# in a test, so that it does with the shell's own means what the original asks other programs for. Functions answer in $answer.
set -e
set -f

# Before INSTALL_K3S_EXEC is evaluated, everything but quotes, blanks and slashes is taken literally.
literal() {
  answer= rest=$1
  while [ -n "$rest" ]; do
    after=${rest#?}
    char=${rest%"$after"}
    case "$char" in
      []['!#$%&()*;<=>?\_`{|}']) answer=$answer\\$char ;;
      *) answer=$answer$char ;;
    esac
    rest=$after
  done
}
single_quoted() {
  answer="'" rest=$1
  while :; do
    case "$rest" in
      *\'*) answer="$answer${rest%%\'*}'\\''" rest=${rest#*\'} ;;
      *) break ;;
    esac
  done
  answer=$answer$rest\'
}

literal "${INSTALL_K3S_EXEC}"
words=$answer
for word in "$@"; do
  single_quoted "$word"
  words="$words $answer"
done
eval set -- $words

case "$1" in
  -*|'')
    # The trap of traps: without a command and without K3S_URL it is a server that gets installed.
    if [ -z "${K3S_URL}" ]; then command=server; else command=agent; fi ;;
  *) command=$1; shift ;;
esac
if [ "$command" = server ]; then name=k3s; else name=k3s-$command; fi
if [ -n "${INSTALL_K3S_NAME}" ]; then name=k3s-${INSTALL_K3S_NAME}; fi
bin=${INSTALL_K3S_BIN_DIR:-/usr/local/bin}
units=${INSTALL_K3S_SYSTEMD_DIR:-/etc/systemd/system}
unit=$units/$name.service
type=notify
if [ "$OLD" = true ] && [ "$command" = agent ]; then type=exec; fi
type=${INSTALL_K3S_TYPE:-$type}

[ "${INSTALL_K3S_SKIP_DOWNLOAD}" = true ] || { echo 'stand-in: would download' >&2; exit 1; }
[ -x "$bin/k3s" ] || { echo "[ERROR]  Executable k3s binary not found at $bin/k3s" >&2; exit 1; }

if [ "${INSTALL_K3S_SYMLINK}" != skip ]; then
  for tool in kubectl crictl ctr; do [ -e "$bin/$tool" ] || ln -s k3s "$bin/$tool"; done
fi
printf '#!/bin/sh\n# %s\n' "killall" >"$bin/k3s-killall.sh"
printf '#!/bin/sh\n# %s\n' "$name" >"$bin/$name-uninstall.sh"

rm -f "$unit" "$unit.env"
if [ -e "$bin/die-after-delete" ]; then kill -KILL $$; fi

newline='
'
flags=
for word in "$@"; do
  single_quoted "$word"
  flags="$flags	$answer \\$newline"
done
flags=${flags%"$newline"}
if [ "$OLD" = true ]; then
  umask 0377
  env | grep -E '^(K3S_|([nN][oO]|[hH][tT][tT][pP][sS]?)_[pP][rR][oO][xX][yY])' >"$unit.env" || true
  umask 0022
  files="EnvironmentFile=$unit.env"
else
  umask 0177
  sh -c export | while read word rest; do echo $rest; done |
    grep -E '^((K3S|CONTAINERD)_|([nN][oO]|[hH][tT][tT][pP][sS]?)_[pP][rR][oO][xX][yY])' >"$unit.env" || true
  umask 0022
  files="EnvironmentFile=-$ROOT/etc/default/%N
EnvironmentFile=-$ROOT/etc/sysconfig/%N
EnvironmentFile=-$unit.env"
fi
printf '%s\n' '[Unit]' 'Description=Lightweight Kubernetes' 'Documentation=https://k3s.io' \
  'Wants=network-online.target' 'After=network-online.target' '' '[Install]' 'WantedBy=multi-user.target' '' '[Service]' \
  "Type=$type" "$files" 'KillMode=process' 'Delegate=yes' 'User=root' 'LimitNOFILE=1048576' 'LimitNPROC=infinity' \
  'LimitCORE=infinity' 'TasksMax=infinity' 'TimeoutStartSec=0' 'Restart=always' 'RestartSec=5s' \
  'ExecStartPre=-/sbin/modprobe br_netfilter' 'ExecStartPre=-/sbin/modprobe overlay' "ExecStart=$bin/k3s \\" \
  "    $command \\" "$flags" '' >"$unit"

if [ "${INSTALL_K3S_SKIP_ENABLE}" = true ]; then exit 0; fi
"$SYSTEMCTL" enable "$unit"
"$SYSTEMCTL" daemon-reload
if [ "${INSTALL_K3S_SKIP_START}" = true ]; then exit 0; fi
"$SYSTEMCTL" restart "$name"
