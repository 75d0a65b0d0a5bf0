// SPDX-License-Identifier: GPL-2.0
/*
 * The network devices of a node, one for each link end that the host configured. Received frames
 * are taken from the host in NAPI polls, their checksums are verified by the kernel. Sent frames
 * are whole and finished when the host gets them, so what is on the wire is what a capture on a
 * real link would show: the driver takes buffers in pieces and computes checksums while it copies,
 * as veth and real cards let the kernel expect, and generic code has cut large buffers before.
 *
 * Every frame carries a number, its lineage: stamped on the socket buffer when it is received, read
 * off the buffer when it is sent. Generic code hands the field on through clones, copies, tunnels
 * and segmentation, and stamps what a task sends by itself with current->kcov_handle.
 */
#include <linux/etherdevice.h>
#include <linux/ethtool.h>
#include <linux/if_vlan.h>
#include <linux/init.h>
#include <linux/netdevice.h>
#include <linux/rtnetlink.h>
#include <asm/setup.h>

#define PORT_FEATURES (NETIF_F_SG | NETIF_F_FRAGLIST | NETIF_F_HW_CSUM)

struct bh_port {
	struct net_device *dev;
	unsigned int index; /* into bh_boot.devices */
};

static struct net_device *ports[BH_MAX_DEVICES];
static unsigned int port_count;

/* One NAPI context takes the frames of all devices: the host has one queue for a node. */
static struct net_device napi_owner;
static struct napi_struct napi;

static bool is_listed(const struct netdev_hw_addr_list *list, const unsigned char *address)
{
	const struct netdev_hw_addr *entry;

	list_for_each_entry(entry, &list->list,
			    list) if (ether_addr_equal(entry->addr, address)) return true;
	return false;
}

/*
 * Whether the device is to take a frame, as the filter of a real card decides it: so what reaches
 * the stack and is dropped there was meant for the node. Nothing changes the lists meanwhile, as
 * interrupts come when the node is idle.
 */
static bool is_wanted(const struct net_device *dev, const unsigned char *address)
{
	if (dev->flags & IFF_PROMISC || is_broadcast_ether_addr(address))
		return true;
	if (is_multicast_ether_addr(address))
		return dev->flags & IFF_ALLMULTI || is_listed(&dev->mc, address);
	return ether_addr_equal(dev->dev_addr, address) || is_listed(&dev->uc, address);
}

/* Does nothing. Replays hear of frames that weren't taken by its being called (packet_probes.c). */
static noinline void port_ignore(const struct net_device *dev, unsigned long packet)
{
	asm volatile("" : : "r"(dev), "r"(packet));
}

static void port_receive(const struct bh_rx_frame *frame)
{
	struct net_device *dev = frame->device < port_count ? ports[frame->device] : NULL;
	struct sk_buff *skb;

	if (!dev || !netif_running(dev))
		goto drop;
	if (frame->len >= ETH_HLEN && !is_wanted(dev, frame->data)) {
		port_ignore(dev, frame->packet);
		return;
	}
	/* Room for two VLAN tags. What is longer than that a device can't take, so that nodes that
	 * don't agree on the MTU of their link notice it as they would on a real one. */
	if (frame->len < ETH_HLEN || frame->len > dev->mtu + ETH_HLEN + 2 * VLAN_HLEN) {
		dev->stats.rx_length_errors++;
		dev->stats.rx_errors++;
		return;
	}
	skb = napi_alloc_skb(&napi, frame->len);
	if (!skb)
		goto drop;
	skb_put_data(skb, frame->data, frame->len);
	skb_set_kcov_handle(skb, frame->packet);
	skb->protocol = eth_type_trans(skb, dev);
	dev_sw_netstats_rx_add(dev, frame->len);
	netif_receive_skb(skb);
	return;
drop:
	if (dev)
		dev->stats.rx_dropped++;
}

static int port_poll(struct napi_struct *context, int budget)
{
	const struct bh_host_ops *ops = bh_boot->host_ops;
	struct bh_rx_frame frame;
	int done = 0;

	while (done < budget && ops->frame_receive(bh_boot->host, &frame)) {
		port_receive(&frame);
		done++;
	}
	if (done < budget)
		napi_complete_done(context, done);
	return done;
}

