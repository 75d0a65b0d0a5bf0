// SPDX-License-Identifier: GPL-2.0
/*
 * Time is the simulator's virtual time, in ns, the same in all nodes. It stands still while kernel
 * code runs. CLOCK_MONOTONIC equals it as long as no program changes the clock's rate.
 */
#include <linux/clockchips.h>
#include <linux/clocksource.h>
#include <linux/init.h>
#include <linux/interrupt.h>
#include <linux/ktime.h>
#include <linux/sched/clock.h>
#include <linux/timekeeping.h>
#include <asm/setup.h>
#include <asm/timex.h>

#define CLOCK_SHIFT 16

unsigned long bh_clock_ns(void)
{
	return bh_boot->host_ops->clock_ns(bh_boot->host);
}

unsigned long long notrace sched_clock(void)
{
	return bh_clock_ns();
}

static u64 clock_read(struct clocksource *source)
{
	return bh_clock_ns();
}

static struct clocksource virtual_clock = {
	.name = "backhop",
	.rating = 499,
	.read = clock_read,
	.mask = CLOCKSOURCE_MASK(64),
	.mult = 1u << CLOCK_SHIFT,
	.shift = CLOCK_SHIFT,
	.flags = CLOCK_SOURCE_IS_CONTINUOUS | CLOCK_SOURCE_VALID_FOR_HRES,
};

/* The one clock is there from the start: no turn through jiffies. */
struct clocksource *__init clocksource_default_clock(void)
{
	return &virtual_clock;
}

/* The generic version reads sched_clock() twice and keeps the difference. */
void __init read_persistent_wall_and_boot_offset(struct timespec64 *wall_ret,
						 struct timespec64 *boot_offset_ret)
{
	unsigned long now = bh_clock_ns();

	*wall_ret = ns_to_timespec64(bh_boot->epoch_ns + now);
	*boot_offset_ret = ns_to_timespec64(now);
}

static void set_deadline(unsigned long deadline_ns)
{
	bh_boot->host_ops->timer_set(bh_boot->host, deadline_ns);
}

static int event_set_ktime(ktime_t expires, struct clock_event_device *device)
{
	unsigned long now = bh_clock_ns();
	s64 delta = ktime_sub(expires, ktime_get());

	/* The deadline is on the host's clock, whatever adjtimex() made of CLOCK_MONOTONIC. */
	set_deadline(delta > 0 ? now + delta : now);
	return 0;
}

static int event_stop(struct clock_event_device *device)
{
	set_deadline(BH_NO_DEADLINE);
	return 0;
}

static struct clock_event_device virtual_event = {
	.name = "backhop",
	.rating = 499,
	/* KTIME: otherwise deltas under one microsecond would be rounded up. */
	.features = CLOCK_EVT_FEAT_ONESHOT | CLOCK_EVT_FEAT_KTIME,
	.set_next_ktime = event_set_ktime,
	.set_state_shutdown = event_stop,
	.set_state_oneshot_stopped = event_stop,
};

void bh_timer_interrupt(void)
{
	virtual_event.event_handler(&virtual_event);
}

void __init time_init(void)
{
	virtual_event.cpumask = cpumask_of(0);
	__clocksource_register(&virtual_clock);
	clockevents_config_and_register(&virtual_event, NSEC_PER_SEC, 1, LONG_MAX);
}
