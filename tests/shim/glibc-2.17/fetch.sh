#!/bin/sh -eu
# Fetches glibc 2.17 as a cross compiler's package carries it (46 MiB, once), and makes
# build/glibc-2.17/cc: the compiler of this machine, whose programs are of that libc and run on it.
here=$(cd "$(dirname "$0")" && pwd)
cd "$here/../../.."
to=$(realpath -m "${BUILD:-build}")/glibc-2.17
cd "$here"
[ "$(uname -m)" = x86_64 ] || exit 0
cmp -s package-lock.json "$to/package-lock.json" && cmp -s fetch.sh "$to/made-by" && exit 0
command -v npm >/dev/null || { echo 'glibc-2.17: npm is missing: make deps' >&2; exit 0; }
rm -rf "$to"
mkdir -p "$to"
cp package.json package-lock.json "$to"
for try in 1 2 3; do
	(cd "$to" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error) && break
	[ "$try" -lt 3 ] || { echo 'glibc-2.17: it could not be fetched' >&2; exit 1; }
	sleep $((try * 5))
done
tar -xJf "$to"/node_modules/@napi-rs/cross-toolchain-x64-target-x86_64/x86_64-unknown-linux-gnu.tar.xz -C "$to" \
	--strip-components=2 ./x86_64-unknown-linux-gnu/sysroot
rm -rf "$to/node_modules"
# gcc's own headers first, then that libc's; the kernel's are this machine's. A path that dlopen uses too,
# for libgcc_s; and no program that may lie anywhere, which this loader does not start when called by name.
cat >"$to/cc" <<END
#!/bin/sh
exec gcc --sysroot="$to/sysroot" -B"$to/sysroot/usr/lib" -idirafter /usr/include -no-pie -Wl,--disable-new-dtags \\
	-Wl,-rpath,"$to/sysroot/lib" -Wl,-dynamic-linker,"$to/sysroot/lib/ld-linux-x86-64.so.2" "\$@"
END
chmod +x "$to/cc"
cp "$here/fetch.sh" "$to/made-by"
