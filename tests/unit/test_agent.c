/* SPDX-License-Identifier: GPL-2.0-or-later */
/* gdb's agent expressions: replayer/agent.c. Run by tests/run; prints TAP. */
#include <stdio.h>
#include <string.h>

#include "replayer/agent.h"

static int count, failures;

static void ok(int is_right, const char *what)
{
	count++;
	failures += !is_right;
	printf("%sok %d - %s\n", is_right ? "" : "not ", count, what);
}

/* Register n holds n times 16; there are 64. */
static int read_register(void *arg, unsigned int number, uint64_t *value_ret)
{
	if (number >= 64)
		return -1;
	*value_ret = number * 16u;
	return 0;
}

/* Byte at address a holds a; there are 256. */
static int read_memory(void *arg, uint64_t address, void *bytes_ret, size_t length)
{
	uint8_t *bytes = bytes_ret;

	if (address > 256 - length)
		return -1;
	for (size_t i = 0; i < length; i++)
		bytes[i] = (uint8_t)(address + i);
	return 0;
}

static enum bh_agent_status run(const char *code, size_t length, uint64_t *value_ret)
{
	static const struct bh_agent_source source = {NULL, read_register, read_memory};

	return bh_agent_evaluate((const uint8_t *)code, length, &source, value_ret);
}

#define GIVES(code, expected, what)                                                                \
	do {                                                                                       \
		uint64_t value = 12345;                                                            \
		ok(run(code, sizeof(code) - 1, &value) == BH_AGENT_OK &&                           \
			   value == (uint64_t)(expected),                                          \
		   what);                                                                          \
	} while (0)

#define FAILS(code, status, what)                                                                  \
	do {                                                                                       \
		uint64_t value = 12345;                                                            \
		ok(run(code, sizeof(code) - 1, &value) == (status) && value == 12345, what);       \
	} while (0)

#define MINUS_7 "\x22\xf9\x16\x08"
#define LOWEST	"\x25\x80\0\0\0\0\0\0\0"

static void test_values(void)
{
	GIVES("\x26\x00\x3c\x2a\x20\x22\x03\x2a\x20\x13\x27", 0, "$node==3 as gdb compiles it");
	GIVES("\x26\x00\x3c\x24\x00\x00\x03\xc0\x13\x27", 1, "a register that is equal");
	GIVES("\x23\x12\x34\x27", 0x1234, "constants are big-endian");
	GIVES("\x25\x01\x02\x03\x04\x05\x06\x07\x08\x27", 0x0102030405060708, "all eight bytes");
	GIVES("\x22\x10\x17\x27", 0x10, "memory, one byte");
	GIVES("\x22\x10\x18\x27", 0x1110, "memory is little-endian");
	GIVES("\x22\x10\x19\x27", 0x13121110, "four bytes");
	GIVES("\x22\x10\x1a\x27", 0x1716151413121110, "eight bytes");
	GIVES("\x22\x80\x16\x08\x27", -128, "a sign extended");
	GIVES("\x22\x80\x16\x08\x2a\x10\x27", 0xff80, "zeroes extended");
	GIVES("\x22\x80\x16\x00\x27", 0x80, "an extension by nothing");
	GIVES("\x22\x80\x2a\xff\x27", 0x80, "an extension beyond 64 bits");
}

