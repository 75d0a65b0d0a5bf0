# SPDX-License-Identifier: GPL-2.0-or-later
#
# Builds, tests and installs Backhop. `make help` lists the targets.
#
# What lands where, and where the program looks for it (first the build folder, then the installed
# place, both relative to its own executable):
#
#   $(BUILD)/backhop                        $(PREFIX)/bin/backhop
#   $(BUILD)/kernel-VERSION/image[.debug]   $(PREFIX)/lib/backhop/kernel-VERSION/image[.debug]
#   $(BUILD)/gdb-plugin/                    $(PREFIX)/lib/backhop/gdb-plugin/
#
# While several people work in one checkout: `make BUILD=/tmp/mine backhop` builds elsewhere, and
# `make LAYERS='common traces' unit-trace` builds and runs one unit test with only these layers.

BUILD   ?= build
PREFIX  ?= /usr/local
DESTDIR ?=
KERNELS ?= 6.1 6.12
JOBS    ?= $(shell nproc)

# Which kernel images: those of the Debian packages linux-source-VERSION in KERNELS, or instead of
# them that of a tree of yours, `make KERNEL=/path/to/linux`, which is called as its version says
# ("6.13.0-rc3") or KERNEL_NAME. KERNEL_CONFIG adds configuration: paths of fragments, or names of
# those in kernel-lib/config; the images' names end in the fragments' ("6.1-debug").
KERNEL_CONFIG ?=
KERNEL_NAME   ?=
export KERNEL_CONFIG KERNEL_NAME
kernel-name = KERNEL_CONFIG="$(KERNEL_CONFIG)" KERNEL_NAME=$(KERNEL_NAME) kernel-lib/build.sh --name
ifeq ($(origin KERNEL),command line)
override KERNEL := $(patsubst ~/%,$(HOME)/%,$(KERNEL))
KERNEL_NAMES := $(shell $(kernel-name) $(KERNEL))
else
KERNEL :=
KERNEL_NAMES := $(KERNELS)
ifneq ($(KERNEL_CONFIG),)
KERNEL_NAMES := $(addsuffix $(or $(shell $(kernel-name)),!),$(KERNELS))
endif
endif
ifneq ($(or $(findstring !,$(KERNEL_NAMES)),$(if $(KERNEL_NAMES),,!)),)
$(error there is no such kernel, see above)
endif

# V=1 shows the commands.
Q      = $(if $(V),,@)
CC     = gcc
LAYERS = common kernel-lib posix simulator traces snapshots recorder replayer

# One range of host code may make system calls (Syscall User Dispatch takes exactly one), so the
# program is static, and it is built without AVX, shadow stacks or omitted frame pointers, so that
# entering it from a program's system call is cheap and backtraces run through it.
CFLAGS   = -O2 -g -std=gnu11 -Wall -Wextra -Wno-unused-parameter $(EXTRA_CFLAGS)
CFLAGS  += -fPIE -fno-omit-frame-pointer -mno-avx -fcf-protection=none
CPPFLAGS = -I. -I$(BUILD)/gen -D_GNU_SOURCE
LDFLAGS  = -static-pie -Wl,-z,noexecstack
LDLIBS   = -lyaml -ljansson -lxxhash -lcapstone -lzstd -lseccomp -lpcap -ldw -lelf -lz -lbz2 -llzma

