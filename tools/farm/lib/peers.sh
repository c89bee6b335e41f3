# shellcheck shell=bash
# SPDX-License-Identifier: BSD-2-Clause
# Real TCP Fast Open peers in a farm: nginx and HAProxy in the servers, four kinds of client, and
# the kernels' own counters of what they did.

farm_in() { # NODE CMD...; after farm_load
  local netns=/run/netns/tfo-$FARM_NAME-$1
  [[ -e $netns ]] || farm_fail "farm $FARM_NAME has no node \"$1\"; it has: $FARM_NODES"
  shift
  nsenter --net="$netns" -- "$@"
}

farm_server_nodes() {
  local i
  for ((i = 1; i <= FARM_SERVERS; i++)); do echo "s$i"; done
}

farm_client_nodes() {
  local i
  for ((i = 1; i <= FARM_CLIENTS; i++)); do echo "c$i"; done
}

farm_serve() {
  (($# == 1 || $# == 3)) || farm_fail "serve: expected NAME [--fastopen N]"
  [[ ${2:---fastopen} == --fastopen && ${3:-256} =~ ^[1-9][0-9]{0,4}$ ]] ||
    farm_fail "serve: --fastopen expects a number from 1 on, not \"${3:-}\""
  local fastopen=${3:-256}
  farm_need_root
  farm_load "$1"
  local tool node
  for tool in nginx haproxy setpriv ss; do
    command -v "$tool" >/dev/null || farm_fail "serve: $tool is missing; install the packages of tools/packages.txt"
  done
  [[ ! -s $(farm_state "$1")/processes ]] || farm_fail "serve: the servers of farm $1 run already"
  for node in $(farm_server_nodes); do
    farm_start_nginx "$node"
    farm_start_haproxy "$node"
  done
  for node in $(farm_server_nodes); do
    farm_wait 10 "nginx in $node (see $(farm_state "$1")/$node/)" farm_listens "$node" "$FARM_NGINX_PORT"
    farm_wait 10 "HAProxy in $node (see $(farm_state "$1")/$node/)" farm_listens "$node" "$FARM_HAPROXY_PORT"
  done
}

farm_listens() { # both families: two listeners of nginx, one dual-stack listener of HAProxy
  local found
  found=$(farm_in "$1" ss -Hltn "sport = :$2")
  [[ $found == *"[::]:$2"* || $found == *"*:$2"* ]]
}

farm_server_dir() {
  local dir
  dir=$(farm_state "$FARM_NAME")/$1
  mkdir -p "$dir"
  chown 65534:65534 "$dir"
  printf '%s\n' "$dir"
}

# Starts CMD as nobody, in the background, in its node; Ctrl-C at the terminal does not reach it.
farm_start() { # NODE LOG CMD...
  local node=$1 log=$2
  shift 2
  setsid nsenter --net="/run/netns/tfo-$FARM_NAME-$node" -- \
    setpriv --reuid=65534 --regid=65534 --clear-groups --no-new-privs -- "$@" \
    </dev/null >"$log" 2>&1 &
  farm_record_process "$FARM_NAME" "$!"
}

farm_start_nginx() {
  local dir
  dir=$(farm_server_dir "$1")
  cat >"$dir/nginx.conf" <<END
daemon off;
worker_processes 1;
pid $dir/nginx.pid;
error_log $dir/nginx.error.log;
events { worker_connections 512; }
http {
  access_log off;
  client_body_temp_path $dir/nginx.body;
  proxy_temp_path $dir/nginx.proxy;
  fastcgi_temp_path $dir/nginx.fastcgi;
  uwsgi_temp_path $dir/nginx.uwsgi;
  scgi_temp_path $dir/nginx.scgi;
  server {
    listen $FARM_NGINX_PORT fastopen=$fastopen;
    listen [::]:$FARM_NGINX_PORT ipv6only=on fastopen=$fastopen;
    location / { default_type text/plain; return 200 "nginx in $1\n"; }
  }
}
END
  farm_start "$1" "$dir/nginx.log" nginx -e "$dir/nginx.error.log" -c "$dir/nginx.conf"
}

farm_start_haproxy() {
  local dir
  dir=$(farm_server_dir "$1")
  # One dual-stack listener: the kernel hashes the IPv4 form of a cookie for its IPv4 peers.
  cat >"$dir/haproxy.cfg" <<END
global
  maxconn 512
  nbthread 1
defaults
  mode http
  timeout client 10s
  timeout connect 10s
  timeout server 10s
frontend web
  bind :::$FARM_HAPROXY_PORT v4v6 tfo
  http-request return status 200 content-type text/plain string "HAProxy in $1\n"
END
  farm_start "$1" "$dir/haproxy.log" haproxy -db -f "$dir/haproxy.cfg"
}

farm_key() {
  (($# == 2)) || farm_fail "key: expected NAME KEY[,KEY] (\"-\" reads it from standard input)"
  farm_need_root
  farm_load "$1"
  local keys=$2 node back word='[0-9a-f]{8}'
  [[ $keys != - ]] || read -r keys
  [[ $keys =~ ^$word(-$word){3}(,$word(-$word){3})?$ ]] ||
    farm_fail "key: expected xxxxxxxx-xxxxxxxx-xxxxxxxx-xxxxxxxx, one or two separated by a comma, lower case"
  for node in $(farm_server_nodes); do
    # The kernel cuts long writes short and accepts weak text without a word: read back.
    back=$(farm_in "$node" sh -ec 'cat >/proc/sys/net/ipv4/tcp_fastopen_key; cat /proc/sys/net/ipv4/tcp_fastopen_key' <<<"$keys")
    [[ $back == "$keys" ]] || farm_fail "key: $node did not take the key"
  done
}

farm_flush() {
  (($# == 1)) || farm_fail "flush: expected NAME"
  farm_load "$1"
  local node
  for node in $(farm_client_nodes); do
    farm_in "$node" ip tcp_metrics flush
  done
}

# TcpExt counters of a node, "NAME VALUE" lines, matched by name: their column moves between kernels.
farm_tcpext() {
  # shellcheck disable=SC2016 # awk's
  farm_in "$1" awk '$1 == "TcpExt:" { if (!n) n = split($0, name); else for (i = 2; i <= n; i++) print name[i], $i }' /proc/net/netstat
}

farm_counters() {
  (($# == 1)) || farm_fail "counters: expected NAME"
  farm_load "$1"
  local node
  for node in $(farm_server_nodes); do
    farm_tcpext "$node" | sed "s/^/$node /"
  done | awk '
    $2 ~ /^(TCPFastOpen|ListenOverflows|SyncookiesSent|TCPReqQFullDoCookies)/ {
      if (!($1 in seen)) { seen[$1] = 1; order[++nodes] = $1 }
      value[$1, $2] = $3
      if (!($2 in total)) names[++count] = $2
      total[$2] += $3
    }
    END {
      printf "{"
      for (n = 1; n <= nodes; n++) {
        printf "\"%s\": {", order[n]
        for (i = 1; i <= count; i++) printf "%s\"%s\": %d", (i > 1 ? ", " : ""), names[i], value[order[n], names[i]]
        printf "},\n "
      }
      printf "\"total\": {"
      for (i = 1; i <= count; i++) printf "%s\"%s\": %d", (i > 1 ? ", " : ""), names[i], total[names[i]]
      print "}}"
    }'
}

# The C clients, built once per farm.
farm_client_binary() {
  local binary
  binary=$(farm_state "$FARM_NAME")/tfo_client
  if [[ ! -x $binary ]]; then
    # shellcheck disable=SC2154 # farm_home: set by the script that reads this file
    ${CC:-cc} -std=c11 -O2 -Wall -Wextra -Wshadow -Werror -o "$binary.$$" "$farm_home/tfo_client.c" ||
      farm_fail "client: cannot compile $farm_home/tfo_client.c"
    mv "$binary.$$" "$binary"
  fi
  printf '%s\n' "$binary"
}

farm_active() { farm_tcpext "$1" | awk '$1 == "TCPFastOpenActive" { print $2 }'; }

farm_client() {
  (($# == 6)) || farm_fail "client: expected NAME NODE KIND ADDRESS PORT COUNT"
  farm_load "$1"
  local node=$2 kind=$3 address=$4 port=$5 count=$6 before after failed=0
  [[ $port$count =~ ^[0-9]+$ ]] || farm_fail "client: port \"$port\" and count \"$count\" are numbers"
  before=$(farm_active "$node")
  case $kind in
    curl) farm_curl "$node" "$address" "$port" "$count" --tcp-fastopen || failed=1 ;;
    plain) farm_curl "$node" "$address" "$port" "$count" || failed=1 ;;
    python) farm_in "$node" python3 "$farm_home/tfo_client.py" "$address" "$port" "$count" || failed=1 ;;
    c) farm_in "$node" "$(farm_client_binary)" sendto "$address" "$port" "$count" || failed=1 ;;
    go) farm_in "$node" "$(farm_client_binary)" connect "$address" "$port" "$count" || failed=1 ;;
    *) farm_fail "client: unknown kind \"$kind\"; curl, python, c, go or plain" ;;
  esac
  after=$(farm_active "$node")
  ((failed == 0)) || {
    farm_say "client: $kind in $node towards $address port $port failed"
    exit 1
  }
  printf '{"connections": %d, "syn_data": %d}\n' "$count" $((after - before))
}

farm_curl() { # NODE ADDRESS PORT COUNT OPTION...
  local node=$1 address=$2 port=$3 count=$4 i
  shift 4
  [[ $address != *:* ]] || address="[$address]"
  for ((i = 0; i < count; i++)); do
    farm_in "$node" curl "$@" --globoff --silent --show-error --fail --noproxy '*' --max-time 10 \
      --output /dev/null "http://$address:$port/" || return 1
  done
}
