/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Layout of the image. Two segments: what is never written (shared between nodes through the page
 * cache) and the rest (private to a node). Address 0 is the ELF header, so that the whole image
 * is the first part of a node's memory; asm/page.h relies on it.
 */
#define RUNTIME_DISCARD_EXIT

#include <asm-generic/vmlinux.lds.h>
#include <asm/cache.h>
#include <asm/page.h>
#include <asm/thread_info.h>
#include "hot.lds.h"

OUTPUT_FORMAT("elf64-x86-64")
OUTPUT_ARCH(i386:x86-64)
ENTRY(bh_image_entry)

jiffies = jiffies_64;

PHDRS
{
	shared PT_LOAD FILEHDR PHDRS FLAGS(5);	/* read, execute */
	private PT_LOAD FLAGS(6);		/* read, write */
	dynamic PT_DYNAMIC FLAGS(6);
	note PT_NOTE FLAGS(4);
}

SECTIONS
{
	/*
	 * The generator that takes random bits from the jitter of execution time: there is none, and
	 * since 6.7 its start-up test (crypto/jitterentropy.c) waits for some without end. Here, as
	 * the first section that matches is the one that counts.
	 */
	/DISCARD/ : { *jitterentropy-kcapi.o(.initcall*) }
	/* /sys/kernel/slab: thousands of files, a tenth of a node's memory and of its boot. */
	/DISCARD/ : { *mm/slub.o(.initcall*) }

	bh_image_start = .;
	. = SIZEOF_HEADERS;

	.note.gnu.build-id : { *(.note.gnu.build-id) } :shared :note
	.dynsym : { *(.dynsym) } :shared
	.dynstr : { *(.dynstr) }
	.hash : { *(.hash) }
	.gnu.hash : { *(.gnu.hash) }
	.relr.dyn : { *(.relr.dyn) }
	.rela.dyn : { *(.rela.*) }

	/* Constants without an address in them; the rest of them must be relocated, below. */
	.rodata.shared : ALIGN(64) {
		EXCLUDE_FILE(*kallsyms*.o) *(.rodata .rodata.* .rodata..*)
		*(.rodata1)
	}
	/* Names of drop reasons, for the host: struct bh_drop_reason of asm/host_abi.h. */
	.backhop.reasons : { KEEP(*(.backhop.reasons)) }

	. = ALIGN(PAGE_SIZE);
	.text : {
		_stext = .;
		_text = .;
		HEAD_TEXT
		HOT_TEXT
		TEXT_TEXT
		*(.text.[0-9a-zA-Z_]*)
		SCHED_TEXT
		LOCK_TEXT
#ifdef CPUIDLE_TEXT
		CPUIDLE_TEXT
#endif
		KPROBES_TEXT
		IRQENTRY_TEXT
		SOFTIRQENTRY_TEXT
		_etext = .;
	}
	.init.text : {
		_sinittext = .;
		INIT_TEXT
		*(.text.startup.*)
		_einittext = .;
		*(.exit.text)
		*(.text.exit)
	}

	. = ALIGN(PAGE_SIZE);
	/* lockdep takes a lock for a static one if it lies between _sdata and _edata. Static locks
	 * with a name hold its address. */
	_sdata = .;
	/* Whatever holds an address is relocated at start, so it is kept together: the pages of the
	 * other data stay shared until they are written. */
	.data.relative : {
		*(.data.rel.ro .data.rel.ro.* .data.rel.local .data.rel.local.* .data.rel .data.rel.*)
		*(.got .got.plt .igot.plt)
		/* Behind the text, whose addresses the table of symbols must not move. */
		*kallsyms*.o(.rodata .rodata.*)
	} :private
	RO_DATA(8)
	/* Where string constants are, which lockdep takes for static, too, and kstrdup_const() need
	 * not copy. What else the macro above puts in between has addresses in it. */
	__start_rodata = ADDR(.rodata.shared);
	__end_rodata = ADDR(.rodata.shared) + SIZEOF(.rodata.shared);
	EXCEPTION_TABLE(8)

	RW_DATA(L1_CACHE_BYTES, PAGE_SIZE, THREAD_SIZE)
	.dynamic : { *(.dynamic) } :private :dynamic
	_edata = .;

	. = ALIGN(PAGE_SIZE);
	__init_begin = .;
	INIT_DATA_SECTION(16) :private
	.exit.data : { EXIT_DATA }
	PERCPU_SECTION(L1_CACHE_BYTES)
	. = ALIGN(PAGE_SIZE);
	__init_end = .;

	BSS_SECTION(PAGE_SIZE, PAGE_SIZE, PAGE_SIZE)
	. = ALIGN(PAGE_SIZE);
	_end = .;

	STABS_DEBUG
	DWARF_DEBUG
	ELF_DETAILS

	/* Where every function's five bytes of NOP lie: for the post-link step, not for the image. */
	.backhop.patchable 0 (INFO) : { *(__patchable_function_entries) }

	DISCARDS
	/DISCARD/ : {
		*(.eh_frame .eh_frame_hdr .sframe)
		*(.interp)
		*(.note.gnu.property)
	}
}
