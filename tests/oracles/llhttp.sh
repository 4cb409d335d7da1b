#!/bin/sh -eu
# Fetches llhttp's source as a Python package carries it and compiles build/oracles/llhttp.a.
cd "$(dirname "$0")/../.."
build=${BUILD:-build}
wanted=tests/oracles/requirements-llhttp.txt
to=$build/oracles/llhttp
[ "$(cat "$to/made-of" 2>/dev/null || true)" = "$(cat "$wanted")" ] && exit 0
rm -rf "$to"
mkdir -p "$to"
for try in 1 2 3; do
	"$build/venv/bin/pip" download --quiet --disable-pip-version-check --no-deps --no-binary :all: \
		-r "$wanted" -d "$to" && break
	[ "$try" -lt 3 ] || { echo 'oracles: llhttp could not be fetched' >&2; exit 1; }
	sleep $((try * 5))
done
tar -xzf "$to"/httptools-*.tar.gz -C "$to" --strip-components=3 --wildcards '*/vendor/llhttp'
for part in api http llhttp; do
	${CC:-cc} -O2 -g -I"$to/include" -c "$to/src/$part.c" -o "$to/$part.o"
done
ar rcs "$build/oracles/llhttp.a" "$to"/*.o
cp "$wanted" "$to/made-of"
