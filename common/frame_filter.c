/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The door to libpcap: see frame_filter.h. Only its filter compiler and interpreter are used. */
#include "common/frame_filter.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/ether.h>
#include <pcap/pcap.h>
#include <stdlib.h>

#define FRAME_BYTES_MAX 262144

struct bh_frame_filter {
	struct bpf_program program;
};

/*
 * The C library's functions that look a name up on the host, and the libpcap module that talks to
 * D-Bus, in versions that know nothing. With these in the program the linker takes no others: a
 * filter's meaning can't depend on the host, and a static program needs no shared libraries for it.
 */
/* IPv6 addresses in numbers come here, too. */
int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
		struct addrinfo **result_ret)
{
	struct in6_addr number;

	if (!node || inet_pton(AF_INET6, node, &number) != 1)
		return EAI_NONAME;
	struct addrinfo *info = calloc(1, sizeof(*info));
	struct sockaddr_in6 *address = calloc(1, sizeof(*address));

	if (!info || !address) {
		free(info);
		free(address);
		return EAI_MEMORY;
	}
	address->sin6_family = AF_INET6;
	address->sin6_addr = number;
	info->ai_family = AF_INET6;
	info->ai_addrlen = sizeof(*address);
	info->ai_addr = (struct sockaddr *)address;
	*result_ret = info;
	return 0;
}

void freeaddrinfo(struct addrinfo *list)
{
	if (list)
		free(list->ai_addr);
	free(list);
}

int getnetbyname_r(const char *name, struct netent *result_buffer, char *buffer, size_t size,
		   struct netent **result_ret, int *error_ret)
{
	*result_ret = NULL;
	return ENOENT;
}

int getprotobyname_r(const char *name, struct protoent *result_buffer, char *buffer, size_t size,
		     struct protoent **result_ret)
{
	*result_ret = NULL;
	return ENOENT;
}

int ether_hostton(const char *name, struct ether_addr *address_ret)
{
	return -1;
}

struct hostent *gethostbyname(const char *name)
{
	return NULL;
}

pcap_t *dbus_create(const char *device, char *text, int *is_ours_ret);
pcap_t *dbus_create(const char *device, char *text, int *is_ours_ret)
{
	*is_ours_ret = 0;
	return NULL;
}

int dbus_findalldevs(void *devices, char *text);
int dbus_findalldevs(void *devices, char *text)
{
	return 0;
}

struct bh_error *bh_frame_filter_create(const char *text, struct bh_frame_filter **filter_ret)
{
	struct bh_frame_filter *filter = calloc(1, sizeof(*filter));
	pcap_t *pcap = pcap_open_dead(DLT_EN10MB, FRAME_BYTES_MAX);
	struct bh_error *error = NULL;

	if (!filter || !pcap)
		error = bh_error_new(BH_ERR_NOMEM, "out of memory for a filter");
	else if (pcap_compile(pcap, &filter->program, text, 1, PCAP_NETMASK_UNKNOWN))
		error = bh_error_new(BH_ERR_INPUT, "\"%s\" is no filter: %s", text,
				     pcap_geterr(pcap));
	if (pcap)
		pcap_close(pcap);
	if (error) {
		free(filter);
		return error;
	}
	*filter_ret = filter;
	return NULL;
}

void bh_frame_filter_destroy(struct bh_frame_filter *filter)
{
	if (!filter)
		return;
	pcap_freecode(&filter->program);
	free(filter);
}

int bh_frame_filter_matches(const struct bh_frame_filter *filter, const void *frame, size_t length)
{
	return bh_frame_filter_matches_begin(filter, frame, length, length);
}

int bh_frame_filter_matches_begin(const struct bh_frame_filter *filter, const void *frame,
				  size_t captured, size_t length)
{
	return bpf_filter(filter->program.bf_insns, frame, (u_int)length, (u_int)captured) != 0;
}
