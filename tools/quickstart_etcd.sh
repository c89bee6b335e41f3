# shellcheck shell=bash
# SPDX-License-Identifier: BSD-2-Clause
# tools/quickstart --etcd: a farm whose nodes share their keys through a real etcd of three members.
# Read by tools/quickstart, whose functions and variables it uses.
# shellcheck disable=SC2154 # directory, name, bin, farm, root, bpffs, rotations: the quickstart's

node_pids=() etcd_pids=()
returning=go # of the clients
etcd_endpoints=()

# Waits until a command succeeds, at most $deadline s; says so every 2 s.
await() { # WHAT COMMAND...
  local what=$1 end=$((SECONDS + deadline)) next=$((SECONDS + 2))
  shift
  until "$@" >/dev/null 2>&1; do
    ((SECONDS < end)) || return 1
    if ((SECONDS >= next)); then
      say "waiting for $what"
      next=$((SECONDS + 2))
    fi
    sleep 0.05
  done
}

stop_etcd_farm() {
  local pid
  for pid in "${node_pids[@]}" "${etcd_pids[@]}"; do kill -TERM "$pid" 2>/dev/null; done
  for pid in "${node_pids[@]}" "${etcd_pids[@]}"; do wait "$pid" 2>/dev/null; done
}

# Three members in the namespace of the clients' and servers' network, one address and three ports.
start_etcd() {
  local i peers='' url
  mkdir "$directory/etcd"
  for i in 1 2 3; do peers+="${peers:+,}m$i=http://$FARM_NET_ADDR4:$((2379 + 10 * i + 1))"; done
  for i in 1 2 3; do
    url=http://$FARM_NET_ADDR4:$((2379 + 10 * i))
    etcd_endpoints+=("$url")
    setsid "$farm" exec "$name" net etcd --name "m$i" --data-dir "$directory/etcd/m$i" \
      --listen-client-urls "$url" --advertise-client-urls "$url" \
      --listen-peer-urls "http://$FARM_NET_ADDR4:$((2379 + 10 * i + 1))" \
      --initial-advertise-peer-urls "http://$FARM_NET_ADDR4:$((2379 + 10 * i + 1))" \
      --initial-cluster "$peers" --initial-cluster-token "$name" --logger zap \
      </dev/null >"$directory/etcd/log$i" 2>&1 &
    etcd_pids+=("$!")
  done
  for url in "${etcd_endpoints[@]}"; do
    await "etcd on $url" etcd_healthy "$url" || {
      tail -n 20 "$directory"/etcd/log* >&2
      die "etcd on $url does not come up (see above)"
    }
  done
  say "etcd: ${etcd_endpoints[*]}"
}

etcd_healthy() { "$farm" exec "$name" net curl -sf --noproxy '*' -m 2 "$1/health" | grep -q '"true"'; }

# What all nodes' configurations have in common.
node_config() { # NODE SOCKET
  local endpoints
  endpoints=$(quoted "${etcd_endpoints[@]}" | paste -sd,)
  cat <<END
{
  "instance": "$([[ $1 == lb ]] && echo "$name" || echo "$name-$1")", "http": null, "bpffs": "$bpffs",
  "socket": "$2", "state_directory": "$directory/$1",
  "farm": {"name": "quickstart", "node": "$1", "key_file": "$directory/farm.key", "lease": "5s",
           "etcd": {"endpoints": [$endpoints]}},
  "pools": {"web": {"store": "etcd", "interval": "0", "deadline": "20s"}},
END
}

balancer_config() {
  local addresses
  addresses=$(json_list "\"$FARM_VIP4\"" "\"$FARM_VIP6\"")
  node_config lb "$directory/tfod.sock"
  cat <<END
  "interfaces": [{"name": "$FARM_LB_IF", "mode": "native"}],
  "vips": [
    {"name": "nginx", "addresses": $addresses, "ports": [$FARM_NGINX_PORT], "pool": "web",
     "mode": "enforce", "renew": true},
    {"name": "haproxy", "addresses": $addresses, "ports": [$FARM_HAPROXY_PORT], "pool": "web",
     "mode": "enforce", "renew": true}
  ]
}
END
}

server_config() { # NODE
  node_config "$1" "$directory/$1.sock"
  printf '  "server": {"namespaces": [{"pool": "web"}]}\n}\n'
}

start_servers() {
  local i node
  for ((i = 1; i <= FARM_SERVERS; i++)); do
    node=s$i
    mkdir "$directory/$node"
    server_config "$node" >"$directory/$node.json"
    setsid "$farm" exec "$name" "$node" "$bin/tfod" --config "$directory/$node.json" \
      </dev/null >"$directory/$node.log" 2>&1 &
    node_pids+=("$!")
  done
}

