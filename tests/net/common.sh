# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What the tests of protocols and programs share. Sourced, not run. Such a test is
#
#	. "$SOURCE/tests/net/common.sh"
#	run STOP_TIME <<'YAML'          # what a scenario has below `topology:`
#	  nodes: ...
#	YAML
#	check "what must hold" grep -q PATTERN "$(out NODE COMMAND)"
#	finish
#
# Sourcing it runs the whole test once for each kernel version in BACKHOP_KERNELS (default: all that
# are built), each time in a fresh folder, and adds up what the runs say, as TAP.
set -u

if [ -z "${net_kernel:-}" ]; then
	failed=0 total=0
	if [ -z "${BACKHOP_KERNELS:-}" ]; then
		for image in "$BUILD"/kernel-*/image; do
			image=${image%/image}
			version=${image##*/kernel-}
			[[ $version == *-* ]] || BACKHOP_KERNELS="${BACKHOP_KERNELS:-} $version"
		done
	fi
	[ -n "${BACKHOP_KERNELS:-}" ] || {
		echo "no kernel image is built in $BUILD"
		exit 1
	}
	for net_kernel in $BACKHOP_KERNELS; do
		mkdir -p "$net_kernel"
		(cd "$net_kernel" && net_kernel=$net_kernel bash "$0") >checks || failed=1
		cat checks
		total=$((total + $(grep -c -E '^(not )?ok ' checks)))
	done
	echo "1..$total"
	exit $failed
fi

status=0

result() { # result STATUS TEXT
	if [ "$1" = 0 ]; then
		echo "ok - $2 ($net_kernel)"
	else
		echo "not ok - $2 ($net_kernel)"
		status=1
	fi
}

# Records the scenario whose topology is on stdin, in the current folder; it must pass, and run again
# in the same way.
run() { # run STOP_TIME
	local name
	name=$(basename "$0")
	{
		echo "name: $name"
		echo "general: {seed: 7, stop_time: $1}"
		echo "topology:"
		echo "  defaults: {kernel: \"$net_kernel\"${ram:+, ram: $ram}}"
		sed "s|@PROGRAMS@|$BUILD/programs|g"
	} >"$name.yaml"
	"$BACKHOP" record --json -o trace.bht "$name.yaml" >summary.json 2>log
	local code=$?
	result $code "$name runs"
	check "$name runs again in the same way" "$BACKHOP" verify trace.bht
	[ $code = 0 ] || {
		cat log
		[ ! -s summary.json ] ||
			python3 -c 'import json; [print(f) for f in json.load(open("summary.json"))["failures"]]'
		for file in files-*/var/log/*/{stderr,log}; do
			[ -s "$file" ] && head -n 8 "$(dirname "$file")/cmdline" "$file"
		done
	}
}

# The file with what a program wrote; COMMAND is a part of its command line. Of several, the last
# to be started (set-up lines come first).
out() { # out NODE COMMAND [stderr]
	local pid
	pid=$(grep -lF -e "$2" files-"$1"/var/log/*/cmdline | cut -d / -f 4 | sort -n | tail -n 1)
	echo "files-$1/var/log/${pid:-no-process-has: $2}/${3:-stdout}"
}

check() { # check TEXT COMMAND...
	local text=$1
	shift
	if "$@" >check-output 2>&1; then
		result 0 "$text"
	else
		result 1 "$text"
		echo "# $*"
		head -n 20 check-output
		# The file that was looked at.
		case "${*: -1}" in
		*/stdout | */stderr) [ ! -f "${*: -1}" ] || head -n 40 "${*: -1}" | sed 's/^/# /' ;;
		esac
	fi
}

# The file is there and no line of it matches.
lacks() { # lacks PATTERN FILE
	[ -f "$2" ] && ! grep "$1" "$2"
}

# N replies of N to the ping of NODE to ADDRESS.
check_ping() { # check_ping NODE ADDRESS N
	check "$1 reaches $2" grep -q "^$3 packets transmitted, $3 received," "$(out "$1" "$2")"
}

finish() {
	exit $status
}
