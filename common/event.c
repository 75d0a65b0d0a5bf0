/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Names and the digest of events: see event.h. */
#include "common/event.h"

#include <stddef.h>

#include "common/hash.h"

static const char *const kind_names[BH_EVENT_KIND_COUNT] = {
	[BH_EVENT_BOOT] = "boot",	[BH_EVENT_TIMER] = "timer",   [BH_EVENT_RX] = "rx",
	[BH_EVENT_TX] = "tx",		[BH_EVENT_LOST] = "lost",     [BH_EVENT_SPAWN] = "spawn",
	[BH_EVENT_EXEC] = "exec",	[BH_EVENT_EXIT] = "exit",     [BH_EVENT_OUTPUT] = "output",
	[BH_EVENT_CONSOLE] = "console", [BH_EVENT_HALT] = "halt",     [BH_EVENT_STOP] = "stop",
	[BH_EVENT_DROP] = "drop",	[BH_EVENT_ACTION] = "action", [BH_EVENT_WAKE] = "wake",
	[BH_EVENT_CARRIER] = "carrier", [BH_EVENT_INPUT] = "input",
};

static const char *const loss_names[] = {
	[BH_LOSS_RANDOM] = "loss",	   [BH_LOSS_QUEUE] = "queue",
	[BH_LOSS_NODE_DOWN] = "node-down", [BH_LOSS_TOO_LONG] = "too-long",
	[BH_LOSS_LINK_DOWN] = "link-down", [BH_LOSS_CODEL] = "codel",
	[BH_LOSS_SCENARIO] = "scenario",
};

static const char *const halt_names[BH_HALTED_COUNT] = {
	[BH_HALTED_OFF] = "halt",
	[BH_HALTED_PANIC] = "panic",
	[BH_HALTED_RESTART] = "restart",
	[BH_HALTED_CRASH] = "crash",
};

const char *bh_halt_name(uint64_t how)
{
	return how < BH_HALTED_COUNT ? halt_names[how] : NULL;
}

const char *bh_loss_reason_name(uint64_t reason)
{
	return reason < sizeof(loss_names) / sizeof(loss_names[0]) ? loss_names[reason] : NULL;
}

const char *bh_event_kind_name(unsigned int kind)
{
	return kind < BH_EVENT_KIND_COUNT ? kind_names[kind] : NULL;
}

uint64_t bh_event_hash(const void *bytes, size_t length)
{
	return (uint32_t)bh_hash64(bytes, length);
}

uint64_t bh_event_digest(uint64_t digest, const struct bh_event *event)
{
	/* Every field, widened, so that no padding byte takes part. */
	const uint64_t words[] = {digest,	 event->event, event->vtime_ns, event->cause,
				  event->packet, event->value, event->hash,	event->node,
				  event->device, event->hop,   event->length,	event->kind};

	return bh_hash64(words, sizeof(words));
}

size_t bh_event_numbers_before(const uint64_t *numbers, size_t count, uint64_t event)
{
	size_t low = 0, high = count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (numbers[middle] < event)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}
