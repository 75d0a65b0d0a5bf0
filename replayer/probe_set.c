/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The tracer's side of probes: which breakpoints get one, their stubs, and what they tell. See
 * probe.h. Called by search.c and copy_run.c.
 *
 * The stubs of a node lie in pages beside it, near enough for a 32-bit jump. Each page begins with
 * three words: the stack pointer that the running stub has saved, where bh_probe_gate() is, and
 * what a displaced call calls.
 *
 * Inside a function the jump replaces instructions, which the stub has displaced copies of
 * (displace.h), where code_map.h says that nobody jumps behind the jump's first byte. Nor does a
 * task sleep there: it would hold an address behind a call, and a window has none but at its end.
 * So only the program counter may lie in a window when the jumps are written, and then it is sent
 * to the displaced copy (bh_probe_set_displaced()).
 *
 * And nothing ever stops in the displaced code, where positions would have no meaning: jumps are
 * there only while a copy runs freely, without debug registers, single steps or counted ticks; the
 * gate and other breakpoints are elsewhere. A signal may come up there: bh_probe_set_origin() tells
 * from which instruction it is. When the poll function wants to stop, the copy may be held
 * anywhere, but then it is only left.
 *
 * A breakpoint for which there is no probe has its int3, and at least its instruction displaced, so
 * that going on from it takes no single step, which costs several times what the stop does.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "replayer/code_map.h"
#include "replayer/copy.h"
#include "replayer/copy_internal.h"
#include "replayer/displace.h"
#include "replayer/probe.h"
#include "simulator/gate.h"

#define PAGE	     4096u
#define SLOT_RSP     0u
#define SLOT_GATE    8u
#define SLOT_CALL    16u
#define STUBS_AT     64u
#define STUB_BYTES   128u
#define STUBS_MAX    ((PAGE - STUBS_AT) / STUB_BYTES)
#define TRAP_AT	     48u /* in a stub: behind its int3 */
#define DISPLACED_AT 48u
#define STUBS	     512u
#define NO_PROBE     UINT32_MAX
#define JUMP	     0xe9

struct page {
	uint64_t address, base;
	uint8_t bytes[PAGE];
	uint32_t count;
};

struct stub {
	uint64_t at;		   /* its address */
	struct bh_displaced moved; /* no instruction at an entry: the NOP need not be done */
	uint32_t number;	   /* of its probe; NO_PROBE: there is an int3 */
	uint8_t original[BH_JUMP_BYTES];
};

struct bh_probe_set {
	struct bh_probe_table table; /* as it is when a piece of the search begins */
	uint32_t count;
	uint32_t code_count, byte_count;
	struct page *pages;
	size_t page_count;
	struct stub stubs[STUBS]; /* ascending by address of what they stand for */
	uint32_t stub_count;
	uint64_t serial; /* of what it holds */
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
	return !set->stub_count;
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

/* Saves the registers, asks, and goes on with the displaced code or stops. */
static void emit_question(struct page *page, uint32_t at, uint32_t number)
{
	struct emitter emitter = {page, at};
	uint64_t stack = (uintptr_t)bh_probe_stack + BH_PROBE_STACK;

	emit_relative(&emitter, "\x48\x89\x25", 3, page->address + SLOT_RSP); /* mov %rsp, slot */
	emit(&emitter, "\x48\xbc", 2);					      /* mov $, %rsp */
	emit(&emitter, &stack, 8);
	emit(&emitter, "\x68", 1); /* push $number */
	emit(&emitter, &number, 4);
	emit_relative(&emitter, "\xff\x15", 2, page->address + SLOT_GATE); /* call *gate */
	emit_relative(&emitter, "\x48\x8b\x25", 3, page->address + SLOT_RSP);
	emit_relative(&emitter, "\xe9", 1, page->address + at + DISPLACED_AT);
	/* BH_PROBE_STOP behind the call. */
	emit_relative(&emitter, "\x48\x8b\x25", 3, page->address + SLOT_RSP);
	emit(&emitter, "\xcc", 1);
}

/* --- filling --- */

/* A page of the region with room for another stub; NULL if there is none, or no memory. */
static struct page *page_of(struct bh_probe_set *set, const struct bh_tick_region *region)
{
	uint64_t gate = (uintptr_t)bh_probe_gate;
	uint64_t of_region = 0;

