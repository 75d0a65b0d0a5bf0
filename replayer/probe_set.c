/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The tracer's side of probes: which breakpoints get one, their stubs, and what they tell. See
 * probe.h. Called by search.c and copy_run.c.
 *
 * The stubs of a node lie in one page beside it, near enough for a 32-bit jump. The page begins
 * with two words: the stack pointer that the running stub has saved, and where bh_probe_gate() is.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "replayer/copy.h"
#include "replayer/copy_internal.h"
#include "replayer/probe.h"

#define PAGE	   4096u
#define SLOT_RSP   0u
#define SLOT_GATE  8u
#define STUBS_AT   64u
#define STUB_BYTES 64u
#define STUBS_MAX  ((PAGE - STUBS_AT) / STUB_BYTES)
#define TRAP_AT	   48u /* in a stub: behind its int3 */
#define JUMP	   0xe9

/* The stubs of one node. */
struct page {
	uint64_t address, base;
	uint8_t bytes[PAGE];
	uint32_t count;
};

struct bh_probe_set {
	struct bh_probe_table table; /* as it is when a piece of the search begins */
	uint32_t count;
	uint32_t code_count, byte_count;
	struct page *pages;
	size_t page_count;
	uint64_t stubs[BH_PROBES_MAX]; /* addresses */
	uint64_t serial;	       /* of what it holds */
};

struct bh_error *bh_probe_set_create(struct bh_probe_set **set_ret)
{
	*set_ret = calloc(1, sizeof(**set_ret));
	return *set_ret ? NULL : bh_error_new(BH_ERR_NOMEM, "out of memory");
}

void bh_probe_set_destroy(struct bh_probe_set *set)
{
	if (!set)
		return;
	free(set->pages);
	free(set);
}

int bh_probe_set_is_empty(const struct bh_probe_set *set)
{
	return !set->count;
}

/* --- stubs --- */

struct emitter {
	struct page *page;
	uint32_t at;
};

static void emit(struct emitter *emitter, const void *bytes, uint32_t count)
{
	memcpy(emitter->page->bytes + emitter->at, bytes, count);
	emitter->at += count;
}

/* An opcode followed by the 32-bit distance to target. */
static void emit_relative(struct emitter *emitter, const char *opcode, uint32_t count,
			  uint64_t target)
{
	emit(emitter, opcode, count);
	int32_t distance = (int32_t)(target - (emitter->page->address + emitter->at + 4));
	emit(emitter, &distance, 4);
}

static void emit_stub(struct page *page, uint32_t number, uint64_t address)
{
	struct emitter emitter = {page, STUBS_AT + page->count * STUB_BYTES};
	uint64_t stack = (uintptr_t)bh_probe_stack + BH_PROBE_STACK;

	emit_relative(&emitter, "\x48\x89\x25", 3, page->address + SLOT_RSP); /* mov %rsp, slot */
	emit(&emitter, "\x48\xbc", 2);					      /* mov $, %rsp */
	emit(&emitter, &stack, 8);
	emit(&emitter, "\x68", 1); /* push $number */
	emit(&emitter, &number, 4);
	emit_relative(&emitter, "\xff\x15", 2, page->address + SLOT_GATE); /* call *gate */
	emit_relative(&emitter, "\x48\x8b\x25", 3, page->address + SLOT_RSP);
	emit_relative(&emitter, "\xe9", 1, address + BH_ENTRY_BYTES);
	/* BH_PROBE_STOP behind the call. */
	emit_relative(&emitter, "\x48\x8b\x25", 3, page->address + SLOT_RSP);
	emit(&emitter, "\xcc", 1);
}

/* --- filling --- */

static struct page *page_of(struct bh_probe_set *set, const struct bh_tick_region *region)
{
	uint64_t gate = (uintptr_t)bh_probe_gate;

