#!/bin/sh
# Each way to read, write, duplicate and end a connection (tests/shim/ways.c): the ring holds exactly what
# was sent.
# usage: tests/shim/ways.sh BUILD_DIR
set -eu
build=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

ways() { # ways NAME LIBRARY PROGRAM [EMULATOR...]
	name=$1 library=$2 program=$3 rings=$work/rings
	shift 3
	st=0
	rm -rf "$rings"
	if [ $# -gt 0 ]; then
		raw=$*
		set -- "$@" -E "LD_PRELOAD=$library" -E INFERWIRE_ENABLED=1 -E INFERWIRE_AGENT=external -E "INFERWIRE_DIR=$rings"
	else
		raw=
		set -- env "LD_PRELOAD=$library" INFERWIRE_ENABLED=1 INFERWIRE_AGENT=external "INFERWIRE_DIR=$rings"
	fi
	# shellcheck disable=SC2086
	timeout 60 $raw "$program" >"$work/raw" || st=1
	timeout 60 "$@" "$program" >"$work/out" || st=1
	cmp "$work/raw" "$work/out" || st=1
	number() { sed -n "s/^$1 //p" "$work/out"; }
	"$build/check/recorded" "$rings" "$(basename "$rings"/*.ring)" \
		"$(number connections)" 0 "$(number unseen)" "$(number shut)" || st=1
	if [ $st -eq 0 ]; then echo "ok   shim: $name: each way is recorded"; else echo "FAIL shim: $name: each way is recorded"; fi
}

cc -O2 -w -o "$work/glibc" tests/shim/ways.c
ways glibc "$PWD/$build/libinferwire.so" "$work/glibc"
if [ -x "$build/glibc-2.17/cc" ]; then
	"$build/glibc-2.17/cc" -O2 -w -o "$work/old" tests/shim/ways.c
	ways "glibc 2.17" "$PWD/$build/libinferwire.so" "$work/old"
else
	echo "skip shim: glibc 2.17: each way is recorded (tests/shim/glibc-2.17/fetch.sh has not fetched it)"
fi
if command -v musl-gcc >/dev/null; then
	musl-gcc -O2 -w -o "$work/musl" tests/shim/ways.c
	ways musl "$PWD/$build/libinferwire.so" "$work/musl"
else
	echo "skip shim: musl: each way is recorded (musl-gcc is missing: make deps)"
fi
arm=$PWD/$build/check/builds/aarch64-gcc-O2/libinferwire.so
if [ -e "$arm" ] && command -v qemu-aarch64 >/dev/null; then
	aarch64-linux-gnu-gcc -O2 -w -o "$work/aarch64" tests/shim/ways.c
	ways aarch64 "$arm" "$work/aarch64" qemu-aarch64 -L /usr/aarch64-linux-gnu
else
	echo "skip shim: aarch64: each way is recorded (its compiler or qemu-aarch64 is missing: make deps)"
fi
