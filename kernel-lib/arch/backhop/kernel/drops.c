// SPDX-License-Identifier: GPL-2.0
/*
 * Tells the host of every packet that the kernel drops, with the kernel's own reason and the place
 * that dropped it. What counts is what kfree_skb() and its kin free (as dropwatch has it, so
 * NOT_SPECIFIED is a reason like others); consume_skb() frees what has done its work. Buffers that
 * are no packet of the network (netlink messages, unix sockets) don't count, nor do the copies of
 * frames that a packet socket never read.
 */
#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/skbuff.h>
#include <linux/socket.h>
#include <linux/version.h>
#include <net/dropreason.h>
#include <net/sock.h>
#include <trace/events/skb.h>
#include <asm/setup.h>

/* The host reads the names from the image's file, so no address may be in them. */
#define NAME(reason) {SKB_DROP_REASON_##reason, #reason},
#define LAST_NAME(reason)
static const struct bh_drop_reason reasons[] __used __section(".backhop.reasons") = {
	DEFINE_DROP_REASON(NAME, LAST_NAME)};

static bool is_packet(const struct sk_buff *skb)
{
	const struct sock *sk = skb->sk;

	if (!sk)
		return skb->dev || skb->protocol;
	switch (sk->sk_family) {
	case AF_NETLINK:
	case AF_UNIX:
	case AF_KEY:
		return false;
	case AF_PACKET:
		return skb->destructor != sock_rfree;
	default:
		return true;
	}
}

static void packet_dropped(void *unused, struct sk_buff *skb, void *location,
			   enum skb_drop_reason reason
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 11, 0)
			   ,
			   struct sock *receiver
#endif
)
{
	if (is_packet(skb))
		bh_boot->host_ops->packet_drop(bh_boot->host, skb_get_kcov_handle(skb),
					       (unsigned long)location, reason, skb->len);
}

static int __init drops_register(void)
{
	if (!bh_boot->host_ops->packet_drop)
		return 0;
	return register_trace_kfree_skb(packet_dropped, NULL);
}
late_initcall(drops_register);
