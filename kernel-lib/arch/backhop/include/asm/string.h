/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _ASM_BACKHOP_STRING_H
#define _ASM_BACKHOP_STRING_H

#include <linux/types.h>

#define __HAVE_ARCH_MEMCPY
void *memcpy(void *to, const void *from, size_t len);

#define __HAVE_ARCH_MEMMOVE
void *memmove(void *to, const void *from, size_t len);

#define __HAVE_ARCH_MEMSET
void *memset(void *to, int byte, size_t len);

#endif
