# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The tree in which kernel 6.1 was built is kept, and a tree that differs from it in some files is
# built there in a minute. Sourced by build/kernel-tree and regressions/build-kernel, which do that.
#
# It may be of an older state than the image, which can come from the cache or another machine: then
# all of it is compiled.
cache=${BACKHOP_CACHE:-$HOME/.cache/backhop}
warm=$cache/build/6.1

# Says why nothing can be built there, and fails.
warm_tree_kept() {
	[ -f "$warm/obj/vmlinux" ] && [ -d "$warm/src" ] && return
	echo "the tree in which kernel 6.1 was built isn't kept in $warm"
	return 1
}

# The tree's sources, without our port, in a new folder: links, so that it takes a moment. Whoever
# writes a file there makes a new one.
warm_tree_copy() { # warm_tree_copy FOLDER
	flock "$warm/lock" cp -al "$warm/src" "$1" 2>/dev/null || {
		rm -rf "$1"
		flock "$warm/lock" cp -a "$warm/src" "$1"
	}
	rm -rf "$1/arch/backhop"
}

# Kbuild compiles a file again when its command is another one. So where ccache was installed or
# removed since, the command is what it was: a ccache that only runs the compiler, or programs
# without ccache.
warm_tree_path() { # warm_tree_path FOLDER
	local had=
	grep -q ':= ccache ' "$warm/obj/init/.main.o.cmd" && had=yes
	if [ "$had" ] && ! command -v ccache >/dev/null; then
		mkdir "$1"
		printf '#!/bin/sh\nexec "$@"\n' >"$1/ccache"
		chmod +x "$1/ccache"
		PATH=$1:$PATH
	elif [ ! "$had" ] && command -v ccache >/dev/null; then
		mkdir "$1"
		(IFS=:; for folder in $PATH; do ln -s "$folder"/* "$1" 2>/dev/null || true; done)
		rm "$1/ccache"
		PATH=$1
	fi
}

# Builds a tree as 6.1, by which name only what differs is compiled; BUILD/kernel-6.1 is the image.
warm_tree_build() { # warm_tree_build TREE BUILD [RUN-BY...]
	local tree=$1 build=$2 status=0
	shift 2
	unset MAKEFLAGS MAKELEVEL
	mkdir -p "$build"
	(warm_tree_path "$build/path" && BACKHOP_KBUILD_DIR=$warm "$@" make -s -C "$SOURCE" kernels \
		BUILD="$build" KERNEL="$tree" KERNEL_NAME=6.1 KERNEL_CONFIG=) || status=$?
	rm -rf "$build/path"
	return $status
}
