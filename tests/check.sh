#!/bin/sh
# Runs every test and closes with "N passed, N failed, N skipped". What `make check` calls, after it
# built everything.
# usage: tests/check.sh BUILD_DIR PART...    parts: lint unit oracles tsan shim e2e tools servers chaos fuzz
# The programs of unit, oracles, tsan and fuzz are the words of UNIT, ORACLES, TSAN and FUZZ.
# shellcheck disable=SC2086
set -u
build=$1
shift
logs=$build/check
mkdir -p "$logs"
passed=0 failed=0 skipped=0

count() { # count NAME PASSED FAILED SKIPPED LOG
	passed=$((passed + $2))
	failed=$((failed + $3))
	skipped=$((skipped + $4))
	if [ "$3" -gt 0 ]; then
		printf 'FAIL %-10s %3d passed, %d failed, %d skipped\n' "$1" "$2" "$3" "$4"
		tail -n 60 "$5" | sed 's/^/     | /'
	else
		printf 'ok   %-10s %3d passed, %d skipped\n' "$1" "$2" "$4"
	fi
	grep -E '^(skip|SKIPPED|\[  SKIPPED \]) ' "$5" | sed 's/^/     /' | sort -u
}

# A program whose success is all there is to count.
whole() { # whole NAME LOG COMMAND...
	name=$1 log=$2
	shift 2
	if "$@" >"$log" 2>&1; then count "$name" 1 0 0 "$log"; else count "$name" 0 1 0 "$log"; fi
}

cmocka() { # cmocka NAME PROGRAM...
	name=$1
	shift
	log=$logs/$name.log
	: >"$log"
	broken=0
	for program; do
		before=$(grep -c '^\[  FAILED  \] [a-z]' "$log")
		timeout 300 "$program" >>"$log" 2>&1
		status=$?
		after=$(grep -c '^\[  FAILED  \] [a-z]' "$log")
		# A program that died, or whose sanitizer spoke, counts even if no test of it failed.
		if [ $status -ne 0 ] && [ "$after" -eq "$before" ]; then
			echo "$program ended with status $status" >>"$log"
			broken=$((broken + 1))
		fi
	done
	count "$name" "$(grep -c '^\[       OK \]' "$log")" \
		$((broken + $(grep -c '^\[  FAILED  \] [a-z]' "$log"))) \
		"$(grep -c '^\[  SKIPPED \] [a-z]' "$log")" "$log"
}

# Reads the last line in the closing form of pytest or of our own scripts.
closing() { # closing NAME LOG COMMAND...
	name=$1 log=$2
	shift 2
	"$@" >"$log" 2>&1
	status=$?
	line=$(grep -E '[0-9]+ (passed|failed|skipped|error)' "$log" | tail -n 1)
	number() { echo "$line" | grep -oE "[0-9]+ $1" | grep -oE '[0-9]+' || echo 0; }
	p=$(number passed) f=$(($(number failed) + $(number error))) s=$(number skipped)
	if [ $status -ne 0 ] && [ "$f" -eq 0 ]; then f=1; fi
	if [ $status -eq 0 ] && [ "$p" -eq 0 ] && [ "$s" -eq 0 ]; then f=1; fi
	count "$name" "$p" "$f" "$s" "$log"
}

for part; do
	log=$logs/$part.log
	case $part in
	lint) whole lint "$log" sh tests/lint.sh ;;
	unit) cmocka unit $UNIT ;;
	tsan) cmocka tsan $TSAN ;;
	oracles)
		for program in $ORACLES; do
			name=$(basename "${program%_oracle}")
			closing "oracle $name" "$logs/oracle-$name.log" \
				"$program" ${SECONDS_EACH:+--seconds "$SECONDS_EACH"}
		done
		;;
	shim) closing shim "$log" sh tests/shim/check.sh "$build" ;;
	e2e) closing e2e "$log" "$build/venv/bin/pytest" -rs tests/e2e ;;
	tools) closing tools "$log" "$build/venv/bin/pytest" -rs tests/e2e_tools ;;
	servers) closing servers "$log" "$build/venv/bin/pytest" -rs tests/e2e_servers ;;
	chaos) closing chaos "$log" "$build/venv/bin/python" tests/chaos/chaos.py --seconds 150 ;;
	fuzz)
		for program in $FUZZ; do
			name=${program#"$build/fuzz/"}
			corpus=$build/corpus/${name%_fuzz}
			seeds=tests/fuzz/corpus/${name%_fuzz}
			mkdir -p "$corpus"
			[ -d "$seeds" ] || seeds=$corpus
			whole "fuzz $(basename "${name%_fuzz}")" "$logs/fuzz-$(basename "$name").log" \
				"$program" -max_total_time="${SECONDS_EACH:-60}" -timeout=10 -rss_limit_mb=1024 \
				-print_final_stats=1 -artifact_prefix="$logs/" "$corpus" "$seeds"
		done
		;;
	*)
		echo "tests/check.sh: no part is called $part" >&2
		exit 2
		;;
	esac
done

echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
