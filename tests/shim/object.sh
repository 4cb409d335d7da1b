#!/bin/sh
# One built shim, seen from outside: what any loader of any libc is asked to do for it. Prints each
# finding; status 1 if there are any.
# usage: tests/shim/object.sh LIBRARY
set -eu
lib=$1
findings=$(mktemp)
trap 'rm -f "$findings"' EXIT

must_not() { # must_not WHAT PATTERN < TEXT
	grep -E "$2" | sed "s|^|$1: |" >>"$findings" || true
}
must() { # must WHAT PATTERN < TEXT
	grep -qE "$2" || echo "$1: missing" >>"$findings"
}

# Every name it gives and asks for. Undefined ones are weak: nobody has to have them. (aarch64's linker
# leaves two section symbols there.)
readelf -W --dyn-syms "$lib" |
	awk 'NR > 4 && $8 && $4 != "SECTION" {print $4, $5, $6, ($7 == "UND" ? "undefined" : "defined"), $8}' |
	LC_ALL=C sort | diff tests/shim/symbols.golden - | must_not 'symbol table' '^[<>]'

# A version need or a library needed ties it to one libc. DT_RELR is known to glibc 2.36 and later.
dynamic=$(readelf -W -d "$lib")
echo "$dynamic" | must_not 'dynamic section' \
	'\((NEEDED|VERNEED|VERDEF|VERSYM|RELR|TEXTREL|RPATH|RUNPATH|INIT|FINI|FINI_ARRAY)\)'
echo "$dynamic" | must_not 'dynamic section' 'STATIC_TLS|SYMBOLIC'
echo "$dynamic" | must 'the old hash table' '\(HASH\)'
echo "$dynamic" | must 'the GNU hash table' '\(GNU_HASH\)'
echo "$dynamic" | must 'bound when it is loaded' 'BIND_NOW'
echo "$dynamic" | must 'not unloaded' 'NODELETE'

segments=$(readelf -W -l "$lib")
echo "$segments" | must_not 'segment' '^ *(TLS|INTERP) '
echo "$segments" | must_not 'writable and executable' 'RWE'
echo "$segments" | must 'a stack that is not executable' 'GNU_STACK .* RW '
case $(readelf -h "$lib") in # a page of this one may have 64 KiB
*AArch64*) echo "$segments" | must 'segments 64 KiB apart' 'LOAD .* 0x10000$' ;;
esac

# Addresses in itself, and those of the weak names. No IRELATIVE: no function is chosen by the loader.
weak='dl_iterate_phdr|dlsym|environ|getauxval|gnu_get_libc_version'
readelf -W -r "$lib" | awk '/R_[A-Z]/ {print $3, $5}' | grep -vE \
	"^R_(X86_64_RELATIVE|AARCH64_RELATIVE) |^R_(X86_64_(GLOB_DAT|64)|AARCH64_(GLOB_DAT|JUMP_SLOT|ABS64)) ($weak)\$" |
	must_not 'relocation' .

# The mark of a newer processor makes glibc refuse the object.
readelf -W -n "$lib" | must_not 'property' 'ISA needed'
readelf -W -h "$lib" | must 'plain System V ABI' 'OS/ABI: +UNIX - System V'

[ -s "$findings" ] || exit 0
cat "$findings"
exit 1
