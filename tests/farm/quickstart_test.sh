#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# tools/quickstart with binaries already built: the farm to its end, with a capture, with etcd,
# interrupted, a real interface (a farm's balancer) with and without keys, and wrong usage. Nothing may be left behind.
# usage: quickstart_test.sh BIN      BIN: the directory of tfod and tfoctl
set -euo pipefail

((EUID == 0)) || {
  echo "needs root: it makes network namespaces" >&2
  exit 77
}
root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.." && pwd)
farm=$root/tools/farm/farm
bin=${1:?usage: quickstart_test.sh BIN}
quickstart=("$root/tools/quickstart" --bin "$bin" --no-install)
key=a0bf63f7-ed803d81-cd641d30-cebc4a90
work=$(mktemp -d)
name=''
running=''
failures=0

# shellcheck disable=SC2317 # by the trap
cleanup() {
  [[ -z $running ]] || kill -TERM -- "-$running" 2>/dev/null || true
  [[ -z $name ]] || "$farm" down "$name" || true
  rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

check() { # DESCRIPTION COMMAND...
  local what=$1
  shift
  if "$@"; then
    echo "ok      $what"
  else
    echo "FAILED  $what; its output:"
    sed 's/^/  | /' "$work/out"
    failures=$((failures + 1))
  fi
}
says() { grep -qE -- "$1" "$work/out"; }
wait_says() {
  local deadline=$((SECONDS + 120))
  until says "$1"; do
    ((SECONDS < deadline)) && kill -0 "$running" 2>/dev/null || return 1
    sleep 0.05
  done
}
is() { [[ $1 == "$2" ]]; }
lacks() { ! compgen -G "$1" >/dev/null; }

# A session of its own, as a terminal's Ctrl-C would reach it: the whole group at once. `setsid`
# does not fork here, so the job's pid is the group's. A shell's background jobs ignore SIGINT, which
# no terminal's do.
begin() {
  : >"$work/out"
  setsid env --default-signal=INT "$@" >"$work/out" 2>&1 &
  running=$!
}
interrupt() {
  kill -INT -- "-$running"
  finish
}
finish() {
  code=0
  wait "$running" || code=$?
  running=''
}

farm_of_quickstart() { sed -n 's/^\(f[0-9a-f-]*\): VIP.*/\1/p' "$work/out"; }
nothing_left() { # INSTANCE
  check "$2: no farm is left" lacks "/run/netns/tfo-$1-*"
  check "$2: nothing is pinned" lacks "/sys/fs/bpf/tfoguard/$1"
}

test_farm() {
  local instance
  begin "${quickstart[@]}" --seconds 0
  finish
  check "the farm: exit 0" is "$code" 0
  check "the farm: native XDP" says '^up0 +[0-9]+ +native'
  check "the farm: nothing misjudged" says 'misjudged: 0 of 400 handshakes'
  check "the farm: round trips saved" says 'round trips saved: 3[0-9]+'
  check "the farm: cookies of before and after the rotation" says 'cookie_previous'
  instance=$(farm_of_quickstart)
  check "the farm: said its name" test -n "$instance"
  nothing_left "$instance" "the farm"
}

# What stands behind an address that was printed.
fetched() { # REGEX ADDRESS WHAT
  curl -fsS --noproxy '*' "$2" | grep -qE -- "$1"
}

test_watched() {
  local instance page prometheus
  begin "${quickstart[@]}"
  check "watched: it came to its end" wait_says '^Ctrl-C ends all of it'
  instance=$(farm_of_quickstart)
  page=$(sed -n 's/^status page: *//p' "$work/out")
  prometheus=$(sed -n 's|^Prometheus: *\(http://[^/]*\)/.*|\1|p' "$work/out")
  check "watched: the page" fetched '<title>Fast Open' "$page"
  check "watched: what the page asks for" fetched '"instance":"'"$instance"'"' "${page}api/overview"
  check "watched: Prometheus scrapes it" fetched '"health":"up"' "$prometheus/api/v1/targets"
  interrupt
  check "watched: Ctrl-C ends it with exit 0" is "$code" 0
  check "watched: nobody listens any more" lacks_listener "$page" "$prometheus"
  nothing_left "$instance" watched
}
lacks_listener() {
  local url
  for url in "$@"; do
    ! curl -s --noproxy '*' "$url" >/dev/null || return 1
  done
}

test_seconds() {
  local instance
  begin "${quickstart[@]}" --seconds 3
  finish
  check "three seconds: exit 0" is "$code" 0
  check "three seconds: it went on" says 'all of it ends in 3 s'
  instance=$(farm_of_quickstart)
  nothing_left "$instance" "three seconds"
}

test_capture() {
  local instance
  # What stood there before neither keeps its mode nor leads elsewhere.
  mkdir "$work/capture"
  install -m 644 /dev/null "$work/capture/keys"
  ln -s "$work/elsewhere" "$work/capture/farm.pcap"
  begin "${quickstart[@]}" --capture "$work/capture"
  finish
  check "a capture: exit 0" is "$code" 0
  check "a capture: the same live and replayed" says '105 of 105 SYNs to the VIPs count the same'
  check "a capture: the forger is named" says '^198\.51\.100\.105 +nginx +25 +25 +cookie_invalid'
  check "a capture: stale cookies are told apart" says '^2001:db8:1::101 +nginx +1 +1 +cookie_retired'
  check "a capture: the keys are secret" is "$(stat -c '%a' "$work/capture/keys")" 600
  check "a capture: no link was followed" lacks "$work/elsewhere"
  check "a capture: two keys" is "$(grep -cE '^[0-9a-f]{8}(-[0-9a-f]{8}){3}$' "$work/capture/keys")" 2
  instance=$(farm_of_quickstart)
  nothing_left "$instance" "a capture"
  check "a capture: with the servers' keys alone" \
    is "$("$bin/tfoctl" -j replay "$work/capture/farm.pcap" --key-file "$work/capture/keys" |
      grep -o '"refused":{"syns":33,')" '"refused":{"syns":33,'
}

