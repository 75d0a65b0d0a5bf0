/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copies of the replayed process: their life, memory and what is planted in it. See copy.h. */
#include "replayer/copy.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "replayer/copy_internal.h"
#include "replayer/probe.h"

int bh_position_compare(struct bh_position left, struct bh_position right)
{
	if (left.event != right.event)
		return left.event < right.event ? -1 : 1;
	if (left.tick != right.tick)
		return left.tick < right.tick ? -1 : 1;
	if (left.instruction != right.instruction)
		return left.instruction < right.instruction ? -1 : 1;
	return 0;
}

struct first_run {
	void (*run)(void *arg);
	void *arg;
};

/* In the tracee. */
static void run_from_the_beginning(void *arg)
{
	struct first_run first = *(struct first_run *)arg;

	bh_gate.stop_event = 1;
	first.run(first.arg);
}

struct bh_error *bh_copy_start_at(const struct bh_space *space, void (*run)(void *arg), void *arg,
				  uint64_t event, struct bh_copy **copy_ret)
{
	struct first_run first = {run, arg};
	struct bh_copy *copy = calloc(1, sizeof(*copy));
	struct bh_wait wait;

	if (!copy)
		return bh_error_new(BH_ERR_NOMEM, "out of memory");
	copy->space = space;
	struct bh_error *error = bh_tracee_start(run_from_the_beginning, &first, &copy->tracee);
	if (error) {
		free(copy);
		return error;
	}
	for (;;) {
		error = bh_tracee_wait(copy->tracee, -1, &wait);
		if (error || wait.kind != BH_WAIT_SIGNAL)
			break;
		error = bh_tracee_resume(copy->tracee, 0, wait.signal);
		if (error)
			break;
	}
	if (!error && wait.kind == BH_WAIT_EXITING && space->explain_exit)
		error = space->explain_exit(space->explain_arg, copy);
	if (!error &&
	    (wait.kind != BH_WAIT_TRAP || bh_copy_pc(copy) != (uintptr_t)bh_gate_trap + 1))
		error = bh_error_new(BH_ERR_INPUT,
				     "the replay ended before its first event (stop %d, signal %d, "
				     "pc %#llx)",
				     (int)wait.kind, wait.signal,
				     (unsigned long long)bh_copy_pc(copy));
	if (error) {
		bh_copy_destroy(copy);
		return error;
	}
	copy->position.event = event;
	copy->is_exact = 1;
	copy->written_stop_event = event;
	*copy_ret = copy;
	return NULL;
}

struct bh_error *bh_copy_fork(struct bh_copy *copy, struct bh_copy **copy_ret)
{
	struct bh_copy *other = malloc(sizeof(*other));
	struct bh_planted *planted = calloc(copy->planted_count + 1, sizeof(*planted));

	if (!other || !planted) {
		free(other);
		free(planted);
		return bh_error_new(BH_ERR_NOMEM, "out of memory");
	}
	if (copy->planted_count)
		memcpy(planted, copy->planted, copy->planted_count * sizeof(*planted));
	bh_copy_disarm(copy);
	*other = *copy;
	other->planted = planted;
	other->over = NULL;
	other->gate_resumes = 0;
	other->tracee = NULL;
	struct bh_error *error =
		bh_tracee_fork(copy->tracee, copy->space->after_fork, &other->tracee);
	if (error) {
		bh_copy_destroy(other);
		return error;
	}
	*copy_ret = other;
	return NULL;
}

void bh_copy_disarm(struct bh_copy *copy)
{
	if (copy->armed)
		bh_probe_set_disarm(copy->armed, copy);
	copy->armed = NULL;
}

void bh_copy_destroy(struct bh_copy *copy)
{
	if (!copy)
		return;
	bh_tracee_destroy(copy->tracee);
	free(copy->planted);
	free(copy->over);
	free(copy);
}

