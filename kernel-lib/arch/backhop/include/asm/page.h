/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Physical address 0 is the first byte of the mapped image, and RAM goes on behind it. So page
 * frame numbers don't depend on where a node lies, __pa() is one subtraction of a constant
 * relative to the instruction pointer, and virt_to_page() works on static data too.
 */
#ifndef _ASM_BACKHOP_PAGE_H
#define _ASM_BACKHOP_PAGE_H

#include <linux/const.h>

#define PAGE_SHIFT 12
#define PAGE_SIZE  (_AC(1, UL) << PAGE_SHIFT)
#define PAGE_MASK  (~(PAGE_SIZE - 1))

#ifndef __ASSEMBLY__

#include <linux/types.h>

/* From the linker script: the ELF header, first byte of the image. */
extern char bh_image_start[];

#define PAGE_OFFSET	((unsigned long)bh_image_start)
#define ARCH_PFN_OFFSET 0ul

#define __pa(x) ((unsigned long)(x)-PAGE_OFFSET)
#define __va(x) ((void *)((unsigned long)(x) + PAGE_OFFSET))

void *memcpy(void *to, const void *from, size_t len);
void bh_clear_page(void *page);
void bh_copy_page(void *to, const void *from);

#define clear_page(page)		    bh_clear_page(page)
#define copy_page(to, from)		    bh_copy_page(to, from)
#define clear_user_page(page, vaddr, pg)    clear_page(page)
#define copy_user_page(to, from, vaddr, pg) copy_page(to, from)

typedef struct {
	unsigned long pte;
} pte_t;
typedef struct {
	unsigned long pgd;
} pgd_t;
typedef struct {
	unsigned long pgprot;
} pgprot_t;
typedef struct page *pgtable_t;

#define pte_val(x)    ((x).pte)
#define pgd_val(x)    ((x).pgd)
#define pgprot_val(x) ((x).pgprot)
#define __pte(x)      ((pte_t){(x)})
#define __pgd(x)      ((pgd_t){(x)})
#define __pgprot(x)   ((pgprot_t){(x)})

extern unsigned long memory_start, memory_end;

#define virt_to_pfn(addr)  (__pa(addr) >> PAGE_SHIFT)
#define pfn_to_virt(pfn)   __va((unsigned long)(pfn) << PAGE_SHIFT)
#define virt_to_page(addr) pfn_to_page(virt_to_pfn(addr))
#define page_to_virt(page) pfn_to_virt(page_to_pfn(page))
#define page_to_phys(page) ((phys_addr_t)page_to_pfn(page) << PAGE_SHIFT)
#define pfn_valid(pfn)	   ((pfn) < max_mapnr)

#define virt_addr_valid(addr)                                                                      \
	((unsigned long)(addr) >= PAGE_OFFSET && (unsigned long)(addr) < memory_end)

#include <asm-generic/memory_model.h>
#include <asm-generic/getorder.h>

#endif
#endif