/*
 * Copies the buffer to where the host wants the frame, and computes the checksum that generic code
 * left open (as skb_checksum_help() of net/core/dev.c does, but in the one pass that copies).
 */
static void port_write_frame(const struct sk_buff *skb, unsigned char *frame)
{
	__sum16 *field;

	if (skb->ip_summed != CHECKSUM_PARTIAL) {
		skb_copy_bits(skb, 0, frame, skb->len);
		return;
	}
	skb_copy_and_csum_dev(skb, frame);
	field = (__sum16 *)(frame + skb_checksum_start_offset(skb) + skb->csum_offset);
	/* To UDP, 0 means that there is none. */
	if (!*field)
		*field = CSUM_MANGLED_0;
}

static netdev_tx_t port_transmit(struct sk_buff *skb, struct net_device *dev)
{
	const struct bh_port *port = netdev_priv(dev);
	const struct bh_netdev *config = &bh_boot->devices[port->index];
	const struct bh_host_ops *ops = bh_boot->host_ops;
	unsigned char *frame = ops->frame_prepare(bh_boot->host, skb->len);

	if (!frame) {
		dev->stats.tx_dropped++;
		goto out;
	}
	if (!config->carrier)
		dev->stats.tx_carrier_errors++;
	skb_tx_timestamp(skb);
	port_write_frame(skb, frame);
	ops->frame_transmit(bh_boot->host, port->index, skb->len, skb_get_kcov_handle(skb));
	dev_sw_netstats_tx_add(dev, 1, skb->len);
	if (config->transmit_full)
		netif_stop_queue(dev);
out:
	dev_consume_skb_any(skb);
	return NETDEV_TX_OK;
}

/* Carrier and queue state follow what the host wrote into the device's record. */
static void port_update(struct net_device *dev, const struct bh_netdev *config)
{
	if (!netif_running(dev))
		return;
	if (config->carrier && !netif_carrier_ok(dev))
		netif_carrier_on(dev);
	else if (!config->carrier && netif_carrier_ok(dev))
		netif_carrier_off(dev);
	if (!config->transmit_full && netif_queue_stopped(dev))
		netif_wake_queue(dev);
}

void bh_link_interrupt(void)
{
	unsigned int i;

	for (i = 0; i < port_count; i++)
		if (ports[i])
			port_update(ports[i], &bh_boot->devices[i]);
}

void bh_netdev_interrupt(void)
{
	napi_schedule(&napi);
}

static int port_open(struct net_device *dev)
{
	const struct bh_port *port = netdev_priv(dev);
	const struct bh_netdev *config = &bh_boot->devices[port->index];

	if (config->transmit_full)
		netif_stop_queue(dev);
	else
		netif_start_queue(dev);
	if (config->carrier)
		netif_carrier_on(dev);
	bh_boot->host_ops->device_state(bh_boot->host, port->index, 1);
	return 0;
}

/* As on a device that is switched off: no carrier, here and at the other end of its link. */
static int port_stop(struct net_device *dev)
{
	const struct bh_port *port = netdev_priv(dev);

	netif_stop_queue(dev);
	netif_carrier_off(dev);
	bh_boot->host_ops->device_state(bh_boot->host, port->index, 0);
	return 0;
}

/* What the device is to take is looked up when a frame comes. That this function is there says that
 * the device can do it: without it, nobody could join a group by its Ethernet address. */
static void port_set_rx_mode(struct net_device *dev)
{
}

static int port_init(struct net_device *dev)
{
	dev->tstats = netdev_alloc_pcpu_stats(struct pcpu_sw_netstats);
	return dev->tstats ? 0 : -ENOMEM;
}

static void port_uninit(struct net_device *dev)
{
	free_percpu(dev->tstats);
}

static void port_get_stats(struct net_device *dev, struct rtnl_link_stats64 *stats)
{
	netdev_stats_to_stats64(stats, &dev->stats);
	dev_fetch_sw_netstats(stats, dev->tstats);
}

