# shellcheck shell=bash
# SPDX-License-Identifier: BSD-2-Clause
# The namespaces, their links, addresses, routes and neighbours. Everything is static: permanent
# neighbours, no router and no duplicate address detection, so that the kernels themselves send
# nothing but a few multicast reports (RFC 3810), and only the bridge has to be waited for.
# shellcheck disable=SC2154 # farm_root: state.sh
# shellcheck disable=SC2153 # FARM_*: the info file, farm_*: constants here

farm_front4=198.51.100 # RFC 5737 and RFC 3849: addresses for documentation
farm_front6=2001:db8:1:
farm_back4=203.0.113
farm_back6=2001:db8:2:
farm_vip4=192.0.2.10
farm_vip6=2001:db8::10
farm_vip_net4=192.0.2.0/24
farm_vip_net6=2001:db8::/64

# Host part of a node's front address, the same in IPv4 and IPv6 (read as hexadecimal there).
farm_host() {
  case $1 in
    lb) echo 1 ;;
    net) echo 254 ;;
    s*) echo $((10 + ${1#s})) ;;
    c*) echo $((100 + ${1#c})) ;;
  esac
}
farm_front_mac() { printf '02:00:5e:00:01:%02x\n' "$(farm_host "$1")"; }
farm_back_mac() { printf '02:00:5e:00:%02x:%02x\n' "$2" "$1"; } # SERVER-NUMBER 2 (server's end) | 3 (balancer's)
farm_front_if() {
  case $1 in
    lb) echo up0 ;;
    net) echo br0 ;;
    *) echo eth0 ;;
  esac
}

farm_parse_up() {
  servers=2 clients=1 tx_checksum=0
  while (($#)); do
    case $1 in
      --servers | --clients)
        [[ ${2:-} =~ ^([1-9]|[1-5][0-9]|6[0-4])$ ]] ||
          farm_fail "up: $1 expects a number from 1 to 64, not \"${2:-}\""
        if [[ $1 == --servers ]]; then servers=$2; else clients=$2; fi
        shift 2
        ;;
      --tx-checksum)
        tx_checksum=1
        shift
        ;;
      *) farm_fail "up: unknown option \"$1\"" ;;
    esac
  done
}

# Runs a command in a node of the farm being made. Not `ip -n`: that wants to remount /, which fails
# in a chroot.
farm_within() {
  local netns
  netns=$(farm_netns_path "$name" "$1")
  shift
  nsenter --net="$netns" -- "$@"
}

farm_nodes() {
  local i
  echo net lb
  for ((i = 1; i <= clients; i++)); do echo "c$i"; done
  for ((i = 1; i <= servers; i++)); do echo "s$i"; done
}

farm_up() {
  local name=$1 servers clients tx_checksum node nodes
  shift
  if [[ $name == auto ]]; then
    name=$(farm_unique_name)
    printf '%s\n' "$name"
  fi
  farm_check_name "$name"
  farm_parse_up "$@"
  mkdir -p "$farm_root"
  mkdir "$(farm_state "$name")" 2>/dev/null || farm_fail "farm \"$name\" exists already; remove it: farm down $name"
  # From here on whatever ends this shell removes the farm; `up` lifts that when it is whole.
  # shellcheck disable=SC2064 # the name of now
  trap "farm_abandon '$name'" EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM
  mapfile -t nodes < <(farm_nodes | tr ' ' '\n')
  farm_build
}

farm_abandon() {
  local code=$?
  [[ -e $(farm_state "$1")/info ]] || {
    farm_say "could not make farm \"$1\""
    code=2
  }
  farm_remove "$1"
  exit "$code"
}

farm_build() {
  for node in "${nodes[@]}"; do
    ip netns add "$(farm_netns "$name" "$node")"
    farm_sysctls "$node"
  done
  farm_links
  for node in "${nodes[@]}"; do
    farm_addresses "$node" | farm_within "$node" ip -batch -
  done
  ((tx_checksum)) || farm_tx_off
  farm_wait 10 "the bridge's ports to forward" farm_ports_forward
  farm_write_info >"$(farm_state "$name")/info.new"
  mv "$(farm_state "$name")/info.new" "$(farm_state "$name")/info"
}