LAYER_SOURCES = $(foreach layer,$(LAYERS),$(wildcard $(layer)/*.c $(layer)/*.S))
# What only scenarios that are C programs have.
LIBRARY_SOURCES = cli/scenario_main.c
CLI_SOURCES   = $(filter-out $(LIBRARY_SOURCES),$(wildcard cli/*.c cli/*.S))
UNIT_SOURCES  = $(wildcard tests/unit/test_*.c)
object        = $(addprefix $(BUILD)/obj/,$(addsuffix .o,$(1)))
LAYER_OBJECTS = $(call object,$(LAYER_SOURCES))
CLI_OBJECTS   = $(call object,$(CLI_SOURCES))
UNIT_TESTS    = $(patsubst tests/unit/%.c,$(BUILD)/unit/%,$(UNIT_SOURCES))
# Programs that tests and benchmarks run on a node: ordinary dynamic executables.
NODE_PROGRAMS = $(patsubst tests/programs/%.c,$(BUILD)/programs/%,$(wildcard tests/programs/*.c))
NODE_PROGRAMS += $(addprefix $(BUILD)/programs/,threads-no-pie threads-static-pie signals-no-pie \
	signals-static-pie abi-no-pie)
KERNEL_DIRS   = $(addprefix $(BUILD)/kernel-,$(KERNEL_NAMES))

.DEFAULT_GOAL = all
.DELETE_ON_ERROR:
.SECONDARY:
.PHONY: all backhop kernels deps demo test test-determinism test-debug \
	unit lint format bench install clean help FORCE

all: backhop kernels $(BUILD)/gdb-plugin $(BUILD)/gdb-plugin.compiled $(BUILD)/libbackhop.a $(BUILD)/backhop.pc ## the program, the kernel images, the gdb plugin, the library for scenarios in C

backhop: $(BUILD)/backhop ## the program alone

$(BUILD)/backhop: $(CLI_OBJECTS) $(LAYER_OBJECTS)
	@echo "  LD $@"
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)

# The names of system calls, by number. What the machine's headers lack is as in Linux 6.12.
$(BUILD)/gen/posix/syscall_names.h: Makefile
	@mkdir -p $(@D)
	$(Q)(echo '#include <asm/unistd_64.h>' | $(CC) -E -dM - | \
		sed -n 's/^#define __NR_\([a-z0-9_]*\) \([0-9]*\)$$/[\2] = "\1",/p'; \
		printf '[%d] = "%s",\n' 451 cachestat 452 fchmodat2 453 map_shadow_stack \
		454 futex_wake 455 futex_wait 456 futex_requeue 457 statmount 458 listmount \
		459 lsm_get_self_attr 460 lsm_set_self_attr 461 lsm_list_modules 462 mseal) | \
		sort -u -t= -k1,1 >$@

$(BUILD)/obj/posix/strace.c.o: $(BUILD)/gen/posix/syscall_names.h

# They run in the middle of a replayed kernel, where vector registers and the thread's own memory are
# the program's.
$(BUILD)/obj/replayer/agent.c.o $(BUILD)/obj/replayer/probe.c.o: \
	CFLAGS += -mgeneral-regs-only -fno-stack-protector -fno-tree-loop-distribute-patterns

$(BUILD)/obj/%.o: %
	@mkdir -p $(@D)
	@echo "  CC $<"
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

# Scenarios that are C programs are linked with the whole of it: see docs/c-interface.md. Where the
# kernel images are is the one thing that installing changes (bh_library_home).
LIBRARY_OBJECTS = $(filter-out %/cli/main.c.o,$(CLI_OBJECTS)) $(LAYER_OBJECTS) \
	$(call object,$(LIBRARY_SOURCES))
home_object = printf 'const char bh_library_home[] = "%s";\n' "$(1)" | \
	$(CC) $(CFLAGS) -x c -c -o $(2) -

$(BUILD)/libbackhop.a: $(LIBRARY_OBJECTS)
	@echo "  AR $@"
	$(Q)$(call home_object,$(abspath $(BUILD)),$(BUILD)/obj/home.o)
	$(Q)rm -f $@ && $(AR) rcs $@ $^ $(BUILD)/obj/home.o

# $(call pkgconfig,FOLDER OF INCLUDE FILES,FOLDER OF THE LIBRARY)
pkgconfig = sed -e 's,@INCLUDE@,$(1),' -e 's,@LIB@,$(2),' -e 's,@LIBS@,$(LDLIBS),' backhop.pc.in

$(BUILD)/backhop.pc: backhop.pc.in Makefile
	@mkdir -p $(@D)
	$(Q)$(call pkgconfig,$(abspath include),$(abspath $(BUILD))) >$@

kernels: $(KERNEL_DIRS)

# build.sh knows what an image depends on: it takes the image from its cache (named by the hash of
# all its inputs) or builds it there, and links it here. Asking costs well under a second.
$(BUILD)/kernel-%: FORCE
	@env -u MAKEFLAGS -u MAKELEVEL KERNEL_SRC="$(if $(KERNEL),$(abspath $(KERNEL)))" \
		kernel-lib/build.sh $* $(abspath $@) >/dev/null

$(BUILD)/gdb-plugin: FORCE
	@mkdir -p $(BUILD)
	@ln -sfn $(abspath gdb-plugin) $@

# gdb loads the plugin twice as fast if it is compiled, and compiles for its own Python only. What is
# compiled says by a hash what it was made of, and is left alone when that changes. Without gdb, or
# where one can't write, it is loaded from its sources.
compile_plugin = gdb -nx -batch -ex "python import compileall, py_compile; \
	compileall.compile_dir('$(1)', quiet=1, \
		invalidation_mode=py_compile.PycInvalidationMode.CHECKED_HASH)" >/dev/null 2>&1 || true

$(BUILD)/gdb-plugin.compiled: $(wildcard gdb-plugin/backhop/*.py)
	@mkdir -p $(BUILD)
	@$(call compile_plugin,gdb-plugin)
	@touch $@

$(BUILD)/unit/%: $(BUILD)/obj/tests/unit/%.c.o $(LAYER_OBJECTS)
	@mkdir -p $(@D)
	@echo "  LD $@"
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)

unit: $(UNIT_TESTS)

unit-%: $(BUILD)/unit/test_%
	$<

build_program = @mkdir -p $(@D) && echo "  CC $<" && $(CC) -I. -O2 -g -Wall -Wextra -o $@ $<

$(BUILD)/programs/%: tests/programs/%.c tests/programs/check.h
	$(build_program)

$(BUILD)/programs/%-static-pie: tests/programs/%.c tests/programs/check.h
	$(build_program) -static-pie

$(BUILD)/programs/%-no-pie: tests/programs/%.c tests/programs/check.h
	$(build_program) -no-pie

$(BUILD)/unit/test_posix: | $(NODE_PROGRAMS)

deps: ## installs the Debian packages that are missing
	@KERNELS="$(if $(KERNEL),,$(KERNELS))" scripts/install-deps

# The demo's nodes are all 6.1.
demo: ## records a failing ping, then walks back from the loss to its sender in gdb
	@KERNELS=6.1 scripts/install-deps
	@$(MAKE) --no-print-directory -j$(JOBS) all KERNELS=6.1
	@DEMO=$(DEMO) scripts/demo $(BUILD)

test: ## builds all and runs every test
	@KERNELS="$(if $(KERNEL),,$(KERNELS))" scripts/install-deps test
	@$(MAKE) --no-print-directory -j$(JOBS) all unit $(NODE_PROGRAMS)
	$(if $(TESTS)$(TEST_KERNEL),,@SOURCE=$(CURDIR) BUILD=$(abspath $(BUILD)) tests/regressions/build-kernel >/dev/null || true)
	@BUILD=$(BUILD) tests/run $(TEST_KERNEL) $(TESTS)

test-determinism: ## every scenario of the tests again: busy, elsewhere, on an old processor, under gdb
	@KERNELS="$(if $(KERNEL),,$(KERNELS))" scripts/install-deps test
	@$(MAKE) --no-print-directory -j$(JOBS) all $(NODE_PROGRAMS)
	@BUILD=$(BUILD) tests/run --again $(TEST_KERNEL) $(TESTS)

test-debug: ## every test on each version with lockdep and the kernel's other checks
	@KERNELS="$(KERNELS)" scripts/install-deps test
	@$(MAKE) --no-print-directory -j$(JOBS) all unit $(NODE_PROGRAMS) KERNEL_CONFIG=debug
	@status=0; for version in $(KERNELS); do \
		BUILD=$(BUILD) tests/run --kernel $$version-debug $(TESTS) || status=1; \
	done; exit $$status

# A tree or a configuration of yours takes the place of the kernels that tests name.
TEST_KERNEL = $(if $(KERNEL)$(KERNEL_CONFIG),--kernel $(firstword $(KERNEL_NAMES)))

lint: deps $(BUILD)/gen/posix/syscall_names.h ## format, include direction, warnings, shell and Python checks, hygiene
	@BUILD=$(BUILD) scripts/lint

format: ## reformats the C files as lint wants them
	find $(LAYERS) cli include examples tests bench -name '*.[ch]' -exec clang-format -i {} +

bench: ## every benchmark, one JSON object a line
	@KERNELS="$(KERNELS)" scripts/install-deps bench
	@$(MAKE) --no-print-directory -j$(JOBS) all
	@BUILD=$(BUILD) bench/run all

LIBDIR = $(DESTDIR)$(PREFIX)/lib/backhop
SHARE  = $(DESTDIR)$(PREFIX)/share

install: all ## installs under PREFIX (default /usr/local), below DESTDIR
	install -D -m 755 $(BUILD)/backhop $(DESTDIR)$(PREFIX)/bin/backhop
	for version in $(KERNEL_NAMES); do \
		rm -rf $(LIBDIR)/kernel-$$version && mkdir -p $(LIBDIR) && \
		cp -rL --preserve=timestamps $(BUILD)/kernel-$$version $(LIBDIR)/ || exit 1; done
	cd gdb-plugin && find . -name '*.py' -exec install -D -m 644 {} $(abspath $(LIBDIR))/gdb-plugin/{} \;
	@$(call compile_plugin,$(abspath $(LIBDIR))/gdb-plugin)
	for page in docs/man/*.1; do install -D -m 644 $$page $(SHARE)/man/man1/$${page##*/} || exit 1; done
	install -D -m 644 completion/backhop.bash $(SHARE)/bash-completion/completions/backhop
	install -D -m 644 docs/scenario.schema.json $(SHARE)/backhop/scenario.schema.json
	for header in include/backhop/*.h; do \
		install -D -m 644 $$header $(DESTDIR)$(PREFIX)/$$header || exit 1; done
	install -D -m 644 $(BUILD)/libbackhop.a $(DESTDIR)$(PREFIX)/lib/libbackhop.a
	mkdir -p $(BUILD)/home && $(call home_object,$(PREFIX)/lib/backhop,$(BUILD)/home/home.o) && \
		$(AR) r $(DESTDIR)$(PREFIX)/lib/libbackhop.a $(BUILD)/home/home.o && rm -r $(BUILD)/home
	mkdir -p $(DESTDIR)$(PREFIX)/lib/pkgconfig
	$(call pkgconfig,$(PREFIX)/include,$(PREFIX)/lib) >$(DESTDIR)$(PREFIX)/lib/pkgconfig/backhop.pc

clean: ## removes the build folder; kernel images stay in their cache
	rm -rf $(BUILD) gdb-plugin/backhop/__pycache__

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 24

FORCE:

-include $(LAYER_OBJECTS:.o=.d) $(CLI_OBJECTS:.o=.d) $(patsubst %,$(BUILD)/obj/%.d,$(UNIT_SOURCES))