static void test_arithmetic(void)
{
	GIVES("\x22\x05\x22\x03\x02\x27", 8, "add");
	GIVES("\x22\x03\x22\x05\x03\x27", -2, "sub");
	GIVES("\x22\x03\x22\x05\x04\x27", 15, "mul");
	GIVES(MINUS_7 "\x22\x02\x05\x27", -3, "div_signed");
	GIVES(LOWEST "\x22\xff\x16\x08\x05\x27", INT64_MIN, "div_signed of the lowest by -1");
	GIVES(LOWEST "\x22\xff\x16\x08\x07\x27", 0, "rem_signed of the lowest by -1");
	GIVES(MINUS_7 "\x22\x02\x06\x27", (UINT64_MAX - 6) / 2, "div_unsigned");
	GIVES(MINUS_7 "\x22\x02\x07\x27", -1, "rem_signed");
	GIVES(MINUS_7 "\x22\x02\x08\x27", 1, "rem_unsigned");
	GIVES("\x22\x01\x22\x04\x09\x27", 16, "lsh");
	GIVES("\x22\x01\x22\x40\x09\x27", 0, "lsh by all bits");
	GIVES(MINUS_7 "\x22\x01\x0a\x27", -4, "rsh_signed");
	GIVES(MINUS_7 "\x22\xc8\x0a\x27", -1, "rsh_signed by more than all bits");
	GIVES(MINUS_7 "\x22\x3f\x0b\x27", 1, "rsh_unsigned");
	GIVES("\x22\x0c\x22\x0a\x0f\x27", 8, "bit_and");
	GIVES("\x22\x0c\x22\x0a\x10\x27", 14, "bit_or");
	GIVES("\x22\x0c\x22\x0a\x11\x27", 6, "bit_xor");
	GIVES("\x22\x00\x12\x27", -1, "bit_not");
	GIVES("\x22\x05\x0e\x27", 0, "log_not");
	GIVES(MINUS_7 "\x22\x02\x14\x27", 1, "less_signed");
	GIVES(MINUS_7 "\x22\x02\x15\x27", 0, "less_unsigned");
}

static void test_flow(void)
{
	GIVES("\x22\x01\x28\x02\x27", 2, "dup");
	GIVES("\x22\x01\x22\x02\x29\x27", 1, "pop");
	GIVES("\x22\x05\x22\x02\x2b\x03\x27", -3, "swap");
	GIVES("\x22\x07\x22\x02\x22\x03\x32\x02\x27", 7, "pick");
	GIVES("\x22\x01\x22\x02\x22\x03\x33\x27", 2, "rot leaves b on top");
	GIVES("\x22\x01\x22\x02\x22\x03\x33\x29\x27", 1, "above a");
	GIVES("\x22\x01\x22\x02\x22\x03\x33\x29\x29\x27", 3, "above c");
	GIVES("\x22\x01\x20\x00\x08\x22\x05\x27\x22\x06\x27", 6, "if_goto taken");
	GIVES("\x22\x00\x20\x00\x08\x22\x05\x27\x22\x06\x27", 5, "if_goto not taken");
	GIVES("\x21\x00\x05\x22\x05\x22\x06\x27", 6, "goto");
}

static void test_failures(void)
{
	FAILS("", BH_AGENT_TRUNCATED, "no code");
	FAILS("\x22\x01", BH_AGENT_TRUNCATED, "no end");
	FAILS("\x25\x01\x02", BH_AGENT_TRUNCATED, "an operand that is cut short");
	FAILS("\x21\x00\x03", BH_AGENT_TRUNCATED, "a jump out of the code");
	FAILS("\x27", BH_AGENT_STACK, "an end without a value");
	FAILS("\x22\x01\x02\x27", BH_AGENT_STACK, "an operation without its operands");
	FAILS("\x22\x01\x32\x01\x27", BH_AGENT_STACK, "a pick below the stack");
	FAILS("\x22\x01\x21\x00\x00", BH_AGENT_STACK, "a loop that pushes");
	FAILS("\x21\x00\x00", BH_AGENT_ENDLESS, "an endless loop");
	FAILS("\x22\x01\x22\x00\x05\x27", BH_AGENT_DIVISION, "a division by zero");
	FAILS("\x26\x00\x40\x27", BH_AGENT_REGISTER, "a register that there is not");
	FAILS("\x22\xff\x18\x27", BH_AGENT_MEMORY, "memory that there is not");
	FAILS("\x01\x27", BH_AGENT_BAD_OPCODE, "floating point");
	FAILS("\x0c\x27", BH_AGENT_BAD_OPCODE, "tracing");
	FAILS("\xff\x27", BH_AGENT_BAD_OPCODE, "no opcode at all");
}

int main(void)
{
	test_values();
	test_arithmetic();
	test_flow();
	test_failures();
	printf("1..%d\n", count);
	return failures ? 1 : 0;
}
