# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash disable=SC2154 # sourced by tools/quickstart, whose variables and functions it uses
# The end of tools/quickstart: the farm goes on, Prometheus scrapes its tfod, and the status page is there to see.

forward_pid='' prometheus_pid=''

# Starts a program in the background; its pid is in the variable named first, its output in a file of that name.
background() { # VARIABLE COMMAND...
  local -n pid_of=$1
  local log=$directory/$1.log
  shift
  setsid "$@" </dev/null >"$log" 2>&1 &
  pid_of=$!
}

# Waits until the command succeeds, while that process lives.
until_ok() { # WHAT PID COMMAND...
  local what=$1 pid=$2 end=$((SECONDS + deadline))
  shift 2
  until "$@" >/dev/null 2>&1; do
    kill -0 "$pid" 2>/dev/null || die "$what ended at once: $(tail -n 3 "$directory"/*_pid.log)"
    ((SECONDS < end)) || die "$what is not ready after $deadline s: $(tail -n 3 "$directory"/*_pid.log)"
    sleep 0.05
  done
}

# A port of loopback that nobody listens on: the given one if it is free.
free_port() {
  python3 - "$1" <<'END'
import socket, sys
for port in (int(sys.argv[1]), 0):
    with socket.socket() as one:
        try:
            one.bind(("127.0.0.1", port))
        except OSError:
            continue
        print(one.getsockname()[1])
        break
END
}

prometheus_config() { # PORT OF THE PAGE
  printf 'global: {scrape_interval: 2s, evaluation_interval: 2s}\n'
  if compgen -G "$root/dashboards/prometheus/rules/"*.yml >/dev/null; then
    printf 'rule_files: ["%s/dashboards/prometheus/rules/*.yml"]\n' "$root"
  fi
  printf 'scrape_configs:\n'
  printf '  - {job_name: tfod, static_configs: [{targets: ["127.0.0.1:%s"]}]}\n' "$1"
}

scraped() { # URL
  curl -fsS --noproxy '*' "$1/api/v1/query?query=sum(tfo_packets_total)" | grep -q '"value":\[[0-9.]*,"[1-9]'
}

start_watching() {
  local tfod_address page prometheus
  tfod_address=$(ctl -j status | sed 's/.*"http":"\([^"]*\)".*/\1/')
  background forward_pid python3 "$root/tools/farm/forward.py" "/run/netns/tfo-$name-lb" 9413-9422 "$tfod_address"
  until_ok "the way to the page" "$forward_pid" grep -q . "$directory/forward_pid.log"
  page=$(cat "$directory/forward_pid.log")
  prometheus=$(free_port 9090)
  prometheus_config "$page" >"$directory/prometheus.yml"
  background prometheus_pid prometheus --config.file="$directory/prometheus.yml" \
    --storage.tsdb.path="$directory/prometheus" --web.listen-address="127.0.0.1:$prometheus"
  until_ok "a scrape by Prometheus" "$prometheus_pid" scraped "http://127.0.0.1:$prometheus"
  say "status page:  http://127.0.0.1:$page/"
  say "Prometheus:   http://127.0.0.1:$prometheus/graph?g0.expr=sum+by+(reason)(rate(tfo_packets_total[30s]))&g0.tab=0"
  say "on a terminal: $bin/tfoctl --socket $directory/tfod.sock top"
}

# A few connections a second, as long as somebody looks.
light_traffic() { # NODE KIND
  local address
  while true; do
    for address in "$FARM_VIP4" "$FARM_VIP6"; do
      "$farm" client "$name" "$1" "$2" "$address" "$FARM_NGINX_PORT" 2 || return
      sleep 1
    done
  done >/dev/null 2>&1
}

run_watching() {
  local i=0 end=$((SECONDS + ${seconds:-0}))
  step "The farm goes on; Prometheus scrapes it"
  start_watching
  for i in "${!clients[@]}"; do
    light_traffic "c$((i + 1))" "${clients[i]}" &
    traffic_pids+=("$!")
  done
  if [[ -z $seconds ]]; then say "Ctrl-C ends all of it"; else say "all of it ends in $seconds s"; fi
  trap 'exit 0' INT
  while [[ -z $seconds ]] || ((SECONDS < end)); do
    kill -0 "$tfod_pid" 2>/dev/null || show_log "tfod has ended; its last words:"
    kill -0 "$prometheus_pid" 2>/dev/null || die "Prometheus has ended: $(tail -n 3 "$directory/prometheus_pid.log")"
    sleep 0.2
  done
}

stop_watching() {
  local pid
  for pid in $forward_pid $prometheus_pid; do
    kill -TERM "$pid" 2>/dev/null
    wait "$pid" 2>/dev/null
  done
}
