# What every walk begins with, sourced in its folder: a service where none answers, which is stopped in the end, and a
# folder for results, which is deleted then.
PATH="$(cd ../.. && pwd)/.venv/bin:$PATH"

say() { printf '\n=== %s\n' "$*"; }

STARTED=no
if ! tidemill compute list -o none >/dev/null 2>&1; then
  STARTED=yes
  tidemill up --only postgres,serve
fi
RESULTS=$(mktemp -d)
finish() {
  rm -rf "$RESULTS"
  if [ "$STARTED" = yes ]; then tidemill down; fi
}
trap finish EXIT
