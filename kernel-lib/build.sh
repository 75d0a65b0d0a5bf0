#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Builds a kernel image and prints the folder that holds it. Called by the Makefile.
#
#	build.sh VERSION [OUTDIR]
#
# VERSION names the Debian package linux-source-VERSION ("6.1", "6.12"); what KERNEL_CONFIG adds to
# its name follows it ("6.1-debug"). With KERNEL_SRC=/path the source is that tree instead (it is
# copied, never written to), and VERSION only names the result. The folder has
#	image          what a node maps: stripped, with the section .backhop.entries
#	image.debug    DWARF and symbols with a gdb index; found through image's debug link
#	config         the kernel's configuration
#	source/        the source files that went into it, and
#	source-path    the path under which DWARF names source/ (gdb: set substitute-path)
# With OUTDIR, links to all of these are put there too.
#
#	build.sh --name [PATH]
#
# prints what the image of a tree is called (its version, or KERNEL_NAME), or without PATH what
# KERNEL_CONFIG adds to a version's name ("-debug").
#
# Other variables: BACKHOP_CACHE (default ~/.cache/backhop) holds the results, each in a folder
# named by the hash of everything that went into it. BACKHOP_KBUILD_DIR is the folder with the build
# tree, kept so that the next build only compiles what changed (default: in the cache).
# KERNEL_CONFIG: more configuration, as paths of fragments or names of those in config/ ("debug").
# CC is the compiler (gcc). JOBS: how many at once.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
version=${1:-}
outdir=${2:-}
compiler=${CC:-gcc}
jobs=${JOBS:-$(nproc)}
cache=${BACKHOP_CACHE:-$HOME/.cache/backhop}

fail() {
	echo "build.sh: $*" >&2
	exit 1
}

progress() {
	if [ -t 2 ]; then
		printf '\r\033[Kkernel %s: %s' "$version" "$*" >&2
	else
		echo "kernel $version: $*" >&2
	fi
}

# --- names ---

# The version that a tree's top-level Makefile begins with, such as 6.12.117 or 6.13.0-rc3.
tree_version() {
	sed -n -e 's/^VERSION = *//p' -e 's/^PATCHLEVEL = *//p' -e 's/^SUBLEVEL = *//p' \
		-e '/^EXTRAVERSION =/{s/^EXTRAVERSION = *//p;q}' "$1/Makefile" | paste -sd . |
		sed -e 's/\.\(-.*\)\?$/\1/'
}

check_tree() {
	if [ ! -f "$1/Kbuild" ] || [ ! -f "$1/Makefile" ] || [ ! -d "$1/kernel" ]; then
		fail "$1 is no Linux tree: it lacks Kbuild, Makefile or kernel/"
	fi
}

