// SPDX-License-Identifier: GPL-2.0
/* Tells the host of every packet that the kernel drops, with the kernel's own reason. */
#include <linux/kernel.h>
#include <linux/init.h>
#include <linux/skbuff.h>
#include <net/dropreason.h>
#include <trace/events/skb.h>
#include <asm/setup.h>

static void packet_dropped(void *unused, struct sk_buff *skb, void *location,
			   enum skb_drop_reason reason)
{
	const char *name = reason < SKB_DROP_REASON_MAX ? drop_reasons[reason] : NULL;

	bh_boot->host_ops->packet_drop(bh_boot->host, skb_get_kcov_handle(skb),
				       (unsigned long)location, name ? name : "UNKNOWN");
}

static int __init drops_register(void)
{
	if (!bh_boot->host_ops->packet_drop)
		return 0;
	return register_trace_kfree_skb(packet_dropped, NULL);
}
late_initcall(drops_register);
