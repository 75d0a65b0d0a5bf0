// SPDX-License-Identifier: GPL-2.0
/* The kernel log goes to the host as it is printed. */
#include <linux/console.h>
#include <linux/kernel.h>
#include <linux/init.h>
#include <asm/setup.h>

static void console_write(struct console *console, const char *text, unsigned int len)
{
	bh_boot->host_ops->console(bh_boot->host, text, len);
}

static struct console host_console = {
	.name = "backhop",
	.write = console_write,
	.flags = CON_PRINTBUFFER | CON_ENABLED | CON_ANYTIME,
	.index = -1,
};

static int __init console_register(void)
{
	register_console(&host_console);
	return 0;
}
console_initcall(console_register);
