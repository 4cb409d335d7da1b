#!/bin/sh -eu
# Makes build/venv and installs into it what a requirements file names, once for each state of it.
#
#   sh tests/venv.sh                                 what the end-to-end tests need
#   sh tests/venv.sh tests/requirements-demo.txt     what the demo needs, which is less
cd "$(dirname "$0")/.."
wanted=${1:-tests/requirements.txt}
venv=${BUILD:-build}/venv
python=${PYTHON:-python3}
mark=$venv/installed-$(basename "$wanted" .txt)
key=$(cat tests/requirements*.txt | sha256sum | cut -c1-16)

[ "$(cat "$mark" 2>/dev/null || true)" = "$key" ] && exit 0
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
	echo "venv: $python is older than 3.11; set PYTHON to a newer one" >&2
	exit 1
}
# A venv of a Python that is gone or was replaced cannot be repaired.
"$venv/bin/python" -c '' 2>/dev/null || rm -rf "$venv"
[ -x "$venv/bin/pip" ] || "$python" -m venv "$venv"

for try in 1 2 3; do
	"$venv/bin/pip" install --quiet --disable-pip-version-check --only-binary :all: -r "$wanted" && break
	[ "$try" -lt 3 ] || { echo "venv: $wanted could not be installed" >&2; exit 1; }
	sleep $((try * 5))
done
printf '%s\n' "$key" >"$mark"
