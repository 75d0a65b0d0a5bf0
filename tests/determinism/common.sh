# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What the determinism tests share: they record one scenario under different circumstances, and the
# traces (every byte of them) and the files of the nodes must be the same. Sourced, not run; the
# tests run in a fresh folder with BACKHOP, BUILD and SOURCE set (see tests/run). programs: where the
# nodes' programs of ours lie, if not in the build folder.
set -u

scenario=$PWD/mixed.yaml
sed "s|@PROGRAMS@|${programs:-$BUILD/programs}|" "$SOURCE/tests/determinism/mixed.yaml.in" >"$scenario"
count=0 failed=0

result() { # result STATUS TEXT
	count=$((count + 1))
	if [ "$1" = 0 ]; then
		echo "ok $count - $2"
	else
		echo "not ok $count - $2"
		failed=1
	fi
}

finish() {
	echo "1..$count"
	exit $failed
}

# Records the scenario into FOLDER with the rest as the command to run it with: `env`, `setarch -R`.
# It may fail (the first must not, below), as long as it always fails in the same way.
record_into() { # record_into FOLDER [COMMAND...]
	local folder=$1 status=0
	shift
	mkdir -p "$folder"
	(cd "$folder" && "$@" "$BACKHOP" record --snapshots no --json -o trace.bht "$scenario" >summary 2>log) ||
		status=$?
	[ $status -le 1 ] || cat "$folder/log"
	return $((status > 1))
}

# Everything that a run leaves behind, but for the host seconds in its summary.
same_as() { # same_as FOLDER FOLDER
	local node status=0
	cmp "$1/trace.bht" "$2/trace.bht" || status=1
	for node in a r b; do
		diff -r "$1/files-$node" "$2/files-$node" >difference 2>&1 || {
			head -n 5 difference | cut -c 1-300
			status=1
		}
	done
	[ $status = 0 ] || first_difference "$1/trace.bht" "$2/trace.bht"
	return $status
}

first_difference() { # first_difference TRACE TRACE
	"$BACKHOP" events "$1" >one.events
	"$BACKHOP" events "$2" >two.events
	diff one.events two.events | head -n 6
}

check_record() { # check_record TEXT [COMMAND...]
	local text=$1 folder
	shift
	folder=other$count
	record_into "$folder" "$@" && same_as base "$folder"
	result $? "$text"
	rm -rf "$folder"
}

if ! { record_into base env && grep -q '"result": *"pass"' base/summary; }; then
	cat base/summary
	echo "Bail out! the scenario can't be recorded or fails"
	exit 1
fi