	for (size_t i = 0; i < set->page_count; i++)
		if (set->pages[i].base == region->base)
			return &set->pages[i];
	struct page *grown = realloc(set->pages, (set->page_count + 1) * sizeof(*grown));
	if (!grown)
		return NULL;
	set->pages = grown;
	struct page *page = &grown[set->page_count++];
	memset(page, 0, sizeof(*page));
	page->base = region->base;
	page->address = region->base + bh_tick_text_probe_page(region->text);
	memcpy(page->bytes + SLOT_GATE, &gate, sizeof(gate));
	return page;
}

/* Copies a condition into the table. Returns 0 if it has no room or can't be told there. */
static int add_condition(struct bh_probe_set *set, struct bh_probe *probe,
			 const struct bh_probe_condition *condition)
{
	struct bh_probe_table *table = &set->table;
	uint32_t byte_count = set->byte_count;

	if (set->code_count + condition->count > BH_PROBE_CODES_MAX ||
	    condition->register_count > BH_PROBE_REGISTERS)
		return 0;
	for (size_t i = 0; i < condition->count; i++) {
		const struct bh_probe_code *code = &condition->codes[i];
		if (code->length > BH_PROBE_BYTES_MAX - byte_count)
			return 0;
		table->codes[set->code_count + i] =
			(struct bh_probe_piece){byte_count, (uint32_t)code->length};
		memcpy(table->bytes + byte_count, code->bytes, code->length);
		byte_count += (uint32_t)code->length;
	}
	memset(table->registers, BH_PROBE_UNKNOWN, sizeof(table->registers));
	if (condition->register_count)
		memcpy(table->registers, condition->registers, condition->register_count);
	probe->first_code = set->code_count;
	probe->code_count = (uint32_t)condition->count;
	probe->node = condition->node;
	probe->has_condition = 1;
	set->code_count += (uint32_t)condition->count;
	set->byte_count = byte_count;
	return 1;
}

static struct bh_error *add_probe(struct bh_probe_set *set, const struct bh_space *space,
				  uint64_t address, const struct bh_probe_condition *condition)
{
	const struct bh_tick_region *region = bh_space_region(space, address);
	struct bh_probe *probe = &set->table.probes[set->count];

	if (set->count == BH_PROBES_MAX || !region ||
	    !bh_tick_text_is_entry(region->text, address - region->base))
		return NULL;
	struct page *page = page_of(set, region);
	if (!page)
		return bh_error_new(BH_ERR_NOMEM, "out of memory");
	*probe = (struct bh_probe){.address = address};
	if (page->count == STUBS_MAX || !add_condition(set, probe, condition))
		return NULL;
	set->stubs[set->count] = page->address + STUBS_AT + page->count * STUB_BYTES;
	emit_stub(page, set->count, address);
	page->count++;
	set->count++;
	return NULL;
}

struct bh_error *bh_probe_set_fill(struct bh_probe_set *set, const struct bh_space *space,
				   const uint64_t *addresses,
				   const struct bh_probe_condition *const *conditions, size_t count,
				   int wants_last)
{
	set->count = set->code_count = set->byte_count = 0;
	set->page_count = 0;
	set->serial++;
	set->table.wants_last = (uint64_t)wants_last;
	for (size_t i = 0; conditions && i < count; i++) {
		/* One that always holds is as good as its int3, unless there are many hits. */
		if (conditions[i] && (wants_last || conditions[i]->count))
			BH_TRY(add_probe(set, space, addresses[i], conditions[i]));
	}
	return NULL;
}

/* --- in a copy --- */

static struct bh_error *cannot_write(void)
{
	return bh_error_new(BH_ERR_INTERNAL, "cannot write to the replayed process");
}

static struct bh_error *map_pages(const struct bh_probe_set *set, struct bh_copy *copy)
{
	struct bh_map_request requests[BH_MAP_INBOX];
	size_t count = 0;

	for (size_t i = 0; i < set->page_count; i++) {
		requests[count++] = (struct bh_map_request){
			.address = set->pages[i].address,
			.size = PAGE,
			.protection = PROT_READ | PROT_WRITE | PROT_EXEC,
			.flags = MAP_PRIVATE | MAP_FIXED | MAP_ANONYMOUS,
			.fd = -1,
		};
		if (count == BH_MAP_INBOX || i + 1 == set->page_count) {
			BH_TRY(bh_copy_map(copy, requests, count));
			count = 0;
		}
	}
	for (size_t i = 0; i < set->page_count; i++)
		if (bh_tracee_write(copy->tracee, set->pages[i].address, set->pages[i].bytes, PAGE))
			return cannot_write();
	return NULL;
}

