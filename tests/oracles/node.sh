#!/bin/sh -eu
# Installs the parsers that node runs, as the lock file has them, in build/oracles/node.
cd "$(dirname "$0")/../.."
to=${BUILD:-build}/oracles/node
wanted=tests/oracles/node/package-lock.json
if cmp -s "$wanted" "$to/made-of"; then
	touch "$to/made-of"
	exit 0
fi
rm -rf "$to"
mkdir -p "$to"
cp tests/oracles/node/package.json "$wanted" "$to"
for try in 1 2 3; do
	npm ci --prefix "$to" --ignore-scripts --no-audit --no-fund --loglevel=error >/dev/null && break
	[ "$try" -lt 3 ] || { echo "oracles: node's parsers could not be fetched" >&2; exit 1; }
	sleep $((try * 5))
done
cp "$wanted" "$to/made-of"
