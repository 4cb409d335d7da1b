#!/bin/sh
# What a compiler does not check: prints each finding, status 1 if there are any.
#
#   sh tests/lint.sh [CHECK...]     all, or: format includes banned names shell manual python
set -u
cd "$(dirname "$0")/.." || exit 2
findings=$(mktemp)
trap 'rm -f "$findings"' EXIT

files() { # files PATTERN...: tracked, or new and not ignored; and there
	git ls-files --cached --others --exclude-standard -- "$@" | sort -u | while read -r f; do
		[ ! -f "$f" ] || echo "$f"
	done
}
found() { # found WHAT: each line of the input is a finding
	sed "s|^|$1: |" >>"$findings"
}
# Code without comments and the inside of strings. Lines stay lines, for their numbers.
code_of() { # code_of FILE
	sed -E 's/\\"//g; s/"[^"]*"/""/g; s|//.*||' "$1" | awk '
		{ line = ""; rest = $0
		  while (rest != "") {
		    if (inside) { i = index(rest, "*/"); if (!i) break; rest = substr(rest, i + 2); inside = 0 }
		    else { i = index(rest, "/*"); if (!i) { line = line rest; break }
		           line = line substr(rest, 1, i - 1); rest = substr(rest, i + 2); inside = 1 } }
		  print line }'
}

check_format() {
	files '*.c' '*.h' | while read -r f; do
		clang-format --dry-run -Werror "$f" >/dev/null 2>&1 || echo "$f"
	done | found 'not formatted (clang-format -i)'
}

# The stages of the agent in their order; a stage includes itself and earlier ones.
STAGES='base intake http body call metrics export'
check_includes() {
	for stage in $STAGES; do
		later=$(echo " $STAGES " | sed "s/.* $stage / /; s/^ *//; s/ *$//; s/ /|/g")
		[ -n "$later" ] || continue
		files "agent/$stage/*" | while read -r f; do
			grep -nE "^ *# *include +\"agent/($later)/" "$f" | sed "s|^|$f:|"
		done
	done | found 'includes a later stage'
	files 'shim/*' | while read -r f; do
		grep -nE '^ *# *include +"(agent|tools|tests)/' "$f" | sed "s|^|$f:|"
	done | found 'the shim includes what is not its own'
	files 'agent/*' 'tools/*.c' 'tools/*.h' | while read -r f; do
		grep -nE '^ *# *include +"(\.\./)*shim/' "$f" | grep -v '"shim/wire.h"' | sed "s|^|$f:|"
	done | found 'of the shim, only shim/wire.h is shared'
	files 'agent/*' | while read -r f; do
		grep -nE '^ *# *include +"(tools|tests)/' "$f" | sed "s|^|$f:|"
	done | found 'the agent includes what uses it'
	files '*.c' '*.h' | while read -r f; do
		grep -nE '^ *# *include +"\.' "$f" | sed "s|^|$f:|"
	done | found 'includes are written from the root of the repository'
}

BANNED='strcpy|strcat|sprintf|vsprintf|strncpy|strtok|gmtime|localtime|atoi'
NOT_IN_SHIM='malloc|calloc|realloc|free|[fsv]*printf|puts|pthread_mutex_[a-z]+|exit|abort|setenv|putenv'
check_banned() {
	files '*.c' '*.h' | while read -r f; do
		code_of "$f" | grep -nE "(^|[^A-Za-z0-9_])($BANNED) *\(" | sed "s|^|$f:|"
	done | found 'banned call'
	files 'shim/*.c' 'shim/*.h' | while read -r f; do
		code_of "$f" | grep -nE "(^|[^A-Za-z0-9_])($NOT_IN_SHIM) *\(" | sed "s|^|$f:|"
	done | found 'not in the shim'
}

check_names() {
	files '*' | grep -E '(^|/)(util|utils|common|misc|helper|helpers)(\.[^/]*|/|$)' |
		found 'a name that says nothing'
	# What the table of hazards names is there.
	# shellcheck disable=SC2016 # the backquotes are the table's
	grep -o '`tests/[^`]*`' tests/hazards.md | tr -d '`' | sort -u | while read -r name; do
		file=${name%%::*}
		if [ ! -e "$file" ]; then
			echo "$file"
		elif [ "$file" != "$name" ] && ! grep -qE "(def|void) ${name#*::}\(" "$file"; then
			echo "$name"
		fi
	done | found 'tests/hazards.md names what is not there'
}

check_shell() {
	files '*.sh' '.ci/run' 'tools/inferwire-run' | while read -r f; do
		shellcheck -f gcc "$f"
	done | found 'shellcheck'
}

check_manual() {
	files '*.1' '*.8' | while read -r f; do
		mandoc -T lint -W warning "$f" | sed 's/^mandoc: //'
	done | found 'mandoc'
}

# Names that nobody made or nobody uses; a line that says noqa may.
check_python() {
	files '*.py' | xargs pyflakes3 2>&1 | while IFS=: read -r f line rest; do
		sed -n "${line}p" "$f" 2>/dev/null | grep -q '# noqa' || echo "$f:$line:$rest"
	done | found 'python'
}

# A function is read on one screen.
check_length() {
	files '*.c' | while read -r f; do
		awk -v file="$f" '/^{/ { start = NR }
			/^}/ { if (start && NR - start - 1 > 70)
				print file ":" start ": " NR - start - 1 " lines"; start = 0 }' "$f"
	done | found 'a function over 70 lines'
}

[ $# -gt 0 ] || set -- format includes banned names length shell manual python
for check; do
	case $check in
	format) check_format ;;
	includes) check_includes ;;
	banned) check_banned ;;
	names) check_names ;;
	length) check_length ;;
	shell) check_shell ;;
	manual) check_manual ;;
	python) check_python ;;
	*)
		echo "lint.sh: there is no check '$check'" >&2
		exit 2
		;;
	esac
done
[ -s "$findings" ] || exit 0
cat "$findings"
exit 1
