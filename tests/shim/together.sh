#!/bin/sh
# Threads, signals, cancelled threads, forks and racing closes at once (tests/shim/threads.c): the
# program does what it does without the shim, and the ring holds exactly what it wrote.
# usage: tests/shim/together.sh BUILD_DIR
set -eu
build=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

together() { # together NAME LIBRARY PROGRAM [EMULATOR...]
	name=$1 library=$2 program=$3
	shift 3
	st=0
	for round in 1 2; do
		rings=$work/rings-$round
		rm -rf "$rings"
		if [ $# -gt 0 ]; then
			timeout 120 "$@" -E "LD_PRELOAD=$library" -E INFERWIRE_ENABLED=1 -E INFERWIRE_AGENT=external \
				-E INFERWIRE_RING_BYTES=67108864 -E INFERWIRE_DIR="$rings" "$program" >"$work/out" || st=1
		else
			LD_PRELOAD=$library INFERWIRE_ENABLED=1 INFERWIRE_AGENT=external \
				INFERWIRE_RING_BYTES=67108864 INFERWIRE_DIR="$rings" timeout 120 "$program" >"$work/out" || st=1
		fi
		sed 's/^/     /' "$work/out"
		grep -qx 'cancelled 32, cleaned up 32' "$work/out" || st=1
		grep -qx 'forked 60' "$work/out" || st=1
		# The children have none: they accept nothing.
		[ "$(find "$rings" -name '*.ring' | wc -l)" -eq 1 ] || st=1
		"$build/check/recorded" "$rings" "$(basename "$rings"/*.ring)" \
			"$(sed -n 's/^connections //p' "$work/out")" "$(sed -n 's/^told //p' "$work/out")" || st=1
		rm -rf "$rings"
	done
	if [ $st -eq 0 ]; then echo "ok   shim: $name: all at once"; else echo "FAIL shim: $name: all at once"; fi
}

cc -O2 -w -pthread -o "$work/glibc" tests/shim/threads.c
together glibc "$PWD/$build/libinferwire.so" "$work/glibc"
if [ -x "$build/glibc-2.17/cc" ]; then
	"$build/glibc-2.17/cc" -O2 -w -pthread -o "$work/old" tests/shim/threads.c
	together "glibc 2.17" "$PWD/$build/libinferwire.so" "$work/old"
else
	echo "skip shim: glibc 2.17: all at once (tests/shim/glibc-2.17/fetch.sh has not fetched it)"
fi
if command -v musl-gcc >/dev/null; then
	musl-gcc -O2 -w -pthread -o "$work/musl" tests/shim/threads.c
	together musl "$PWD/$build/libinferwire.so" "$work/musl"
else
	echo "skip shim: musl: all at once (musl-gcc is missing: make deps)"
fi
arm=$PWD/$build/check/builds/aarch64-gcc-O2/libinferwire.so
if [ -e "$arm" ] && command -v qemu-aarch64 >/dev/null; then
	aarch64-linux-gnu-gcc -O2 -w -pthread -o "$work/aarch64" tests/shim/threads.c
	together aarch64 "$arm" "$work/aarch64" qemu-aarch64 -L /usr/aarch64-linux-gnu
else
	echo "skip shim: aarch64: all at once (its compiler or qemu-aarch64 is missing: make deps)"
fi