# Has every node acknowledged the document, and does every server offer Fast Open?
all_hold() {
  local i
  ctl -j node list web | python3 -c '
import json, sys
members = json.load(sys.stdin)["members"]
sys.exit(len(members) != int(sys.argv[1]) or not all(one["acked"] for one in members))' \
    $((FARM_SERVERS + 1)) || return
  for ((i = 1; i <= FARM_SERVERS; i++)); do
    (($("$farm" exec "$name" "s$i" cat /proc/sys/net/ipv4/tcp_fastopen) & 2)) || return
  done
}

await_all() { # WHAT
  await "$1" all_hold && return
  tail -n 10 "$directory"/tfod.log "$directory"/s*.log >&2
  die "$1: not after $deadline s (see above, and: $(ctl node list web 2>&1))"
}

# One client's connections until the file `stop` is there, a line of results for each few.
endless_traffic() { # NODE KIND
  local address port
  while [[ ! -e $directory/stop ]]; do
    for address in "$FARM_VIP4" "$FARM_VIP6"; do
      for port in "$FARM_NGINX_PORT" "$FARM_HAPROXY_PORT"; do
        "$farm" client "$name" "$1" "$2" "$address" "$port" 2 || return
      done
    done
  done >>"$directory/traffic.$1" 2>>"$directory/traffic.$1.err"
}

# The client that is away while the keys change.
return_client() {
  local i
  for i in "${!clients[@]}"; do
    [[ ${clients[i]} == "$returning" ]] || continue
    rounds=1 traffic "c$((i + 1))" "$returning" || die "connections failed: $(cat "$directory"/traffic.*.err)"
    cat "$directory/traffic.c$((i + 1))" >>"$directory/traffic.c0"
    : >"$directory/traffic.c$((i + 1))"
  done
}

more_traffic() { # LINES
  traffic_alive && (($(traffic_lines) >= $1))
}

begin_traffic() {
  local i
  rm -f "$directory/stop"
  for i in "${!clients[@]}"; do
    [[ ${clients[i]} != "$returning" ]] || continue
    endless_traffic "c$((i + 1))" "${clients[i]}" &
    traffic_pids+=("$!")
  done
}

end_traffic() {
  local pid failed=0
  : >"$directory/stop"
  for pid in "${traffic_pids[@]}"; do wait "$pid" || failed=1; done
  traffic_pids=()
  ((!failed)) || die "connections failed: $(cat "$directory"/traffic.*.err)"
}

# A few connections of every client.
let_flow() {
  await "the clients' connections" more_traffic $(($(traffic_lines) + 4 * ${#clients[@]})) ||
    die "the clients make no connections: $(cat "$directory"/traffic.*.err)"
}

rotate_under_traffic() {
  local i
  return_client
  begin_traffic
  let_flow
  for ((i = 1; i <= rotations; i++)); do
    say
    say "rotation $i of $rotations, while the clients go on:"
    ctl key rotate web --wait --timeout "$deadline" || die "the rotation is not complete (see above)"
    let_flow
  done
  end_traffic
  say
  say "the $returning client comes back with the cookies that it got before"
  return_client
}

show_lossless() {
  local saved
  saved=$(cat "$directory"/traffic.c[0-9] | sed 's/.*"syn_data": \([0-9]*\).*/\1/' | awk '{ sum += $1 } END { print sum + 0 }')
  ctl stats -j >"$directory/stats.json"
  "$farm" counters "$name" >"$directory/counters.json"
  python3 "$root/tools/farm/rotated.py" "$directory/stats.json" "$directory/counters.json" "$saved" ||
    die "clients lost the data of their SYNs (see above); please report it with this output"
}

# The id of the key that the servers hold as their backup.
previous_generation() {
  ctl -j key show web | python3 -c '
import json, sys
print(next(key["id"] for key in json.load(sys.stdin)["pools"][0]["generations"] if key["place"] == "previous"))'
}

run_etcd_farm() {
  make_farm
  step "etcd: three members"
  start_etcd

  step "farm init: the farm key, and the first document in etcd"
  mkdir "$directory/lb"
  balancer_config >"$directory/tfod.json"
  "$farm" exec "$name" lb "$bin/tfoctl" farm init web --config "$directory/tfod.json" ||
    die "the farm could not be begun (see above)"

  step "tfod on the balancer (in XDP) and on each of the $FARM_SERVERS servers"
  start_servers
  start_tfod "$farm" exec "$name" lb
  await_all "every node to join and hold the key"
  ctl node list web

  step "Traffic: ${clients[*]} clients; $rotations rotations"
  rotate_under_traffic

  step "Result"
  show_lossless

  step "Revoke: the key that the servers still had as their backup"
  ctl key revoke "$(previous_generation)" web || { ctl key history web; ctl key show web; ctl node list; die "it was not revoked (see above)"; }
  await_all "every node to give the key up"
  ctl key show web

  step "History"
  ctl key history web
}