# Before any interface exists, so that all of them inherit conf/default.
farm_sysctls() {
  local values=(ipv4/conf/all/rp_filter=0 ipv4/conf/default/rp_filter=0
    ipv4/conf/all/send_redirects=0 ipv4/conf/default/send_redirects=0
    ipv6/conf/all/disable_ipv6=0 ipv6/conf/default/disable_ipv6=0
    ipv6/conf/default/accept_ra=0 ipv6/conf/all/accept_ra=0
    ipv6/conf/default/accept_dad=0 ipv6/conf/all/accept_dad=0 ipv6/conf/default/dad_transmits=0
    ipv6/conf/default/addr_gen_mode=1 ipv6/conf/default/router_solicitations=0
    ipv4/tcp_fastopen_blackhole_timeout_sec=0)
  case $1 in
    lb) values+=(ipv4/ip_forward=1 ipv6/conf/all/forwarding=1 ipv4/tcp_fastopen=1
      ipv4/fib_multipath_hash_policy=1 ipv6/fib_multipath_hash_policy=1) ;;
    # arp_*: the VIP on lo is never announced. Low ports for servers without privileges.
    s*) values+=(ipv4/tcp_fastopen=3 ipv4/conf/all/arp_ignore=1 ipv4/conf/all/arp_announce=2
      ipv4/ip_unprivileged_port_start=0) ;;
    c*) values+=(ipv4/tcp_fastopen=3) ;;
  esac
  # shellcheck disable=SC2016 # expanded by the inner shell
  farm_within "$1" sh -ec \
    'for v; do echo "${v#*=}" >"/proc/sys/net/${v%%=*}"; done' sysctl "${values[@]}"
}

farm_links() {
  local net i node
  net=$(farm_netns "$name" net)
  farm_within net ip link add br0 type bridge stp_state 0 forward_delay 0 mcast_snooping 0
  for node in "${nodes[@]}"; do
    [[ $node == net ]] && continue
    farm_within "$node" ip link add "$(farm_front_if "$node")" \
      address "$(farm_front_mac "$node")" type veth peer name "$node" netns "$net"
    farm_within net ip link set "$node" master br0 up
  done
  farm_within net ip link set br0 address "$(farm_front_mac net)"
  for ((i = 1; i <= servers; i++)); do
    farm_within lb ip link add "s$i" address "$(farm_back_mac "$i" 3)" \
      type veth peer name back0 address "$(farm_back_mac "$i" 2)" netns "$(farm_netns "$name" "s$i")"
  done
}

# The batch for `ip` that gives a node its addresses, neighbours and routes.
farm_addresses() {
  local node=$1 dev other i
  dev=$(farm_front_if "$node")
  echo "link set lo up"
  echo "link set $dev up"
  echo "address add $farm_front4.$(farm_host "$node")/24 dev $dev"
  echo "address add $farm_front6:$(farm_host "$node")/64 dev $dev nodad"
  for other in "${nodes[@]}"; do
    [[ $other == "$node" ]] && continue
    echo "neighbour add $farm_front4.$(farm_host "$other") lladdr $(farm_front_mac "$other") dev $dev nud permanent"
    echo "neighbour add $farm_front6:$(farm_host "$other") lladdr $(farm_front_mac "$other") dev $dev nud permanent"
  done
  case $node in
    lb) farm_balance ;;
    s*) farm_server_side "${node#s}" ;;
    *)
      echo "route add $farm_vip_net4 via $farm_front4.1"
      echo "route add $farm_vip_net6 via ${farm_front6}:1"
      ;;
  esac
}

farm_balance() {
  local hops4='' hops6='' i
  for ((i = 1; i <= servers; i++)); do
    echo "link set s$i up"
    echo "route add $farm_back4.$i/32 dev s$i"
    echo "route add $farm_back6:$i/128 dev s$i"
    echo "neighbour add $farm_back4.$i lladdr $(farm_back_mac "$i" 2) dev s$i nud permanent"
    echo "neighbour add $farm_back6:$i lladdr $(farm_back_mac "$i" 2) dev s$i nud permanent"
    hops4+=" nexthop via $farm_back4.$i dev s$i"
    hops6+=" nexthop via $farm_back6:$i dev s$i"
  done
  echo "route add $farm_vip_net4$hops4"
  echo "route add $farm_vip_net6$hops6"
}

farm_server_side() {
  echo "link set back0 up"
  echo "address add $farm_back4.$1/32 dev back0"
  echo "address add $farm_back6:$1/128 dev back0 nodad"
  echo "address add $farm_vip4/32 dev lo"
  echo "address add $farm_vip6/128 dev lo nodad"
  # Clients beyond the front network (made-up sources): what answers them leaves, and ends at net.
  echo "route add default via $farm_front4.254"
  echo "route add default via ${farm_front6}:254"
}