# Paths of the fragments in KERNEL_CONFIG, in its order.
fragments=()
suffix=
for fragment in ${KERNEL_CONFIG:-}; do
	if [[ $fragment != */* ]] && [ ! -f "$fragment" ]; then
		[ -f "$here/config/$fragment.config" ] ||
			fail "KERNEL_CONFIG: there is neither a file $fragment nor" \
				"kernel-lib/config/$fragment.config"
		fragment=$here/config/$fragment.config
	fi
	[ -f "$fragment" ] || fail "KERNEL_CONFIG: there is no file $fragment"
	fragments+=("$(realpath "$fragment")")
	suffix=$suffix-$(basename "$fragment" .config | tr -c 'A-Za-z0-9._\n' _)
done

if [ "$version" = --name ]; then
	if [ -n "${2:-}" ]; then
		check_tree "$2"
		echo "${KERNEL_NAME:-$(tree_version "$2")$suffix}"
	else
		echo "$suffix"
	fi
	exit 0
fi

[[ $version =~ ^[A-Za-z0-9][A-Za-z0-9._+-]*$ ]] || fail "usage: build.sh VERSION [OUTDIR]"
package=linux-source-${version%"$suffix"}
tarball=/usr/src/$package.tar.xz
PATH=$PATH:/usr/sbin:/sbin
for tool in "$compiler" ld make flex bison bc rsync xz objcopy depmod; do
	command -v "$tool" >/dev/null || fail "$tool is missing; install it (see scripts/install-deps)"
done

# --- what goes in, and its hash ---

source_id() {
	if [ -n "${KERNEL_SRC:-}" ]; then
		check_tree "$KERNEL_SRC"
		if [ -e "$KERNEL_SRC/.git" ]; then
			git -C "$KERNEL_SRC" rev-parse --verify -q "HEAD^{tree}"
			git -C "$KERNEL_SRC" diff HEAD --binary
			git -C "$KERNEL_SRC" ls-files -o --exclude-standard -z |
				(cd "$KERNEL_SRC" && xargs -0 -r sha256sum)
		else
			(cd "$KERNEL_SRC" && find . -type f -printf '%P %s %T@\n' | LC_ALL=C sort)
		fi
	else
		[ -f "$tarball" ] || fail "$tarball is missing; install $package, or give a tree with" \
			"make KERNEL=/path/to/linux"
		dpkg-query -W -f '${Package} ${Version}\n' "$package" 2>/dev/null ||
			sha256sum "$tarball"
	fi
}

port_id() {
	(cd "$here" && find arch config tools build.sh -type f -print0 | LC_ALL=C sort -z |
		xargs -0 sha256sum)
	"$compiler" --version | head -n 1
	ld --version | head -n 1
	gdb --version 2>/dev/null | head -n 1 || true
	depmod --version | head -n 1
	echo "$version"
	[ ${#fragments[@]} = 0 ] || cat "${fragments[@]}"
}

source_hash=$(source_id | sha256sum | cut -c 1-16)
key=$( (echo "$source_hash"; port_id) | sha256sum | cut -c 1-16)
result=$cache/kernel/$version-$key

publish() {
	if [ -n "$outdir" ]; then
		mkdir -p "$outdir"
		for file in image image.debug config source source-path; do
			ln -sfn "$result/$file" "$outdir/$file"
		done
	fi
	echo "$result"
	exit 0
}

[ -e "$result/image" ] && publish
mkdir -p "$cache/kernel"

# One build at a time in one build tree; the second finds the result of the first.
build=${BACKHOP_KBUILD_DIR:-$cache/build/$version${KERNEL_SRC:+-$(echo "$KERNEL_SRC" | sha256sum | cut -c 1-8)}}
mkdir -p "$build"
build=$(realpath "$build")
exec 9>"$build/lock"
flock 9
[ -e "$result/image" ] && publish

src=$build/src
obj=$build/obj
log=$build/log
started=$SECONDS
: >"$log"

# --- the source tree, with the port laid over it ---

# Files are compared by their bytes, and those that differ get the time of now: however old the copy
# is that they come from, what depends on them is compiled again, and nothing else.
sync_tree() {
	mkdir -p "$src"
	rsync -rlpc --delete --exclude .git --exclude '*.o' --exclude /.config \
		--exclude /include/config --exclude /include/generated --exclude /arch/backhop \
		--exclude '/arch/*/include/generated' "$1/" "$src/"
}

if [ -n "${KERNEL_SRC:-}" ]; then
	progress "copying $KERNEL_SRC"
	sync_tree "$KERNEL_SRC"
elif [ "$(cat "$build/source-id" 2>/dev/null)" != "$source_hash" ]; then
	progress "unpacking $tarball"
	rm -rf "$build/unpacked"
	mkdir "$build/unpacked"
	tar -C "$build/unpacked" --strip-components=1 -xJf "$tarball"
	if [ -d "$src" ]; then
		sync_tree "$build/unpacked"
		rm -rf "$build/unpacked"
	else
		mv "$build/unpacked" "$src"
	fi
fi
echo "$source_hash" >"$build/source-id"
rsync -rc --delete "$here/arch/backhop/" "$src/arch/backhop/"

# Headers of ours that are found before generic ones of the same name. When there is one more or one
# less, neither make nor ccache sees that what was compiled with another one must be compiled again:
# all that they compare are the files that were read then. So the names are part of each command.
shadowing=$(cd "$src/arch/backhop/include" && find . -name '*.h' | LC_ALL=C sort |
	while read -r header; do [ ! -e "$src/include/$header" ] || echo "$header"; done |
	sha256sum | cut -c 1-8)

# --- configuration ---

# Leaves out the lines of a fragment that are for other kernels ("... # before 6.2").
for_release() {
	awk -v release="$1" '
	function number(version, part) {
		split(version, part, ".")
		return part[1] * 1000 + part[2]
	}
	{ keep = 1 }
	match($0, /[ \t]*# (before|since) [0-9]+\.[0-9]+$/) {
		split(substr($0, RSTART), word)
		keep = (number(release) < number(word[3])) == (word[2] == "before")
		$0 = substr($0, 1, RSTART - 1)
	}
	keep'
}

mkdir -p "$obj"
# Where the build happened must not show in the image, and sources of two kernels have two names.
# With ccache the compiler is given relative paths.
mapped=/usr/src/backhop/linux-$version
flags=
for place in "$src=$mapped" "../src=$mapped" "$obj=$mapped/obj"; do
	flags="$flags -ffile-prefix-map=$place"
done
flags="$flags -DBACKHOP_SHADOWING=0x$shadowing"
cc=$compiler
if command -v ccache >/dev/null; then
	cc="ccache $compiler"
	export CCACHE_DIR=${CCACHE_DIR:-$cache/ccache}
	# What was compiled for one tree is found again for a copy of it somewhere else.
	export CCACHE_BASEDIR=$build CCACHE_NOHASHDIR=1
	# But it doesn't look at the names that paths are given, nor, when it compares what the
	# preprocessor made, at macros.
	echo "$mapped ../src=$mapped $shadowing" >"$build/ccache-key"
	export CCACHE_EXTRAFILES=$build/ccache-key
fi

kernel_make() {
	env -u MAKEFLAGS -u MAKELEVEL LC_ALL=C \
		KBUILD_BUILD_TIMESTAMP='Sat Jan  1 00:00:00 UTC 2000' KBUILD_BUILD_VERSION=1 \
		KBUILD_BUILD_USER=backhop KBUILD_BUILD_HOST=backhop \
		make -C "$src" O="$obj" ARCH=backhop CC="$cc" HOSTCC="$compiler" \
		KCFLAGS="$flags" KAFLAGS="$flags" "$@"
}

failed_build() {
	echo >&2
	grep -E 'error|Error|undefined|warning: option' "$log" | head -n 20 >&2
	fail "kernel $version: $1; the whole output is in $log"
}

release=$(tree_version "$src" | grep -oE '^[0-9]+\.[0-9]+')
cat "$here/config/network.config" "${fragments[@]}" | for_release "$release" >"$build/fragment"

progress "configuring"
if ! cmp -s "$build/fragment" "$build/fragment-done" || [ ! -f "$obj/.config" ]; then
	kernel_make KCONFIG_ALLCONFIG="$build/fragment" allnoconfig >>"$log" 2>&1 ||
		failed_build "the configuration failed"
fi
kernel_make olddefconfig >>"$log" 2>&1 || failed_build "the configuration failed"
# The last word on an option counts, as it does for Kconfig.
while read -r option wanted; do
	got=$(sed -n -e "s/^$option=//p" "$obj/.config")
	[ "${got:-n}" = "$wanted" ] || fail "kernel $version: $option=$wanted was asked for in" \
		"kernel-lib/config, but the kernel's configuration says ${got:-n}; what it depends on" \
		"is missing"
done < <(sed -n -e 's/^# \(CONFIG_[A-Z0-9a-z_]*\) is not set$/\1 n/p' \
	-e 's/^\(CONFIG_[A-Z0-9a-z_]*\)=\(.*\)$/\1 \2/p' "$build/fragment" | tac |
	awk '!seen[$1]++')
cp "$build/fragment" "$build/fragment-done"

# --- compiling and linking ---

count=0
set +e
kernel_make -j"$jobs" vmlinux 2>&1 | while IFS= read -r line; do
	echo "$line" >>"$log"
	[[ $line == *" CC "* ]] || continue
	count=$((count + 1))
	if [ -t 2 ]; then
		progress "compiling, $count files"
	elif [ $((count % 500)) = 0 ]; then
		progress "compiled $count files"
	fi
done
status=${PIPESTATUS[0]}
set -e
[ "$status" = 0 ] || failed_build "the build failed"

# --- the image ---

progress "making the image"
work=$(mktemp -d "$cache/kernel/.new-XXXXXX")
trap 'rm -rf "$work"' EXIT
"$compiler" -O1 -o "$build/postlink" "$here/tools/postlink.c"
cp "$obj/vmlinux" "$work/vmlinux"
"$build/postlink" "$work/vmlinux" "$work/entries"
# All of it, not only the debug sections: gdb takes symbols from this file, and looks for a global
# variable in the copy of the kernel that a frame runs in only if the file says DT_SYMBOLIC in its
# .dynamic section, which --only-keep-debug empties.
objcopy -R .backhop.patchable "$work/vmlinux" "$work/image.debug"
if command -v gdb-add-index >/dev/null; then
	(cd "$work" && gdb-add-index image.debug >>"$log" 2>&1) ||
		fail "gdb-add-index failed; the output is in $log"
fi

# What nodes show in /lib/modules, so that modprobe finds that all modules are there: each file's
# path, its size, and its bytes (see read_files() of image.c).
kernel_release=$(cat "$obj/include/config/kernel.release")
modules=usr/lib/modules/$kernel_release
mkdir -p "$work/root/$modules"
ln -s usr/lib "$work/root/lib"
cp "$obj/modules.builtin" "$obj/modules.builtin.modinfo" "$work/root/$modules"
: >"$work/root/$modules/modules.order"
depmod -b "$work/root" "$kernel_release" >>"$log" 2>&1 || failed_build "depmod failed"
(cd "$work/root" && for file in "$modules"/modules.*; do
	printf '/%s\n%d\n' "$file" "$(stat -c %s "$file")"
	cat "$file"
done) >"$work/files"

objcopy --strip-all -R .backhop.patchable "$work/vmlinux" "$work/stripped"
(cd "$work" && objcopy --add-section .backhop.entries=entries --add-section .backhop.files=files \
	--add-gnu-debuglink=image.debug stripped image)
chmod 644 "$work/image" "$work/image.debug"
cp "$obj/.config" "$work/config"
rm -r "$work/vmlinux" "$work/entries" "$work/files" "$work/root" "$work/stripped"

progress "keeping the sources"
# The files that the compiler read, by the dependency files of Kbuild; see above on relative paths.
find "$obj" -name '.*.o.cmd' -print0 | xargs -0 cat |
	grep -oE "($src|\.\./src)/[^ )\\\\]+\\.[chS]" | sed -E "s#^($src|\.\./src)/##" |
	LC_ALL=C sort -u >"$build/files"
mkdir -p "$work/source/obj"
rsync -a --files-from="$build/files" --ignore-missing-args "$src/" "$work/source/"
rsync -am --include='*/' --include='/include/generated/**.h' \
	--include='/arch/backhop/include/generated/**.h' --exclude='*' "$obj/" "$work/source/obj/"
echo "$mapped" >"$work/source-path"

chmod 755 "$work"
mv -T "$work" "$result" 2>/dev/null || [ -e "$result/image" ] || fail "$result can't be written"
progress "built in $((SECONDS - started)) s"
[ ! -t 2 ] || echo >&2
publish