const struct bh_tick_region *bh_space_region(const struct bh_space *space, uint64_t address)
{
	size_t low = 0, high = space->region_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (space->regions[middle].base <= address)
			low = middle + 1;
		else
			high = middle;
	}
	if (!low)
		return NULL;
	const struct bh_tick_region *region = &space->regions[low - 1];
	return bh_tick_text_contains(region->text, address - region->base) ? region : NULL;
}

struct bh_error *bh_copy_map(struct bh_copy *copy, const struct bh_map_request *requests,
			     size_t count)
{
	long result = 0;

	if (!count)
		return NULL;
	if (bh_tracee_write(copy->tracee, (uintptr_t)bh_map_inbox, requests,
			    count * sizeof(*requests)))
		return bh_error_new(BH_ERR_INTERNAL, "cannot write to the replayed process");
	BH_TRY(bh_tracee_call(copy->tracee, bh_map_run, (long)count, &result));
	if (result)
		return bh_error_new(BH_ERR_MACHINE,
				    "cannot map text into the replayed process (%s)",
				    strerror((int)-result));
	return NULL;
}

struct bh_error *bh_copy_count(struct bh_copy *copy, int is_counting)
{
	struct bh_map_request requests[BH_MAP_INBOX];
	size_t count = 0, kept = 0;

	bh_copy_disarm(copy);
	if (copy->is_counting == is_counting)
		return NULL;
	for (size_t i = 0; i < copy->space->region_count; i++) {
		const struct bh_tick_region *region = &copy->space->regions[i];
		if (count + BH_TICK_REQUESTS > BH_MAP_INBOX) {
			BH_TRY(bh_copy_map(copy, requests, count));
			count = 0;
		}
		count += bh_tick_text_requests(region->text, region->base, is_counting,
					       requests + count);
	}
	BH_TRY(bh_copy_map(copy, requests, count));
	copy->is_counting = is_counting;
	/* What was planted in the text went with it. */
	for (size_t i = 0; i < copy->planted_count; i++) {
		if (!bh_space_region(copy->space, copy->planted[i].address))
			copy->planted[kept++] = copy->planted[i];
	}
	copy->planted_count = kept;
	return NULL;
}

struct bh_planted *bh_copy_find_planted(const struct bh_copy *copy, uint64_t address)
{
	size_t low = 0, high = copy->planted_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (copy->planted[middle].address == address)
			return &copy->planted[middle];
		if (copy->planted[middle].address < address)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

int bh_copy_is_planted(const struct bh_copy *copy, uint64_t address)
{
	return bh_copy_find_planted(copy, address) != NULL;
}

static int is_wanted(const uint64_t *addresses, size_t count, uint64_t address)
{
	size_t low = 0, high = count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (addresses[middle] == address)
			return 1;
		if (addresses[middle] < address)
			low = middle + 1;
		else
			high = middle;
	}
	return 0;
}

struct bh_error *bh_copy_plant(struct bh_copy *copy, const uint64_t *addresses, size_t count,
			       size_t *missing_ret)
{
	struct bh_planted *planted = calloc(count + 1, sizeof(*planted));
	size_t planted_count = 0;
	uint8_t byte;

	if (!planted)
		return bh_error_new(BH_ERR_NOMEM, "out of memory");
	bh_copy_disarm(copy);
	for (size_t i = 0; i < copy->planted_count; i++) {
		const struct bh_planted *old = &copy->planted[i];
		if (!is_wanted(addresses, count, old->address) &&
		    bh_tracee_read(copy->tracee, old->address, &byte, 1) == 1 && byte == BH_INT3)
			bh_tracee_poke(copy->tracee, old->address, old->original);
	}
	for (size_t i = 0; i < count; i++) {
		const struct bh_planted *old = bh_copy_find_planted(copy, addresses[i]);
		if (bh_tracee_read(copy->tracee, addresses[i], &byte, 1) != 1)
			continue;
		/* A program that was started since may have replaced the page. */
		if (old && byte == BH_INT3)
			byte = old->original;
		else if (bh_tracee_poke(copy->tracee, addresses[i], BH_INT3))
			continue;
		planted[planted_count].address = addresses[i];
		planted[planted_count++].original = byte;
	}
	if (missing_ret)
		*missing_ret = count - planted_count;
	free(copy->planted);
	copy->planted = planted;
	copy->planted_count = planted_count;
	bh_copy_over_doubt(copy);
	return NULL;
}

