/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _ASM_BACKHOP_VMALLOC_H
#define _ASM_BACKHOP_VMALLOC_H

#endif
