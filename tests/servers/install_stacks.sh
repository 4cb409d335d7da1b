#!/bin/sh -eu
# Installs servers that are Python programs with many packages of their own into virtual environments of
# their own, build/servers/NAME, once for each state of their requirements.
#
#   sh tests/servers/install_stacks.sh [NAME...]     llama-stack litellm
cd "$(dirname "$0")/../.."
build=${BUILD:-build}

# llama-stack 0.7 wants Python 3.12, where Debian 12 has 3.11: an additional one beside it will do.
newer_python() {
	for python in ${PYTHON312-} python3 python3.12 python3.13 python3.14 "$HOME"/.pyenv/versions/3.1[2-9]*/bin/python; do
		if "$python" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 12))' 2>/dev/null; then
			echo "$python"
			return
		fi
	done
}

install() { # install NAME PYTHON
	to=$build/servers/$1 wanted=tests/servers/requirements-$1.txt
	key=$(sha256sum "$wanted" | cut -c1-16)
	[ "$(cat "$to/installed" 2>/dev/null || true)" = "$key" ] && return
	rm -rf "$to"
	"$2" -m venv "$to"
	# The list is whole: nothing is to be resolved.
	for try in 1 2 3; do
		"$to/bin/pip" install --quiet --disable-pip-version-check --only-binary :all: --no-deps -r "$wanted" && break
		[ "$try" -lt 3 ] || exit 1
		sleep $((try * 10))
	done
	echo "$key" >"$to/installed"
}

[ $# -gt 0 ] || set -- llama-stack litellm
for name; do
	python=${PYTHON:-python3}
	[ "$name" != llama-stack ] || python=$(newer_python)
	if [ -z "$python" ]; then
		echo "install_stacks: no Python 3.12 for $name; set PYTHON312 to one. Its tests are left out" >&2
		continue
	fi
	install "$name" "$python"
done
