# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# Completion of backhop's command line for bash; `make install` puts it where bash finds it.

_backhop() {
	local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
	local commands='run record replay verify info events packets import doctor'
	local words='' pattern=''

	if [ "$COMP_CWORD" = 1 ]; then
		mapfile -t COMPREPLY < <(compgen -W "$commands --help --version" -- "$current")
		return
	fi
	case $previous in
	--kind)
		words='boot timer rx tx lost spawn exec exit output console halt stop drop action'
		mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
		return
		;;
	--files)
		compopt -o filenames
		mapfile -t COMPREPLY < <(compgen -d -- "$current")
		return
		;;
	--shell-time)
		mapfile -t COMPREPLY < <(compgen -W 'still wall' -- "$current")
		return
		;;
	--snapshots)
		mapfile -t COMPREPLY < <(compgen -W 'cheap often no' -- "$current")
		return
		;;
	--shell-program)
		compopt -o filenames
		mapfile -t COMPREPLY < <(compgen -c -- "$current")
		return
		;;
	--seed | --spin-limit | --shell | --shell-start | --stop-time | --node | --from | --to | --plant-fault | --trace | --at | --serve) return ;;
	esac
	case ${COMP_WORDS[1]} in
	run) words='--json --quiet --files --seed --spin-limit --shell --shell-time --shell-start --shell-program' pattern='yaml|yml' ;;
	record) words='--output --rr --snapshots --json --quiet --files --seed --spin-limit --shell --shell-time --shell-start --shell-program' pattern='yaml|yml' ;;
	replay) words='--at --node --serve' pattern='bht' ;;
	verify) words='--json --plant-fault' pattern='bht' ;;
	info) words='--json' pattern='bht' ;;
	events) words='--json --node --kind --from --to' pattern='bht' ;;
	packets) words='--json --trace --node' pattern='bht' ;;
	doctor) words='--json' pattern='' ;;
	import) words='--output --stop-time' pattern='yaml|yml' ;;
	*) return ;;
	esac
	if [[ $current == -* ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$words --help" -- "$current")
		return
	fi
	compopt -o filenames
	[[ $previous != --output && $previous != -o ]] || pattern=bht
	mapfile -t COMPREPLY < <(compgen -d -- "$current"
		compgen -f -- "$current" | grep -E "\\.($pattern)\$")
}

complete -F _backhop backhop
