#!/bin/sh -eu
# What the build and the tests need: finds what is missing and installs it (Debian packages).
#
#   sh tools/deps.sh build             installs what `make` needs
#   sh tools/deps.sh check             and what `make check` needs
#   sh tools/deps.sh bench             what `make bench` needs, which `make check` does not
#   sh tools/deps.sh servers           and what `make check-servers` needs
#   sh tools/deps.sh --missing [LIST]  only names the packages that are missing; status 1 if there are any
#
# What is there is asked of the machine, not of the package manager: a compiler from elsewhere will do.

# PACKAGE PROBE, the packages as Debian 12 calls them.
#   c:NAME = a command   p:NAME = a pkg-config module   h:HEADER   f:FUNCTION = one of those below
build='
gcc c:gcc
libc6-dev h:stdio.h
make c:make
pkg-config c:pkg-config
libcurl4-openssl-dev p:libcurl
libjansson-dev p:jansson
libprotobuf-c-dev p:libprotobuf-c
protobuf-c-compiler c:protoc-c
libelf-dev p:libelf
zlib1g-dev p:zlib
libnghttp2-dev p:libnghttp2
libbrotli-dev p:libbrotlidec
libzstd-dev p:libzstd
python3-venv f:python_venv
'
check="$build
libcmocka-dev p:cmocka
libssl-dev p:openssl
clang c:clang
nghttp2-client c:h2load
curl c:curl
openssl c:openssl
clang-format c:clang-format
libclang-rt-14-dev f:libfuzzer
musl-tools c:musl-gcc
libssl-dev h:openssl/ssl.h
valgrind c:valgrind
strace c:strace
gdb c:gdb
binutils c:readelf
shellcheck c:shellcheck
pyflakes3 c:pyflakes3
mandoc c:mandoc
procps c:ps
util-linux c:unshare
g++ c:g++
nginx-light c:nginx
libssl-dev f:static_openssl
cmake c:cmake
gcc-aarch64-linux-gnu c:aarch64-linux-gnu-gcc
libc6-dev-arm64-cross f:aarch64_libc
qemu-user c:qemu-aarch64
libjemalloc2 f:jemalloc
libtcmalloc-minimal4 f:tcmalloc
nodejs c:node
npm c:npm
xz-utils c:xz
"
servers="$check
haproxy c:haproxy
lighttpd c:lighttpd
openjdk-17-jdk-headless c:javac
golang-go c:go
cargo-web f:new_cargo
bubblewrap c:bwrap
"
# What `make bench` compares with.
bench='
libsimdjson-dev p:simdjson
g++ c:g++
lttng-tools c:lttng-sessiond
liblttng-ust-dev p:lttng-ust
valgrind c:valgrind
nodejs c:node
npm c:npm
'

python_venv() {
	python3 -c 'import venv, ensurepip' 2>/dev/null
}
# LLVM 14 is Debian 12's clang; another clang has the package of its own number.
libfuzzer() {
	ls "$(clang -print-resource-dir 2>/dev/null)"/lib/*/libclang_rt.fuzzer-* >/dev/null 2>&1 ||
		ls "$(clang -print-resource-dir 2>/dev/null)"/lib/*/libclang_rt.fuzzer.a >/dev/null 2>&1
}
aarch64_libc() {
	printf '#include <stdio.h>\n' | aarch64-linux-gnu-gcc -E - >/dev/null 2>&1
}
# axum wants Rust 1.80; Debian 12's own is 1.63, and has a newer one beside it for its browsers.
new_cargo() {
	minor=$(cargo --version 2>/dev/null | sed -n 's/^cargo 1\.\([0-9]*\).*/\1/p')
	[ "${minor:-0}" -ge 80 ]
}
jemalloc() {
	ls /usr/lib/*/libjemalloc.so.2 >/dev/null 2>&1
}
tcmalloc() {
	ls /usr/lib/*/libtcmalloc_minimal.so.4 >/dev/null 2>&1
}
static_openssl() {
	printf 'int main(void) {return 0;}\n' | ${CC:-gcc} -x c -o /dev/null - -l:libssl.a -l:libcrypto.a 2>/dev/null
}

is_there() { # is_there PROBE
	case $1 in
	c:*) command -v "${1#c:}" >/dev/null ;;
	p:*) pkg-config --exists "${1#p:}" 2>/dev/null ;;
	h:*) printf '#include <%s>\n' "${1#h:}" | ${CC:-gcc} -E - >/dev/null 2>&1 ;;
	f:*) "${1#f:}" ;;
	esac
}

missing() { # missing LIST
	echo "$1" | while read -r package probe; do
		if [ -n "$package" ] && ! is_there "$probe"; then
			echo "$package"
		fi
	done
}

list_of() { # list_of NAME
	case $1 in
	build) echo "$build" ;;
	check) echo "$check" ;;
	bench) echo "$build$bench" ;;
	servers) echo "$servers" ;;
	*)
		echo "deps.sh: there is no list '$1': build, check, bench, servers" >&2
		exit 2
		;;
	esac
}

names_only=
if [ "${1-}" = --missing ]; then
	names_only=1
	shift
fi
list=$(list_of "${1-build}")
packages=$(missing "$list" | tr '\n' ' ')
[ -n "$packages" ] || exit 0
if [ "$names_only" ]; then
	echo "$packages"
	exit 1
fi

# shellcheck source=/dev/null
system=$(. /etc/os-release 2>/dev/null && echo "${ID-} ${VERSION_ID-}") || system=unknown
if [ "$system" != 'debian 12' ]; then
	echo "deps.sh: missing here: $packages" >&2
	echo "deps.sh: these are the names in Debian 12; this is $system: install what gives the same" >&2
	exit 1
fi
sudo=
[ "$(id -u)" -eq 0 ] || sudo=sudo
install="$sudo apt-get install -y --no-install-recommends $packages"
echo "deps.sh: $install"
$sudo apt-get update -q
# shellcheck disable=SC2086 # a list of words
DEBIAN_FRONTEND=noninteractive $install
packages=$(missing "$list" | tr '\n' ' ')
if [ -n "$packages" ]; then
	echo "deps.sh: still missing after the installation: $packages" >&2
	exit 1
fi