struct bh_error *bh_probe_set_install(struct bh_probe_set *set, struct bh_copy *copy)
{
	const struct bh_probe_table *table = &set->table;
	size_t head = offsetof(struct bh_probe_table, probes) + set->count * sizeof(*table->probes);
	size_t tail = offsetof(struct bh_probe_table, codes);
	size_t end = offsetof(struct bh_probe_table, bytes) + set->byte_count;
	uintptr_t there = (uintptr_t)&bh_probe_table;

	if (!set->count)
		return NULL;
	if (copy->probe_serial != set->serial) {
		BH_TRY(map_pages(set, copy));
		if (bh_tracee_write(copy->tracee, there + tail, (const char *)table + tail,
				    end - tail))
			return cannot_write();
		copy->probe_serial = set->serial;
	}
	return bh_tracee_write(copy->tracee, there, table, head) ? cannot_write() : NULL;
}

struct bh_error *bh_probe_set_arm(const struct bh_probe_set *set, struct bh_copy *copy)
{
	for (uint32_t i = 0; i < set->count; i++) {
		uint64_t address = set->table.probes[i].address;
		int32_t distance = (int32_t)(set->stubs[i] - (address + BH_ENTRY_BYTES));
		uint8_t jump[BH_ENTRY_BYTES] = {JUMP};
		memcpy(jump + 1, &distance, sizeof(distance));
		if (bh_tracee_poke_bytes(copy->tracee, address, jump, sizeof(jump)))
			return bh_error_new(BH_ERR_INTERNAL, "cannot plant a breakpoint at %#llx",
					    (unsigned long long)address);
	}
	return NULL;
}

/* What is planted at an entry is there again. Nothing to do for a process that has ended. */
void bh_probe_set_disarm(const struct bh_probe_set *set, struct bh_copy *copy)
{
	uint8_t bytes[BH_ENTRY_BYTES];

	memcpy(bytes, bh_entry_nop, sizeof(bytes));
	for (uint32_t i = 0; i < set->count; i++) {
		uint64_t address = set->table.probes[i].address;
		bytes[0] = bh_copy_is_planted(copy, address) ? BH_INT3 : bh_entry_nop[0];
		bh_tracee_poke_bytes(copy->tracee, address, bytes, sizeof(bytes));
	}
}

uint64_t bh_probe_set_stopped_at(const struct bh_probe_set *set, uint64_t pc)
{
	for (uint32_t i = 0; i < set->count; i++)
		if (pc == set->stubs[i] + TRAP_AT)
			return set->table.probes[i].address;
	return 0;
}

uint64_t bh_probe_set_visits(const struct bh_probe_set *set, struct bh_copy *copy, uint64_t address)
{
	struct bh_probe probe = {0};

	for (uint32_t i = 0; i < set->count; i++) {
		if (set->table.probes[i].address != address)
			continue;
		bh_tracee_read(copy->tracee, (uintptr_t)&bh_probe_table.probes[i], &probe,
			       sizeof(probe));
		return probe.visits;
	}
	return 0;
}

int bh_probe_set_take_last(const struct bh_probe_set *set, struct bh_copy *copy,
			   uint64_t *address_ret, uint64_t *event_ret, uint64_t *visits_ret)
{
	const uint64_t none = 0;
	uint64_t last[3] = {0};
	uintptr_t there = (uintptr_t)&bh_probe_table.last_number;

	if (!set->count || !set->table.wants_last ||
	    bh_tracee_read(copy->tracee, there, last, sizeof(last)) != sizeof(last) || !last[0] ||
	    last[0] > set->count)
		return 0;
	bh_tracee_write(copy->tracee, there, &none, sizeof(none));
	*address_ret = set->table.probes[last[0] - 1].address;
	*event_ret = last[1];
	*visits_ret = last[2];
	return 1;
}