	for (size_t i = 0; i < set->page_count; i++) {
		if (set->pages[i].base != region->base)
			continue;
		if (set->pages[i].count < STUBS_MAX)
			return &set->pages[i];
		of_region++;
	}
	if (of_region == BH_PROBE_PAGES)
		return NULL;
	struct page *grown = realloc(set->pages, (set->page_count + 1) * sizeof(*grown));
	if (!grown)
		return NULL;
	set->pages = grown;
	struct page *page = &grown[set->page_count++];
	memset(page, 0, sizeof(*page));
	page->base = region->base;
	page->address = region->base + bh_tick_text_probe_pages(region->text) + of_region * PAGE;
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
	probe->boot = condition->boot;
	probe->has_condition = 1;
	set->code_count += (uint32_t)condition->count;
	set->byte_count = byte_count;
	return 1;
}

/* What a stub does instead of the window at address. Returns 0 if it can't. */
static int displace(const struct bh_tick_region *region, struct page *page, uint64_t address,
		    size_t window, struct stub *stub)
{
	uint32_t room = STUBS_AT + page->count * STUB_BYTES + DISPLACED_AT;
	struct bh_displace_request request = {
		.from = address,
		.to = page->address + room,
		.window = window,
		.slot = page->address + SLOT_CALL,
		.room = page->bytes + room,
		.capacity = STUB_BYTES - DISPLACED_AT,
	};
	size_t available;

	stub->at = page->address + room - DISPLACED_AT;
	if (bh_tick_text_is_entry(region->text, address - region->base)) {
		struct emitter emitter = {page, room};
		emit_relative(&emitter, "\xe9", 1, address + BH_ENTRY_BYTES);
		memcpy(stub->original, bh_entry_nop, BH_ENTRY_BYTES);
		stub->moved = (struct bh_displaced){
			.from = address, .to = request.to, .window = BH_ENTRY_BYTES};
		return 1;
	}
	request.code = bh_code_map_bytes(region->code, address - region->base, &available);
	if (!request.code || available < window + BH_CODE_AHEAD ||
	    !bh_displace(bh_code_map_disassembler(region->code), &request, &stub->moved))
		return 0;
	memcpy(stub->original, request.code, BH_JUMP_BYTES);
	return 1;
}

/* Bytes that may be replaced by a jump, if that leaves the next breakpoint alone. */
static size_t find_window(const struct bh_tick_region *region, uint64_t address, uint64_t next)
{
	uint64_t offset = address - region->base;
	size_t window = 0;

	if (bh_tick_text_is_entry(region->text, offset))
		window = BH_ENTRY_BYTES;
	else if (region->code)
		window = bh_code_map_window(region->code, offset);
	return next - address < window ? 0 : window;
}

static size_t find_length(const struct bh_tick_region *region, uint64_t address)
{
	size_t available;
	const uint8_t *code =
		region->code ? bh_code_map_bytes(region->code, address - region->base, &available)
			     : NULL;

	return code ? bh_disassembler_length(bh_code_map_disassembler(region->code), code,
					     available)
		    : 0;
}

/* next is the address of the next breakpoint. condition: NULL if the tracer must be asked. */
static void add_stub(struct bh_probe_set *set, const struct bh_space *space, uint64_t address,
		     uint64_t next, const struct bh_probe_condition *condition)
{
	const struct bh_tick_region *region = bh_space_region(space, address);
	struct page *page = region && set->stub_count < STUBS ? page_of(set, region) : NULL;
	struct stub *stub = &set->stubs[set->stub_count];
	struct bh_probe *probe = &set->table.probes[set->count];
	size_t window = condition && page ? find_window(region, address, next) : 0;

	if (!page)
		return;
	stub->number = NO_PROBE;
	if (window && set->count < BH_PROBES_MAX && displace(region, page, address, window, stub)) {
		*probe = (struct bh_probe){.address = address};
		if (add_condition(set, probe, condition))
			stub->number = set->count++;
	}
	if (stub->number == NO_PROBE) {
		if (bh_tick_text_is_entry(region->text, address - region->base))
			return; /* its NOP is stepped over without a step */
		window = find_length(region, address);
		if (!window || !displace(region, page, address, window, stub))
			return;
	} else {
		emit_question(page, (uint32_t)(stub->at - page->address), stub->number);
	}
	page->count++;
	set->stub_count++;
}

struct bh_error *bh_probe_set_fill(struct bh_probe_set *set, const struct bh_space *space,
				   const uint64_t *addresses,
				   const struct bh_probe_condition *const *conditions, size_t count,
				   int wants_last)
{
	set->count = set->code_count = set->byte_count = set->stub_count = 0;
	set->page_count = 0;
	set->serial++;
	set->table.wants_last = (uint64_t)wants_last;
	for (size_t i = 0; conditions && i < count; i++) {
		uint64_t next = i + 1 < count ? addresses[i + 1] : UINT64_MAX;
		/* One that always holds is as good as its int3, unless there are many hits. */
		if (!conditions[i] || wants_last || conditions[i]->count)
			add_stub(set, space, addresses[i], next, conditions[i]);
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

	if (!set->stub_count)
		return NULL;
	if (copy->probe_serial != set->serial) {
		BH_TRY(map_pages(set, copy));
		if (bh_tracee_write(copy->tracee, there + tail, (const char *)table + tail,
				    end - tail))
			return cannot_write();
		copy->probe_serial = set->serial;
		copy->are_probes_lifted = 0;
	}
	return bh_tracee_write(copy->tracee, there, table, head) ? cannot_write() : NULL;
}

struct bh_error *bh_probe_set_arm(const struct bh_probe_set *set, struct bh_copy *copy)
{
	if (copy->are_probes_lifted)
		return NULL;
	for (uint32_t i = 0; i < set->stub_count; i++) {
		const struct stub *stub = &set->stubs[i];
		uint64_t address = stub->moved.from;
		int32_t distance = (int32_t)(stub->at - (address + BH_JUMP_BYTES));
		uint8_t jump[BH_JUMP_BYTES] = {JUMP};
		if (stub->number == NO_PROBE)
			continue;
		memcpy(jump + 1, &distance, sizeof(distance));
		if (bh_tracee_poke_bytes(copy->tracee, address, jump, sizeof(jump)))
			return bh_error_new(BH_ERR_INTERNAL, "cannot plant a breakpoint at %#llx",
					    (unsigned long long)address);
	}
	return NULL;
}

/* What is planted there is there again. Nothing to do for a process that has ended. */
void bh_probe_set_disarm(const struct bh_probe_set *set, struct bh_copy *copy)
{
	uint8_t bytes[BH_JUMP_BYTES];

	if (copy->are_probes_lifted)
		return;
	for (uint32_t i = 0; i < set->stub_count; i++) {
		const struct stub *stub = &set->stubs[i];
		if (stub->number == NO_PROBE)
			continue;
		memcpy(bytes, stub->original, sizeof(bytes));
		if (bh_copy_is_planted(copy, stub->moved.from))
			bytes[0] = BH_INT3;
		bh_tracee_poke_bytes(copy->tracee, stub->moved.from, bytes, sizeof(bytes));
	}
}

void bh_probe_set_hide(const struct bh_probe_set *set, uint64_t address, uint8_t *bytes,
		       size_t length)
{
	for (uint32_t i = 0; i < set->stub_count; i++) {
		const struct stub *stub = &set->stubs[i];
		for (uint64_t k = 0; k < BH_JUMP_BYTES && stub->number != NO_PROBE; k++)
			if (stub->moved.from + k - address < length)
				bytes[stub->moved.from + k - address] = stub->original[k];
	}
}

void bh_probe_set_lift(const struct bh_probe_set *set, struct bh_copy *copy)
{
	bh_probe_set_disarm(set, copy);
	copy->are_probes_lifted = 1;
}

uint64_t bh_probe_set_stopped_at(const struct bh_probe_set *set, uint64_t pc)
{
	for (uint32_t i = 0; i < set->stub_count; i++)
		if (pc == set->stubs[i].at + TRAP_AT && set->stubs[i].number != NO_PROBE)
			return set->stubs[i].moved.from;
	return 0;
}

uint64_t bh_probe_set_displaced(const struct bh_probe_set *set, uint64_t pc, int is_over)
{
	for (uint32_t i = 0; i < set->stub_count; i++) {
		const struct stub *stub = &set->stubs[i];
		if (pc - stub->moved.from >= stub->moved.window)
			continue;
		return is_over || pc != stub->moved.from ? bh_displaced_address(&stub->moved, pc)
							 : 0;
	}
	return 0;
}

uint64_t bh_probe_set_origin(const struct bh_probe_set *set, uint64_t pc, uint64_t *pushed_ret)
{
	uint64_t origin = 0;

	*pushed_ret = 0;
	for (uint32_t i = 0; i < set->stub_count && !origin; i++)
		origin = bh_displaced_origin(&set->stubs[i].moved, pc, pushed_ret);
	return origin;
}

/* The probe at address; NULL: there is none. */
static const struct bh_probe *find_probe(const struct bh_probe_set *set, uint64_t address)
{
	for (uint32_t i = 0; i < set->count; i++)
		if (set->table.probes[i].address == address)
			return &set->table.probes[i];
	return NULL;
}

int bh_probe_set_counts(const struct bh_probe_set *set, const struct bh_copy *copy,
			uint64_t address)
{
	return copy->armed == set && !copy->are_probes_lifted && find_probe(set, address) != NULL;
}

uint64_t bh_probe_set_visits(const struct bh_probe_set *set, struct bh_copy *copy, uint64_t address)
{
	const struct bh_probe *mine = find_probe(set, address);
	struct bh_probe probe = {0};
	uint64_t event = 0;

	if (!mine)
		return 0;
	uintptr_t there = (uintptr_t)&bh_probe_table.probes[mine - set->table.probes];
	bh_tracee_read(copy->tracee, there, &probe, sizeof(probe));
	if (!copy->are_probes_lifted)
		return probe.visits;
	/* Then it was the int3 that stopped, which doesn't count by itself. */
	bh_tracee_read(copy->tracee, (uintptr_t)&bh_gate.event, &event, sizeof(event));
	probe.visits = probe.event == event ? probe.visits + 1 : 1;
	probe.event = event;
	bh_tracee_write(copy->tracee, there, &probe, sizeof(probe));
	return probe.visits;
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
