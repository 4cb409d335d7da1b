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
arm=$build/check/builds/aarch64-gcc-O2/libinferwire.so
emulator="qemu-aarch64 -L /usr/aarch64-linux-gnu"

# Exit 0, silent but for their own line, no file left; inert and enabled.
runs_under() { # runs_under NAME COMMAND...
	name=$1
	shift
	"$@" >"$work/raw" 2>&1
	for environment in NOTHING= INFERWIRE_ENABLED=1; do
		rm -rf "$work/rings"
		st=0
		env "$environment" INFERWIRE_DIR="$work/rings" LD_PRELOAD="$lib" "$@" >"$work/out" 2>&1 || st=1
		cmp "$work/raw" "$work/out" || st=1
		[ ! -e "$work/rings" ] || st=1
		[ $st -eq 0 ] || break
	done
	result "$name" $st
}
interpreter() { # interpreter PROGRAM
	readelf -W -l "$1" | sed -n 's/.*interpreter: \(.*\)]/\1/p'
}
runs_under "/bin/true" /bin/true
cc -O2 -o "$work/glibc-true" tests/shim/true.c
runs_under "a program of glibc" "$work/glibc-true"
runs_under "a program of glibc, by its loader's name" "$(interpreter "$work/glibc-true")" "$work/glibc-true"
cc -O2 -no-pie -o "$work/fixed-true" tests/shim/true.c
runs_under "a program of glibc at a fixed address" "$work/fixed-true"
old=$build/glibc-2.17/cc
if [ -x "$old" ]; then
	"$old" -O2 -o "$work/old-true" tests/shim/true.c
	runs_under "a program of glibc 2.17" "$work/old-true"
	runs_under "a program of glibc 2.17, by its loader's name" "$(interpreter "$work/old-true")" "$work/old-true"
	"$old" -O2 -o "$work/old-newer" tests/shim/newer.c
	runs_under "a program of glibc 2.17 that asks for what newer libcs have" "$work/old-newer"
else
	skip "a program of glibc 2.17" "tests/shim/glibc-2.17/fetch.sh has not fetched it"
fi
if command -v musl-gcc >/dev/null; then
	musl-gcc -O2 -o "$work/musl-true" tests/shim/true.c
	runs_under "a program of musl" "$work/musl-true"
	runs_under "a program of musl, by its loader's name" "$(interpreter "$work/musl-true")" "$work/musl-true"
	musl-gcc -O2 -o "$work/musl-newer" tests/shim/newer.c
	runs_under "a program of musl that asks for what newer libcs have" "$work/musl-newer"
else
	skip "a program of musl" "musl-gcc is missing: make deps"
fi
cc -nostdlib -pie -fPIE -Wa,--noexecstack -o "$work/no-libc" tests/shim/no_libc.c
runs_under "a program without a libc" "$work/no-libc"
# A library that only the RUNPATH of who opens it finds (dlopen(3)): a hook of dlopen would be the caller.
mkdir "$work/deep"
echo 'int deep(void) { return 7; }' | cc -shared -fPIC -o "$work/deep/libdeep.so" -x c -
printf '#include <dlfcn.h>\nvoid *opened(void) { return dlopen("libdeep.so", RTLD_NOW); }\n' |
	cc -shared -fPIC -o "$work/libopens.so" -Wl,--enable-new-dtags -Wl,-rpath,"$work/deep" -x c -
printf 'void *opened(void);\nint main(void) { return opened() ? 0 : 1; }\n' |
	cc -o "$work/opens" -L"$work" -Wl,--enable-new-dtags -Wl,-rpath,"$work" -x c - -lopens
runs_under "a library that only its caller's RUNPATH finds" "$work/opens"
go=$(command -v go || echo "$build/receivers/go/bin/go")
if [ -x "$go" ]; then
	st=0
	CGO_ENABLED=0 GO111MODULE=off "$go" build -buildmode=pie -o "$work/go" tests/shim/no_libc.go || st=1
	[ -n "$(interpreter "$work/go")" ] || st=1
	result "Go makes a program with a loader" $st
	runs_under "a program of Go" "$work/go"
else
	skip "a program of Go" "there is no go: make check-deps"
fi
if [ -e "$arm" ] && command -v qemu-aarch64 >/dev/null; then
	for way in "-O2 tests/shim/true.c" "-nostdlib -pie -fPIE tests/shim/no_libc.c"; do
		# shellcheck disable=SC2086
		aarch64-linux-gnu-gcc $way -o "$work/arm-true"
		st=0
		# shellcheck disable=SC2086
		$emulator -E "LD_PRELOAD=$arm" -E INFERWIRE_ENABLED=1 "$work/arm-true" >"$work/out" 2>&1 || st=1
		[ "$(cat "$work/out")" = fine ] || st=1
		result "aarch64: a program of $(basename "${way##* }")" $st
	done
else
	skip "programs of aarch64" "its compiler or qemu-aarch64 is missing: make deps"
fi

# ---- results, errno, side effects -----------------------------------------------------------------
counted sh tests/shim/results.sh "$build"

# ---- what is recorded -------------------------------------------------------------------------------
counted sh tests/shim/ways.sh "$build"

# ---- all at once ----------------------------------------------------------------------------------
counted sh tests/shim/together.sh "$build"

# ---- little shared memory -------------------------------------------------------------------------
# A server in a container has 64 MB of it and needs them: a ring is an eighth of what is free at most,
# and where that is too little there is none.
small() { # small NAME SIZE LEAST MOST: how many rings, each an eighth of it at most
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
	rings=$(find "$work/small" -name '*.ring' | wc -l)
	[ "$rings" -ge "$3" ] && [ "$rings" -le "$4" ] || st=1
	[ -z "$(find "$work/small" -name '*.ring' -size +512k)" ] || st=1
	[ "$(find "$work/small" -name '*.new' | wc -l)" -eq 0 ] || st=1
	umount "$work/small"
	result "$1" $st
}
small "4 MiB of shared memory: small rings" 4m 2 60
small "1 MiB of shared memory: no ring, nothing noticed" 1m 0 0

echo "shim: $passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
