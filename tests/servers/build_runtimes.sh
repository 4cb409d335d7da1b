#!/bin/sh -eu
# Builds the servers that play a playbook (tests/servers/playbook.py) into build/servers, each once for
# every state of its source: under two minutes on two cores, most of it axum's.
#
#   sh tests/servers/build_runtimes.sh
cd "$(dirname "$0")/../.."
build=$(realpath -m "${BUILD:-build}")
to=$build/servers
mkdir -p "$to"
cd tests/servers

retried() { # retried COMMAND...: the registry may be out of reach for a moment
	for pause in 5 20 0; do
		"$@" && return
		sleep $pause
	done
	return 1
}
newer() { # newer PROGRAM SOURCE...
	program=$to/$1
	shift
	[ -n "$(find "$@" -newer "$program" 2>&1)" ] # also where the program is not there
}

newer play-musl play.c listening.h && musl-gcc -O2 -I../.. -o "$to/play-musl" play.c -lpthread
newer play-static play.c listening.h && gcc -O2 -static -I../.. -o "$to/play-static" play.c -lpthread
newer play-go play.go && CGO_ENABLED=0 GO111MODULE=off go build -o "$to/play-go" play.go
if newer play-axum axum/src/main.rs axum/Cargo.lock; then
	export CARGO_TARGET_DIR="$to/axum"
	retried cargo fetch --quiet --locked --manifest-path axum/Cargo.toml
	cargo build --quiet --locked --offline --release --manifest-path axum/Cargo.toml
	cp "$to/axum/release/play-axum" "$to/play-axum"
	rm -rf "$to/axum"
fi
