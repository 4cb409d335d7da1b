#!/bin/sh
# What the built shim is, seen from outside: its symbol table, and programs that run under it.
# usage: tests/shim/check.sh BUILD_DIR
set -eu
build=${1:-build}
lib=$PWD/$build/libinferwire.so
[ -e "$lib" ] || { echo "shim: $lib is not built: make"; exit 1; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
passed=0 failed=0 skipped=0

result() { # result NAME STATUS
	if [ "$2" -eq 0 ]; then
		passed=$((passed + 1))
		echo "ok   shim: $1"
	else
		failed=$((failed + 1))
		echo "FAIL shim: $1"
	fi
}

skip() {
	skipped=$((skipped + 1))
	echo "skip shim: $1 ($2)"
}

# The lines of another script of this folder: "ok", "FAIL" and "skip" are counted.
counted() { # counted COMMAND...
	"$@" >"$work/part" 2>&1 || echo "FAIL shim: $* ended with status $?" >>"$work/part"
	cat "$work/part"
	passed=$((passed + $(grep -c '^ok ' "$work/part" || true)))
	failed=$((failed + $(grep -c '^FAIL ' "$work/part" || true)))
	skipped=$((skipped + $(grep -c '^skip ' "$work/part" || true)))
}

# ---- the object -----------------------------------------------------------------------------------
st=0
sh tests/shim/object.sh "$lib" || st=1
result "the built object asks nothing of a libc" $st
counted sh tests/shim/builds.sh "$build"

# ---- programs -------------------------------------------------------------------------------------
runs_under() { # runs_under NAME PROGRAM [ENV...]: exit 0, silent but for its own line, no file left
	name=$1 program=$2
	shift 2
	rm -rf "$work/rings"
	st=0
	env "$@" INFERWIRE_DIR="$work/rings" LD_PRELOAD="$lib" "$program" >"$work/out" 2>"$work/err" || st=1
	[ -s "$work/err" ] && st=1
	[ -e "$work/rings" ] && st=1
	result "$name" $st
}
runs_under "/bin/true, inert" /bin/true NOTHING=
runs_under "/bin/true, enabled" /bin/true INFERWIRE_ENABLED=1
if command -v musl-gcc >/dev/null; then
	musl-gcc -O2 -o "$work/musl-true" tests/shim/true.c
	runs_under "a musl program, inert" "$work/musl-true" NOTHING=
	runs_under "a musl program, enabled" "$work/musl-true" INFERWIRE_ENABLED=1
else
	skip "a musl program" "musl-gcc is missing: make deps"
fi

# ---- results, errno, side effects -----------------------------------------------------------------
counted sh tests/shim/results.sh "$build"

# ---- little shared memory -------------------------------------------------------------------------
# A server in a container has 64 MB of it and needs them: a ring is an eighth of what is free at most,
# and where that is too little there is none.
small() { # small NAME SIZE RINGS
	mkdir -p "$work/small"
	if ! mount -t tmpfs -o "size=$2" tmpfs "$work/small" 2>/dev/null; then
		skip "$1" "only root can mount a small tmpfs"
		return
	fi
	st=0
	cc -O2 -w -I. -o "$work/transparent" tests/shim/transparent/*.c
	"$work/transparent" >"$work/raw"
	INFERWIRE_ENABLED=1 INFERWIRE_AGENT=external INFERWIRE_DIR="$work/small/rings" LD_PRELOAD="$lib" \
		"$work/transparent" >"$work/active"
	diff "$work/raw" "$work/active" || st=1
	[ "$(find "$work/small" -name '*.ring' | wc -l)" -eq "$3" ] || st=1
	[ "$(find "$work/small" -name '*.new' | wc -l)" -eq 0 ] || st=1
	umount "$work/small"
	result "$1" $st
}
small "4 MiB of shared memory: small rings" 4m 3
small "1 MiB of shared memory: no ring, nothing noticed" 1m 0

echo "shim: $passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
