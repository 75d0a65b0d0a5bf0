/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The program `backhop`. Programs that are scenarios have a main() of their own, see
 * scenario_program.c. */
#include "cli/cli.h"

int main(int argc, char **argv)
{
	return bh_cli_main(argc, argv);
}
