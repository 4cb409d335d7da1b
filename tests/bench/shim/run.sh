#!/bin/sh
# Instructions and nanoseconds of a hooked call, with a stub in place of libc behind the shim.
# usage: tests/bench/shim/run.sh BUILD_DIR
set -eu
build=$PWD/${1:-build}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cc -O2 -fPIC -shared -o "$work/stub.so" tests/bench/shim/stub.c
cc -O2 -fPIC -shared -o "$work/forwarder.so" tests/bench/shim/forwarder.c
cc -O2 -o "$work/calls" tests/bench/shim/calls.c
shim=$build/libinferwire.so

# shellcheck disable=SC2086 # PREFIX_COMMAND is words, or none
under() { # under PRELOAD FD BYTES COUNT: with a ring that never fills
	rm -rf "$work/rings"
	env LD_PRELOAD="$1" INFERWIRE_ENABLED=1 INFERWIRE_AGENT=external INFERWIRE_DIR="$work/rings" \
		INFERWIRE_RING_BYTES=268435456 $PREFIX_COMMAND "$work/calls" "$2" "$3" "$4"
}

instructions() { # instructions PRELOAD FD BYTES: of one call, by callgrind, exact
	for n in 0 10000; do
		PREFIX_COMMAND="valgrind -q --tool=callgrind --callgrind-out-file=$work/out.$n"
		under "$1" "$2" "$3" $n >/dev/null 2>&1
	done
	a=$(awk '/^summary:/ {print $2}' "$work/out.0")
	b=$(awk '/^summary:/ {print $2}' "$work/out.10000")
	echo $(((b - a) / 10000))
}

nanoseconds() { # nanoseconds PRELOAD FD BYTES: the best of 9 runs
	PREFIX_COMMAND=
	for _ in 1 2 3 4 5 6 7 8 9; do under "$1" "$2" "$3" 200000; done | sort -n | head -1
}

none=$(instructions "$work/stub.so" 901 250)
forward=$(instructions "$work/forwarder.so $work/stub.so" 901 250)
untracked=$(instructions "$shim $work/stub.so" 901 250)
captured=$(instructions "$shim $work/stub.so" 900 250)
echo "shim: instructions of a call: loop and stub $none, empty forwarder $forward," \
	"unwatched $untracked (+$((untracked - forward)) over the forwarder)," \
	"captured 250 B $captured (+$((captured - forward)))"
forward=$(nanoseconds "$work/forwarder.so $work/stub.so" 901 250)
untracked=$(nanoseconds "$shim $work/stub.so" 901 250)
for bytes in 64 250 1024 4096; do
	echo "shim: ns of a call, $bytes B: forwarder $forward, unwatched $untracked, captured" \
		"$(nanoseconds "$shim $work/stub.so" 900 $bytes)"
done
