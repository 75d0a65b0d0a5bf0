// SPDX-License-Identifier: GPL-2.0
/*
 * `ip tunnel add` and older programs make a tunnel by an ioctl on the device that a tunnel driver
 * makes for itself when its module is loaded: tunl0, gre0, sit0 and so on. A node has all drivers,
 * but none of these devices (setup.c), so that `ip link` shows what somebody made. Here such a
 * device comes to be at the first such call, as it would by loading the module. Called by user.c.
 */
#include <linux/errno.h>
#include <linux/if.h>
#include <linux/if_link.h>
#include <linux/if_tunnel.h>
#include <linux/kernel.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/socket.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <net/netlink.h>
#include <asm/unistd.h>

#include "user.h"

static const struct {
	const char *device, *kind;
} drivers[] = {
	{"tunl0", "ipip"},     {"gre0", "gre"},	   {"sit0", "sit"},	 {"ip6tnl0", "ip6tnl"},
	{"ip6gre0", "ip6gre"}, {"ip_vti0", "vti"}, {"ip6_vti0", "vti6"},
};

struct request {
	struct nlmsghdr header;
	struct ifinfomsg link;
	char attributes[64];
};

static struct nlattr *add(struct request *request, int type, const char *text)
{
	struct nlattr *attribute = (void *)request + NLMSG_ALIGN(request->header.nlmsg_len);

	attribute->nla_type = type;
	attribute->nla_len = NLA_HDRLEN;
	if (text) {
		memcpy(nla_data(attribute), text, strlen(text) + 1);
		attribute->nla_len += strlen(text) + 1;
	}
	request->header.nlmsg_len =
		NLMSG_ALIGN(request->header.nlmsg_len) + NLA_ALIGN(attribute->nla_len);
	return attribute;
}

/* By netlink and as the task that asks, so that it is allowed what it may do itself. */
static bool make(const char *device, const char *kind)
{
	struct request request = {
		.header = {.nlmsg_len = NLMSG_LENGTH(sizeof(request.link)),
			   .nlmsg_type = RTM_NEWLINK,
			   .nlmsg_flags = NLM_F_REQUEST | NLM_F_CREATE | NLM_F_EXCL},
	};
	struct nlattr *info;
	long fd, sent;

	add(&request, IFLA_IFNAME, device);
	info = add(&request, IFLA_LINKINFO, NULL);
	add(&request, IFLA_INFO_KIND, kind);
	info->nla_len = (void *)&request + request.header.nlmsg_len - (void *)info;
	fd = bh_user_system_call(__NR_socket, AF_NETLINK, SOCK_RAW, NETLINK_ROUTE, 0, 0);
	if (fd < 0)
		return false;
	sent = bh_user_system_call(__NR_write, fd, (unsigned long)&request,
				   request.header.nlmsg_len, 0, 0);
	bh_user_system_call(__NR_close, fd, 0, 0, 0, 0);
	return sent > 0;
}

bool bh_tunnel_driver_device(unsigned int command, unsigned long argument)
{
	char name[IFNAMSIZ];
	int i;

	if (command < SIOCGETTUNNEL || command > SIOCCHGTUNNEL ||
	    copy_from_user(name, (void __user *)argument, sizeof(name)))
		return false;
	name[IFNAMSIZ - 1] = '\0';
	for (i = 0; i < ARRAY_SIZE(drivers); i++)
		if (!strcmp(name, drivers[i].device))
			return make(name, drivers[i].kind);
	return false;
}
