#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# The farm itself: direct server return in both families, checksums computed by the sender, farms
# side by side, and nothing left behind however it ends.
set -euo pipefail

((EUID == 0)) || {
  echo "needs root: it makes network namespaces" >&2
  exit 77
}
farm=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../../tools/farm" && pwd)/farm
work=$(mktemp -d)
chmod 755 "$work" # servers run as nobody
export TFO_FARM_STATE=$work/state # farms of others are none of ours
names=()
failures=0

# shellcheck disable=SC2317 # by the trap
cleanup() {
  local name
  for name in $("$farm" list); do "$farm" down "$name" || true; done
  rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

check() { # DESCRIPTION GOT WANTED
  if [[ $2 == "$3" ]]; then
    echo "ok      $1"
  else
    echo "FAILED  $1: $2, expected $3"
    failures=$((failures + 1))
  fi
}

# One value of a table of /proc/net/snmp, by name: NAME NODE TABLE VALUE.
snmp() {
  # shellcheck disable=SC2016 # awk's
  "$farm" exec "$1" "$2" awk -v table="$3:" -v name="$4" \
    '$1 == table { if (!n) n = split($0, k); else for (i = 2; i <= n; i++) if (k[i] == name) print $i }' /proc/net/snmp
}
# Packets that the balancer forwarded, both families.
forwarded() {
  local v6
  # shellcheck disable=SC2016 # awk's
  v6=$("$farm" exec "$1" lb awk '$1 == "Ip6OutForwDatagrams" { print $2 }' /proc/net/snmp6)
  echo $(($(snmp "$1" lb Ip ForwDatagrams) + v6))
}
# Of one server, from the one line that holds it.
passive_of() { "$farm" counters "$1" | sed -n "s/.*\"$2\": {.*\"TCPFastOpenPassive\": \([0-9]*\).*/\1/p"; }
namespaces_of() { find /run/netns -maxdepth 1 -name "tfo-$1-*" 2>/dev/null | wc -l; }
offload() { "$farm" exec "$1" "$2" ethtool -k "$3" | awk '$1 == "tx-checksumming:" { print $2 }'; }

make_farms() { # three at once
  local i pids=()
  for i in 1 2 3; do
    "$farm" up auto --servers 2 --clients 1 >"$work/name$i" &
    pids+=("$!")
  done
  for i in "${pids[@]}"; do wait "$i"; done
  for i in 1 2 3; do names+=("$(cat "$work/name$i")"); done
}

# Segments that the client sent beyond those that the balancer forwarded, once the last one is through.
missing() { # NAME SENT-BEFORE FORWARDED-BEFORE
  local deadline=$((SECONDS + 3)) difference
  while difference=$(($(snmp "$1" c1 Tcp OutSegs) - $2 - $(forwarded "$1") + $3)); ((difference > 0 && SECONDS < deadline)); do
    sleep 0.05
  done
  echo "$difference"
}

check_family() { # NAME ADDRESS
  local name=$1 before1 before2 share1 share2 sent through
  before1=$(passive_of "$name" s1) before2=$(passive_of "$name" s2)
  sent=$(snmp "$name" c1 Tcp OutSegs) through=$(forwarded "$name")
  check "$2: 41 connections, 40 with data in the SYN" \
    "$("$farm" client "$name" c1 c "$2" 80 41)" '{"connections": 41, "syn_data": 40}'
  share1=$(($(passive_of "$name" s1) - before1)) share2=$(($(passive_of "$name" s2) - before2))
  check "$2: the servers accepted as many" $((share1 + share2)) 40
  # One of 2^39 runs has all on one server.
  check "$2: by an L4 hash over both servers ($share1 and $share2)" $((share1 > 0 && share2 > 0)) 1
  check "$2: the balancer forwards what the client sent, and no answer" \
    "$(missing "$name" "$sent" "$through")" 0
}

check_interrupted() { # a farm whose user is told to stop
  local pid ready=$work/ready
  mkfifo "$ready"
  # shellcheck disable=SC2016 # expanded by the inner shell
  "$farm" run --servers 2 -- bash -c 'echo "$FARM_NAME" >"$1"; exec sleep 0.5' bash "$ready" &
  pid=$!
  read -r name <"$ready"
  check "run: the farm is there" "$(namespaces_of "$name")" 5
  kill -TERM "$pid"
  wait "$pid" || true
  check "run, told to stop: nothing is left" "$(namespaces_of "$name")" 0
}

make_farms
for name in "${names[@]}"; do check "$name: its namespaces" "$(namespaces_of "$name")" 5; done
name=${names[0]}
"$farm" serve "$name"
"$farm" key "$name" a0bf63f7-ed803d81-cd641d30-cebc4a90,00112233-44556677-8899aabb-ccddeeff
check_family "$name" 192.0.2.10
check_family "$name" 2001:db8::10
for node in lb s1 s2; do check "$node: checksum errors" "$(snmp "$name" "$node" Tcp InCsumErrors)" 0; done
for place in "c1 eth0" "lb up0" "lb s1" "lb s2"; do
  # shellcheck disable=SC2086 # two words
  check "transmit checksumming, $place" "$(offload "$name" $place)" off
done
"$farm" up "${names[0]}x" --tx-checksum
check "transmit checksumming as the kernel has it, by the switch" "$(offload "${names[0]}x" c1 eth0)" on
for name in "${names[@]}"; do "$farm" down "$name"; done
for name in "${names[@]}"; do check "$name, removed" "$(namespaces_of "$name")" 0; done
check "a farm whose name begins like another's stays" "$(namespaces_of "${names[0]}x")" 5
check_interrupted

echo "$failures failures"
((failures == 0))
