# shellcheck shell=bash
# SPDX-License-Identifier: BSD-2-Clause
# Names, the state directory, and what was started: a process is known by pid and start time, so
# that a pid used again by somebody else is never signalled.

farm_root=${TFO_FARM_STATE:-/run/tfoguard-farm}

farm_say() { printf 'farm: %s\n' "$*" >&2; }

farm_fail() {
  farm_say "$*"
  exit 2
}

farm_need_root() {
  ((EUID == 0)) || farm_fail "needs root: it makes network namespaces"
  local tool
  for tool in ip nsenter ethtool; do
    command -v "$tool" >/dev/null || farm_fail "$tool is missing; install the packages of tools/packages.txt"
  done
}

farm_check_name() {
  [[ $1 =~ ^[a-z0-9][a-z0-9-]{0,31}$ ]] ||
    farm_fail "farm name \"$1\": expected 1 to 32 of a-z, 0-9 and -, not starting with -"
}

farm_unique_name() { printf 'f%d-%04x%04x\n' "$$" "$RANDOM" "$RANDOM"; }

farm_state() { printf '%s/%s\n' "$farm_root" "$1"; }
farm_netns() { printf 'tfo-%s-%s\n' "$1" "$2"; }
farm_netns_path() { printf '/run/netns/tfo-%s-%s\n' "$1" "$2"; }

# Variables of one farm into this shell.
farm_load() {
  farm_check_name "$1"
  local info
  info=$(farm_state "$1")/info
  [[ -r $info ]] || farm_fail "no farm \"$1\"; farms: $(farm_list | tr '\n' ' ')"
  # shellcheck disable=SC1090 # written by farm_up
  source "$info"
}

farm_list() {
  local dir
  for dir in "$farm_root"/*/; do
    [[ -d $dir ]] && basename "$dir"
  done
  return 0
}

# Waits until a condition holds: SECONDS DESCRIPTION COMMAND...
farm_wait() {
  local deadline=$((SECONDS + $1)) what=$2
  shift 2
  until "$@"; do
    ((SECONDS < deadline)) || farm_fail "gave up waiting for $what"
    sleep 0.02
  done
}

farm_start_time() {
  local stat
  stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
  # Field 22; the name in field 2 may hold spaces, so count after its closing bracket.
  read -r -a fields <<<"${stat##*) }"
  printf '%s\n' "${fields[19]}"
}

farm_record_process() { # NAME PID
  printf '%s %s\n' "$2" "$(farm_start_time "$2")" >>"$(farm_state "$1")/processes"
}

farm_process_runs() { # PID STARTTIME; a zombie is gone
  [[ $(farm_start_time "$1") == "$2" ]] && ! grep -q '^State:[[:space:]]*Z' "/proc/$1/status" 2>/dev/null
}

farm_process_gone() { ! farm_process_runs "$@"; }

farm_stop_processes() { # NAME
  local file pid start
  file=$(farm_state "$1")/processes
  [[ -r $file ]] || return 0
  while read -r pid start; do
    if farm_process_runs "$pid" "$start"; then kill -TERM "$pid" 2>/dev/null || true; fi
  done <"$file"
  while read -r pid start; do
    # In a subshell: a process that will not go must not keep the farm from being removed.
    (farm_wait 5 "process $pid to end" farm_process_gone "$pid" "$start") || kill -KILL "$pid" 2>/dev/null || true
  done <"$file"
  rm -f "$file"
}