static const struct net_device_ops port_ops = {
	.ndo_init = port_init,
	.ndo_uninit = port_uninit,
	.ndo_open = port_open,
	.ndo_stop = port_stop,
	.ndo_start_xmit = port_transmit,
	.ndo_get_stats64 = port_get_stats,
	.ndo_set_rx_mode = port_set_rx_mode,
	.ndo_set_mac_address = eth_mac_addr,
	.ndo_validate_addr = eth_validate_addr,
};

static void port_get_drvinfo(struct net_device *dev, struct ethtool_drvinfo *info)
{
	strscpy(info->driver, "backhop", sizeof(info->driver));
}

static int port_get_link_ksettings(struct net_device *dev, struct ethtool_link_ksettings *settings)
{
	const struct bh_port *port = netdev_priv(dev);
	const struct bh_netdev *config = &bh_boot->devices[port->index];

	settings->base.port = PORT_OTHER;
	settings->base.autoneg = AUTONEG_DISABLE;
	settings->base.speed = netif_carrier_ok(dev) ? config->speed_mbps : SPEED_UNKNOWN;
	settings->base.duplex = netif_carrier_ok(dev) ? DUPLEX_FULL : DUPLEX_UNKNOWN;
	return 0;
}

static const struct ethtool_ops port_ethtool_ops = {
	.get_drvinfo = port_get_drvinfo,
	.get_link_ksettings = port_get_link_ksettings,
	.get_link = ethtool_op_get_link,
	.get_ts_info = ethtool_op_get_ts_info,
};

static int __init port_create(unsigned int index)
{
	const struct bh_netdev *config = &bh_boot->devices[index];
	struct net_device *dev;
	struct bh_port *port;
	int ret;

	dev = alloc_etherdev(sizeof(*port));
	if (!dev)
		return -ENOMEM;
	port = netdev_priv(dev);
	port->dev = dev;
	port->index = index;
	strscpy(dev->name, config->name, sizeof(dev->name));
	eth_hw_addr_set(dev, config->mac);
	dev->netdev_ops = &port_ops;
	dev->ethtool_ops = &port_ethtool_ops;
	dev->min_mtu = ETH_MIN_MTU;
	dev->max_mtu = ETH_MAX_MTU - ETH_HLEN;
	dev->mtu = config->mtu ? config->mtu : ETH_DATA_LEN;
	/* For what is sent through a VLAN or a tunnel over the device, too. */
	dev->hw_features = PORT_FEATURES;
	dev->features |= PORT_FEATURES;
	dev->vlan_features = PORT_FEATURES;
	dev->hw_enc_features = PORT_FEATURES;
	/* Else further addresses would make it promiscuous (__dev_set_rx_mode() of 6.1). */
	dev->priv_flags |= IFF_UNICAST_FLT;
	/* Until it is opened; so its operational state is up or down, never unknown. */
	netif_carrier_off(dev);
	ret = register_netdev(dev);
	if (ret) {
		free_netdev(dev);
		return ret;
	}
	ports[index] = dev;
	return 0;
}

/*
 * A node's links are plugged in and switched on, so a scenario needn't say so. Called once sysctls
 * from the command line are set (they decide what IPv6 does with a new link) and before the first
 * program runs.
 */
void bh_netdev_up(void)
{
	unsigned int i;

	rtnl_lock();
	dev_open(init_net.loopback_dev, NULL);
	for (i = 0; i < port_count; i++)
		if (ports[i] && dev_open(ports[i], NULL))
			pr_err("backhop: device %s can't be switched on\n", ports[i]->name);
	rtnl_unlock();
}

/* Before the initcalls of tunnels and virtual devices, so that the first device is number 2. */
static int __init ports_create(void)
{
	unsigned int i;
	int ret;

	port_count = min_t(unsigned int, bh_boot->device_count, BH_MAX_DEVICES);
	init_dummy_netdev(&napi_owner);
	netif_napi_add(&napi_owner, &napi, port_poll);
	napi_enable(&napi);
	for (i = 0; i < port_count; i++) {
		ret = port_create(i);
		if (ret)
			pr_err("backhop: device %s: error %d\n", bh_boot->devices[i].name, ret);
	}
	return 0;
}
device_initcall(ports_create);
