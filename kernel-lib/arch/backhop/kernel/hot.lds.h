/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Functions that run for every packet, side by side. All nodes run the same code at addresses of
 * their own, so each page of code that a packet needs costs each node an entry of the processor's
 * translation buffer: a few dozen pages instead of hundreds is what this file is worth.
 */
#define HOT_TEXT
