#!/bin/sh
# The shim as every compiler builds it: each build must be an object that any libc loads, and keep
# quiet in a program.
# usage: tests/shim/builds.sh BUILD_DIR          all of them, beside each other
#        tests/shim/builds.sh BUILD_DIR NAME     one
set -eu
build=$1
hard='-fstack-protector-strong -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3 -fstack-clash-protection'
cf=-fcf-protection=full

# NAME|COMPILER|flags before ours, as a distribution's compiler has them|flags after ours
matrix() {
	for o in 0 1 2 3 s; do
		echo "gcc-O$o|gcc||-O$o"
		echo "clang-O$o|clang||-O$o"
	done
	for c in gcc clang; do
		echo "$c-hardened|$c|$hard $cf|-O2"
		echo "$c-hardened-O0|$c|$hard $cf|-O0"
		echo "$c-hardened-last|$c||${hard#* } $cf -O3"
		echo "$c-refuses-canaries|$c||-fstack-protector-strong"
	done
	echo "gcc-lto|gcc|-flto -fno-fat-lto-objects|-O2"
	echo "gcc-no-plt|gcc|-fno-plt -ftrivial-auto-var-init=zero|-O2"
	echo "gcc-v3|gcc||-march=x86-64-v3 -O3"
	for o in 0 2 3; do
		echo "aarch64-gcc-O$o|aarch64-linux-gnu-gcc||-O$o"
	done
	echo "aarch64-gcc-hardened|aarch64-linux-gnu-gcc|$hard -mbranch-protection=standard|-O2"
	echo "aarch64-clang-O2|clang --target=aarch64-linux-gnu||-O2"
}

one() { # one NAME|COMPILER|BEFORE|AFTER
	rest=${1#*|} name=${1%%|*}
	compiler=${rest%%|*} rest=${rest#*|}
	before=${rest%%|*} after=${rest#*|}
	if ! command -v "${compiler%% *}" >/dev/null; then
		echo "skip shim: build $name (${compiler%% *} is missing: make deps)"
		return
	fi
	dir=$build/check/builds/$name
	rm -rf "$dir"
	mkdir -p "$dir"
	touch "$dir/deps.ok"
	st=0
	env -u MAKEFLAGS -u MFLAGS make -s BUILD="$dir" CC="$compiler $before" SHIM_EXTRA="$after" \
		WERROR=-Werror "$dir/libinferwire.so" >"$dir/log" 2>&1 || st=1
	case $name in
	*-refuses-*) # with the word of what to do
		if [ $st -ne 0 ] && grep -q 'needs -fno-stack-protector last' "$dir/log"; then st=0; else st=1; fi
		;;
	*) [ $st -ne 0 ] || sh tests/shim/object.sh "$dir/libinferwire.so" >>"$dir/log" || st=1 ;;
	esac
	if [ $st -eq 0 ]; then
		echo "ok   shim: build $name"
	else
		grep -vE '^  (CC|LINK) ' "$dir/log" | sed 's/^/     /' || true
		echo "FAIL shim: build $name"
	fi
}

if [ $# -gt 1 ]; then
	one "$(matrix | grep -F "$2|" | head -n 1)"
	exit
fi
matrix | cut -d'|' -f1 | xargs -P "$(nproc)" -n 1 sh "$0" "$build"
