#!/bin/sh
# tools/bootstrap.sh run|test -- installs what is missing, and says what it installs.
#
# System packages come from Debian by tools/packages.txt, npm packages by package-lock.json. Where
# everything is there it asks no package manager and takes a few milliseconds. Where something
# cannot be installed it ends at once with one line that says what to install by hand.
set -eu
cd "$(dirname "$0")/.."
purpose=${1:-run}

say() { printf '%s\n' "laniakea: $*"; }
die() { printf '%s\n' "laniakea: $*" >&2; exit 1; }

is_there() {
  case $1 in
    command:*) command -v "${1#command:}" >/dev/null 2>&1 ;;
    file:*) set -- ${1#file:}; [ -e "$1" ] ;; # the name may be a pattern
  esac
}

missing=
while read -r package proof needed_by; do
  case $package in ''|'#'*) continue ;; esac
  if [ "$needed_by" = test ] && [ "$purpose" != test ]; then continue; fi
  is_there "$proof" || missing="$missing $package"
done < tools/packages.txt

if [ -n "$missing" ]; then
  by_hand="install by hand, as root: apt-get install --no-install-recommends$missing"
  command -v apt-get >/dev/null 2>&1 || die "no apt-get here (Debian 12 is what this is made for); $by_hand"
  as_root=
  if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null 2>&1 || die "not root, and no sudo; $by_hand"
    as_root=sudo
  fi
  log=$(mktemp)
  trap 'rm -f "$log"' EXIT
  say "installing from Debian:$missing"
  apt="$as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -o Acquire::Retries=1 -o Acquire::http::Timeout=20 -o Acquire::https::Timeout=20"
  # shellcheck disable=SC2086
  if ! $apt update >"$log" 2>&1 || grep -q '^[EW]: Failed to fetch\|^Err:' "$log"; then
    die "Debian's packages cannot be reached; check the network, or $by_hand"
  fi
  # shellcheck disable=SC2086
  if ! $apt install -y --no-install-recommends $missing >"$log" 2>&1; then
    die "Debian's packages could not be installed ($(sed -n 's/^E: //p' "$log" | head -n 1)); $by_hand (clang-22 is in bookworm-security)"
  fi
fi

stamp=node_modules/.laniakea-installed
if [ ! -e "$stamp" ] || [ package-lock.json -nt "$stamp" ] || [ package.json -nt "$stamp" ]; then
  say "installing from npm, by package-lock.json"
  # No update check and no retries for minutes: an unreachable registry is said at once.
  npm_log=$(mktemp)
  if ! npm ci --no-update-notifier --fetch-retries=1 --fetch-timeout=60000 --loglevel=error >"$npm_log" 2>&1; then
    reason=$(sed -n 's/^npm \(ERR!\|error\) *//p' "$npm_log" | head -n 1)
    rm -f "$npm_log"
    die "npm packages could not be installed ($reason); check the network, then run by hand: npm ci"
  fi
  rm -f "$npm_log"
  touch "$stamp"
fi