/* Shows the NOPs where counting jumps are. */
static void hide_jumps(const struct bh_copy *copy, uint64_t address, uint8_t *bytes, size_t length)
{
	const struct bh_space *space = copy->space;

	for (size_t i = 0; i < space->region_count; i++) {
		const struct bh_tick_region *region = &space->regions[i];
		if (region->base >= address + length)
			break;
		uint64_t from = address > region->base ? address - region->base : 0;
		uint64_t to = address + length - region->base;
		from = from >= BH_ENTRY_BYTES - 1 ? from - (BH_ENTRY_BYTES - 1) : 0;
		size_t count = bh_tick_text_entry_count(region->text);
		for (size_t n = bh_tick_text_find(region->text, from); n < count; n++) {
			uint64_t entry = bh_tick_text_entry(region->text, n);
			if (entry >= to)
				break;
			for (size_t k = 0; k < BH_ENTRY_BYTES; k++) {
				uint64_t at = region->base + entry + k;
				if (at >= address && at < address + length)
					bytes[at - address] = bh_entry_nop[k];
			}
		}
	}
}

size_t bh_copy_read(struct bh_copy *copy, uint64_t address, void *bytes_ret, size_t length)
{
	uint8_t *bytes = bytes_ret;

	length = bh_tracee_read(copy->tracee, address, bytes, length);
	for (size_t i = 0; i < copy->planted_count; i++) {
		const struct bh_planted *planted = &copy->planted[i];
		if (planted->address >= address && planted->address < address + length &&
		    bytes[planted->address - address] == BH_INT3)
			bytes[planted->address - address] = planted->original;
	}
	if (copy->armed)
		bh_probe_set_hide(copy->armed, address, bytes, length);
	if (copy->is_counting && length)
		hide_jumps(copy, address, bytes, length);
	return length;
}

const struct bh_gate *bh_copy_gate(struct bh_copy *copy)
{
	uint64_t resumes = bh_tracee_resumes(copy->tracee);

	if (!resumes || copy->gate_resumes != resumes) {
		copy->gate_resumes = 0;
		if (bh_tracee_read(copy->tracee, (uintptr_t)&bh_gate, &copy->gate,
				   sizeof(copy->gate)) != sizeof(copy->gate))
			return NULL;
		copy->gate_resumes = resumes;
	}
	return &copy->gate;
}

uint64_t bh_copy_read_u64(struct bh_copy *copy, uint64_t address)
{
	uint64_t value = 0;

	return bh_copy_read(copy, address, &value, sizeof(value)) == sizeof(value) ? value : 0;
}

struct user_regs_struct *bh_copy_registers(struct bh_copy *copy)
{
	return bh_tracee_registers(copy->tracee);
}

uint64_t bh_copy_pc(struct bh_copy *copy)
{
	return bh_tracee_registers(copy->tracee)->rip;
}

void bh_copy_set_pc(struct bh_copy *copy, uint64_t pc)
{
	bh_tracee_registers(copy->tracee)->rip = pc;
	bh_tracee_registers_changed(copy->tracee);
}

int bh_copy_is_at_entry(struct bh_copy *copy)
{
	uint64_t pc = bh_copy_pc(copy);
	const struct bh_tick_region *region = bh_space_region(copy->space, pc);

	return region && bh_tick_text_is_entry(region->text, pc - region->base);
}

int bh_copy_is_at_gate(struct bh_copy *copy)
{
	return bh_copy_pc(copy) == (uintptr_t)bh_gate_trap;
}
