/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a switch learns, moves, forgets with time and by port, and its bound. */
#include "simulator/mac_table.h"

#include <stdio.h>
#include <string.h>

#define AGEING_NS 1000u

static int test_count, failure_count;

static void check(int is_ok, const char *text)
{
	printf("%s %d - %s\n", is_ok ? "ok" : "not ok", ++test_count, text);
	failure_count += !is_ok;
}

static void make_mac(unsigned char mac[6], uint32_t number)
{
	memset(mac, 0, 6);
	mac[0] = 2;
	memcpy(mac + 2, &number, sizeof(number));
}

static void learn(struct bh_mac_table *table, uint32_t number, uint32_t port, uint64_t now_ns)
{
	unsigned char mac[6];

	make_mac(mac, number);
	if (bh_mac_table_learn(table, mac, port, now_ns, AGEING_NS) < 0)
		failure_count++;
}

static uint32_t find(const struct bh_mac_table *table, uint32_t number, uint64_t now_ns)
{
	unsigned char mac[6];

	make_mac(mac, number);
	return bh_mac_table_find(table, mac, now_ns, AGEING_NS);
}

static void test_learning(void)
{
	struct bh_mac_table table = {0};

	check(find(&table, 1, 0) == BH_MAC_NO_PORT, "an empty table knows nobody");
	learn(&table, 1, 7, 0);
	check(find(&table, 1, 10) == 7 && find(&table, 2, 10) == BH_MAC_NO_PORT, "it learns");
	learn(&table, 1, 8, 20);
	check(find(&table, 1, 30) == 8, "an address moves");
	check(find(&table, 1, 1020) == 8 && find(&table, 1, 1021) == BH_MAC_NO_PORT,
	      "an address that is silent for long is forgotten");
	learn(&table, 1, 9, 5000);
	check(find(&table, 1, 5001) == 9, "and learned again");
	learn(&table, 2, 9, 5000);
	learn(&table, 3, 4, 5000);
	bh_mac_table_forget(&table, 9);
	check(find(&table, 1, 5001) == BH_MAC_NO_PORT && find(&table, 2, 5001) == BH_MAC_NO_PORT &&
		      find(&table, 3, 5001) == 4,
	      "a port's addresses are forgotten");
	bh_mac_table_destroy(&table);
}

static void test_many(void)
{
	struct bh_mac_table table = {0};
	int is_ok = 1;

	for (uint32_t i = 0; i < 5000; i++)
		learn(&table, i, i % 64, 0);
	for (uint32_t i = 0; i < 5000; i++)
		is_ok &= find(&table, i, 1) == i % 64;
	check(is_ok, "5000 addresses");
	for (uint32_t i = 0; i < 300000; i++)
		learn(&table, 10000 + i, 1, 2);
	check(table.count <= 2 * BH_MAC_TABLE_MAX, "a flood of addresses is bounded");
	check(find(&table, 17, 3) == 17, "and drives nobody out who is alive");
	for (uint32_t i = 0; i < 300; i++)
		learn(&table, 900000 + i, 5, 9000);
	check(find(&table, 900299, 9001) == 5, "when they have aged there is room again");
	bh_mac_table_destroy(&table);
}

int main(void)
{
	test_learning();
	test_many();
	printf("1..%d\n", test_count);
	return failure_count > 0;
}