farm_tx_off() {
  local node dev
  for node in "${nodes[@]}"; do
    for dev in $(farm_interfaces "$node"); do
      farm_within "$node" ethtool -K "$dev" tx off >/dev/null
    done
  done
}

farm_interfaces() {
  local i
  case $1 in
    net) printf '%s\n' "${nodes[@]:1}" ;;
    lb)
      echo up0
      for ((i = 1; i <= servers; i++)); do echo "s$i"; done
      ;;
    s*) echo eth0 back0 ;;
    *) echo eth0 ;;
  esac
}

farm_ports_forward() {
  local states
  states=$(farm_within net bridge link show)
  (($(grep -c 'state forwarding' <<<"$states") == ${#nodes[@]} - 1))
}

farm_write_info() {
  local i upper
  printf 'FARM_NAME=%q\n' "$name"
  printf 'FARM_NODES="%s"\n' "${nodes[*]}"
  printf 'FARM_CLIENTS=%d\nFARM_SERVERS=%d\nFARM_TX_CHECKSUM=%d\n' "$clients" "$servers" "$tx_checksum"
  printf 'FARM_VIP4=%s\nFARM_VIP6=%s\n' "$farm_vip4" "$farm_vip6"
  printf 'FARM_VIP_NET4=%s\nFARM_VIP_NET6=%s\n' "$farm_vip_net4" "$farm_vip_net6"
  printf 'FARM_LB_IF=up0\nFARM_LB_PEER_IF=lb\nFARM_NGINX_PORT=80\nFARM_HAPROXY_PORT=81\n'
  for node in "${nodes[@]}"; do
    upper=${node^^}
    printf 'FARM_%s_NETNS=%s\n' "$upper" "$(farm_netns_path "$name" "$node")"
    printf 'FARM_%s_ADDR4=%s.%d\n' "$upper" "$farm_front4" "$(farm_host "$node")"
    printf 'FARM_%s_ADDR6=%s:%d\n' "$upper" "$farm_front6" "$(farm_host "$node")"
    printf 'FARM_%s_IF=%s\n' "$upper" "$(farm_front_if "$node")"
    printf 'FARM_%s_MAC=%s\n' "$upper" "$(farm_front_mac "$node")"
  done
}

farm_info_json() {
  local node separator='' upper netns if_ addr4 addr6 mac
  printf '{"name": "%s", "vip4": "%s", "vip6": "%s", "balancer_interface": "%s",\n' \
    "$FARM_NAME" "$FARM_VIP4" "$FARM_VIP6" "$FARM_LB_IF"
  printf ' "nginx_port": %d, "haproxy_port": %d, "tx_checksum": %d, "nodes": {' \
    "$FARM_NGINX_PORT" "$FARM_HAPROXY_PORT" "$FARM_TX_CHECKSUM"
  for node in $FARM_NODES; do
    upper=${node^^}
    netns=FARM_${upper}_NETNS if_=FARM_${upper}_IF addr4=FARM_${upper}_ADDR4 addr6=FARM_${upper}_ADDR6
    mac=FARM_${upper}_MAC
    printf '%s\n  "%s": {"netns": "%s", "interface": "%s", "address4": "%s", "address6": "%s", "mac": "%s"}' \
      "$separator" "$node" "${!netns}" "${!if_}" "${!addr4}" "${!addr6}" "${!mac}"
    separator=,
  done
  printf '}}\n'
}

farm_down() {
  farm_check_name "$1"
  [[ -d $(farm_state "$1") ]] || farm_fail "no farm \"$1\"; farms: $(farm_list | tr '\n' ' ')"
  farm_remove "$1"
}

# Removes whatever there is of a farm, half-made ones too, and goes on whatever fails: a subshell, so
# that set +e is its own.
farm_remove() (
  set +e
  farm_stop_processes "$1"
  for path in "/run/netns/tfo-$1-"*; do
    [[ ${path#"/run/netns/tfo-$1-"} =~ ^(net|lb|[cs][0-9]+)$ ]] || continue
    left=$(ip netns pids "${path##*/}" 2>/dev/null | tr '\n' ' ')
    [[ -z $left ]] || farm_say "still running in ${path##*/}, left alone: pid $left"
    # A namespace lives on while a process is in it; its links need not.
    nsenter --net="$path" ip -o link show type veth 2>/dev/null | while IFS=': @' read -r _ dev _; do
      nsenter --net="$path" ip link del "$dev" 2>/dev/null
    done
    ip netns del "${path##*/}"
  done
  rm -rf -- "$(farm_state "$1")"
)
