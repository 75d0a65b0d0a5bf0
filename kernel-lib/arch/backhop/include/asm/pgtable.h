/* SPDX-License-Identifier: GPL-2.0 */
/* There are no page tables; these are the names that generic code wants to exist. */
#ifndef _ASM_BACKHOP_PGTABLE_H
#define _ASM_BACKHOP_PGTABLE_H

#include <asm-generic/pgtable-nopmd.h>
#include <asm/page.h>

#define PAGE_NONE     __pgprot(0)
#define PAGE_SHARED   __pgprot(0)
#define PAGE_COPY     __pgprot(0)
#define PAGE_READONLY __pgprot(0)
#define PAGE_KERNEL   __pgprot(0)

#define swapper_pg_dir ((pgd_t *)0)

extern char empty_zero_page[PAGE_SIZE];
#define ZERO_PAGE(vaddr) virt_to_page(empty_zero_page)

#define VMALLOC_START 0ul
#define VMALLOC_END   (~0ul)
#define KMAP_START    0ul
#define KMAP_END      (~0ul)

#define __swp_type(x)		(0)
#define __swp_offset(x)		(0)
#define __swp_entry(type, off)	((swp_entry_t){0})
#define __pte_to_swp_entry(pte) ((swp_entry_t){pte_val(pte)})
#define __swp_entry_to_pte(x)	((pte_t){(x).val})

#endif
