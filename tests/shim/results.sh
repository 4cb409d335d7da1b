#!/bin/sh
# Programs that call every hooked function, raw and under the shim: the same results, errno, bytes and
# side effects (tests/shim/transparent/row.h, tests/shim/transparent_tls.c).
# usage: tests/shim/results.sh BUILD_DIR
set -eu
build=$1
lib=$PWD/$build/libinferwire.so
builds=$PWD/$build/check/builds
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
bound='timeout 300'

result() { # result NAME STATUS
	if [ "$2" -eq 0 ]; then echo "ok   shim: $1"; else echo "FAIL shim: $1"; fi
}

# Runs COMMAND beside others into a file; its status into another.
run() { # run FILE COMMAND...
	file=$work/$1
	shift
	(
		st=0
		$bound "$@" >"$file" 2>"$file.err" || st=$?
		echo "$st" >"$file.status"
	) &
}

same() { # same NAME FILE: as "raw", and ended well, without a word on stderr
	st=0
	diff "$work/raw" "$work/$2" | head -n 20
	cmp -s "$work/raw" "$work/$2" || st=1
	for file in raw "$2"; do
		[ "$(cat "$work/$file.status")" -eq 0 ] || st=1
		cat "$work/$file.err"
		[ ! -s "$work/$file.err" ] || st=1
	done
	[ -s "$work/raw" ] || st=1
	result "$1" $st
}

rings() { # rings DIRECTORY: how many there are
	find "$work/$1" -name '*.ring' 2>/dev/null | wc -l
}

# ---- no hook without a case -------------------------------------------------------------------------
cc -O2 -w -I. -o "$work/glibc" tests/shim/transparent/*.c
cc -O2 -w -o "$work/tls" tests/shim/transparent_tls.c -lssl -lcrypto
awk '$1 == "FUNC" && $4 == "defined" {print $5}' tests/shim/symbols.golden | LC_ALL=C sort >"$work/hooks"
for program in glibc tls; do
	readelf -W --dyn-syms "$work/$program" | awk '$7 == "UND" {sub(/@.*/, "", $8); print $8}'
done | LC_ALL=C sort -u >"$work/called"
LC_ALL=C comm -23 "$work/hooks" "$work/called" | sed 's/^/     no case calls /' | tee "$work/uncalled"
st=0
[ ! -s "$work/uncalled" ] || st=1
result "every hooked function has its cases" $st

# ---- by libc ----------------------------------------------------------------------------------------
# Rings as small as they can be: there are many children.
on="INFERWIRE_ENABLED=1 INFERWIRE_RING_BYTES=262144 LD_PRELOAD=$lib"
# RINGS are those besides one a child that the program tells of.
transparent() { # transparent NAME PROGRAM RINGS
	rm -rf "$work"/rings-*
	run raw "$2"
	run inert env LD_PRELOAD="$lib" INFERWIRE_DIR="$work/rings-inert" "$2"
	# shellcheck disable=SC2086
	run active env $on INFERWIRE_AGENT=external INFERWIRE_DIR="$work/rings-active" "$2"
	# shellcheck disable=SC2086
	run loader env $on INFERWIRE_AGENT=external INFERWIRE_DIR="$work/rings-loader" \
		"$(readelf -W -l "$2" | sed -n 's/.*interpreter: \(.*\)]/\1/p')" "$2"
	# shellcheck disable=SC2086
	run agent env $on OTEL_METRICS_EXPORTER=none INFERWIRE_DIR="$work/rings-agent" "$2"
	wait
	same "$1: same results under the inert shim" inert
	same "$1: same results under the working shim" active
	same "$1: same results, by its loader's name" loader
	same "$1: same results with an agent: no child of it, no SIGCHLD" agent
	st=0
	[ "$(rings rings-inert)" -eq 0 ] || st=1
	want=$(($3 + $(grep -c '^its child' "$work/raw" || true)))
	for mode in active loader; do
		[ "$(rings rings-$mode)" -eq "$want" ] || {
			echo "     $(rings rings-$mode) rings ($mode), not $want"
			st=1
		}
	done
	[ -e "$work/rings-agent/agent.lock" ] || st=1
	result "$1: it did record when it was to" $st
}
# What -D_FORTIFY_SOURCE makes of a call is called by its own name.
# A ring of the program, of its child that accepts, of the three that overflow a buffer, of one that
# may only read and write.
transparent "glibc" "$work/glibc" 6
transparent "TLS" "$work/tls" 1
if [ -x "$build/glibc-2.17/cc" ]; then
	"$build/glibc-2.17/cc" -O2 -w -I. -o "$work/old" tests/shim/transparent/*.c
	transparent "glibc 2.17" "$work/old" 6
else
	echo "skip shim: glibc 2.17 (tests/shim/glibc-2.17/fetch.sh has not fetched it)"
fi
if command -v musl-gcc >/dev/null; then
	# The kernel's headers: musl has none of its own.
	musl-gcc -O2 -w -I. -idirafter /usr/include -idirafter "/usr/include/$(gcc -print-multiarch)" \
		-o "$work/musl" tests/shim/transparent/*.c
	transparent "musl" "$work/musl" 3
else
	echo "skip shim: musl (musl-gcc is missing: make deps)"
fi

# ---- by compiler: the builds of tests/shim/builds.sh ------------------------------------------------
run raw "$work/glibc"
for name in gcc-O0 gcc-O3 gcc-hardened gcc-lto gcc-v3 clang-O0 clang-O3 clang-hardened-last; do
	[ "$name" != gcc-v3 ] || grep -q avx2 /proc/cpuinfo || continue
	[ -e "$builds/$name/libinferwire.so" ] || continue
	run "$name" env INFERWIRE_ENABLED=1 INFERWIRE_RING_BYTES=262144 INFERWIRE_AGENT=external INFERWIRE_DIR="$work/rings-$name" \
		LD_PRELOAD="$builds/$name/libinferwire.so" "$work/glibc"
done
wait
for status in "$work"/gcc-*.status "$work"/clang-*.status; do
	[ -e "$status" ] || continue
	name=$(basename "$status" .status)
	same "build $name: same results under the working shim" "$name"
done

# ---- aarch64, in an emulator ------------------------------------------------------------------------
# It takes requests to wipe memory in forked children and does not do so: those make no ring there.
arm=$builds/aarch64-gcc-O2/libinferwire.so
if [ -e "$arm" ] && command -v qemu-aarch64 >/dev/null; then
	aarch64-linux-gnu-gcc -O2 -w -I. -o "$work/aarch64" tests/shim/transparent/*.c
	emulator="qemu-aarch64 -L /usr/aarch64-linux-gnu"
	# shellcheck disable=SC2086
	run raw $emulator "$work/aarch64" emulated
	# shellcheck disable=SC2086
	run inert $emulator -E "LD_PRELOAD=$arm" "$work/aarch64" emulated
	# shellcheck disable=SC2086
	run active $emulator -E "LD_PRELOAD=$arm" -E INFERWIRE_ENABLED=1 -E INFERWIRE_RING_BYTES=262144 -E INFERWIRE_AGENT=external \
		-E INFERWIRE_DIR="$work/rings-arm" "$work/aarch64" emulated
	wait
	same "aarch64: same results under the inert shim" inert
	same "aarch64: same results under the working shim" active
	st=0
	[ "$(rings rings-arm)" -ge 1 ] || st=1
	result "aarch64: it did record" $st
else
	echo "skip shim: aarch64 (its compiler or qemu-aarch64 is missing: make deps)"
fi