no_etcd_left() { ! grep -qa -- "$1" /proc/[0-9]*/cmdline 2>/dev/null; }

test_etcd() {
  local instance
  begin "${quickstart[@]}" --etcd --rotations 2
  finish
  instance=$(farm_of_quickstart)
  check "etcd: exit 0" is "$code" 0
  check "etcd: four members" says 'pool web: steady, document [0-9.]+, 4 of 4 hold it'
  check "etcd: two rotations, acknowledged by all" is "$(grep -c 'acknowledged by all 4 members' "$work/out")" 2
  check "etcd: nothing lost" says '^  lost: 0 of [1-9]'
  check "etcd: cookies were renewed" says '^ +[1-9][0-9]*  of them renewed in XDP'
  check "etcd: a key was revoked" says ' revoked '
  check "etcd: the history tells of it" says 'revoked [0-9a-f]{16}'
  nothing_left "$instance" etcd
  check "etcd: no process is left" no_etcd_left "$instance"
}

test_etcd_interrupted() {
  local instance
  begin "${quickstart[@]}" --etcd
  check "etcd interrupted: it came to its rotations" wait_says '^rotation 1 of 3'
  instance=$(farm_of_quickstart)
  interrupt
  check "etcd interrupted: exit 130" is "$code" 130
  nothing_left "$instance" "etcd interrupted"
  check "etcd interrupted: no process is left" no_etcd_left "$instance"
}

test_interrupted() {
  local instance
  begin "${quickstart[@]}"
  check "interrupted: it came to its traffic" wait_says '^== Traffic'
  instance=$(farm_of_quickstart)
  interrupt
  check "interrupted: exit 130" is "$code" 130
  nothing_left "$instance" "interrupted"
}

test_interface() { # TITLE CLASS ARGUMENT...: what a cookie under the servers' key counts as
  local title=$1 class=$2 instance
  shift 2
  "$farm" flush "$name"
  begin "$farm" exec "$name" lb "${quickstart[@]}" --dev up0 --vip 192.0.2.10:80 --vip '[2001:db8::10]:81' "$@"
  check "$title: counters follow" wait_says '^2001:db8::10-81 '
  "$farm" client "$name" c1 c 192.0.2.10 80 6 >/dev/null
  "$farm" client "$name" c1 go 2001:db8::10 81 6 >/dev/null
  instance=quickstart-$running
  interrupt
  check "$title: Ctrl-C ends it with exit 0" is "$code" 0
  # Columns of the last table: SYNs plain request valid invalid.
  for vip in 192.0.2.10-80 2001:db8::10-81; do
    check "$title: $vip" is "$(grep "^$vip " "$work/out" | tail -n 1 | awk '{ print $2, $3, $4, $5, $6 }')" "$class"
  done
  check "$title: nothing is pinned" lacks "/sys/fs/bpf/tfoguard/$instance"
}

test_usage() {
  local arguments
  install -d -o nobody "$work/foreign"
  for arguments in "--foo" "--vip 192.0.2.1" "--dev" "--dev no-such0" "--key-file /nonexistent --dev lo" \
    "--dev lo --vip 192.0.2.1:http" "--dev lo --capture $work/capture" "--capture /proc/none" \
    "--seconds x" "--seconds 86401" "--seconds 1 --etcd" "--seconds 1 --dev lo" "--etcd --dev lo" "--etcd --rotations 0" "--rotations 3" "--etcd --capture $work/capture" \
    "--capture $work/foreign"; do
    code=0
    # shellcheck disable=SC2086 # words
    "${quickstart[@]}" $arguments >"$work/out" 2>&1 || code=$?
    check "wrong usage, $arguments: exit 2" is "$code" 2
    check "wrong usage, $arguments: says what" says '^quickstart: .*(--|dev)'
  done
}

test_usage
test_farm
test_watched
test_seconds
test_capture
test_interrupted
test_etcd
test_etcd_interrupted
name=$("$farm" up auto --servers 2)
"$farm" serve "$name"
"$farm" key "$name" "$key"
printf '%s\n' "$key" >"$work/keys"
test_interface "an interface, keys given" "6 0 1 5 0" --key-file "$work/keys"
test_interface "an interface, no key known" "6 0 1 0 5"
"$farm" exec "$name" lb sh -c 'cat >/proc/sys/net/ipv4/tcp_fastopen_key' <"$work/keys"
test_interface "an interface, the host's own key" "6 0 1 5 0"

echo "$failures failures"
((failures == 0))
