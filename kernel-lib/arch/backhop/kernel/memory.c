// SPDX-License-Identifier: GPL-2.0
/*
 * A node's RAM. The page allocator gets a first part of it at boot and the rest block by block as
 * it is needed: the record of a page (struct page) is only written then, so that RAM which a node
 * never uses costs the host nothing, not even the 1.6 % that its records would take. The node
 * itself sees all of its RAM from the start; what it hasn't got yet counts as free.
 */
#include <linux/log2.h>
#include <linux/memblock.h>
#include <linux/mm.h>
#include <linux/page-isolation.h>
#include <linux/shrinker.h>
#include <linux/swap.h>
#include <linux/version.h>
#include <linux/vmstat.h>
#include <asm/sections.h>
#include <asm/setup.h>

#include "user.h"

/* What a node has at first behind its image and the table of records: an idle one needs 2 MiB. */
#define FIRST_BYTES ((IS_ENABLED(CONFIG_SLUB_DEBUG_ON) ? 32ul : 8ul) << 20)
/* A node's memory is never filled by files: this part of it stays for everything else. */
#define RESERVE_SHIFT 4
/* With less than this free, an idle node takes the next block. Interrupts can't wait for memory. */
#define LOW_PAGES PFN_DOWN(4ul << 20)

unsigned long memory_start, memory_end;
/* Whatever has no record yet: from here to max_low_pfn. */
static unsigned long absent_pfn;

static unsigned long absent_pages(void)
{
	return max_low_pfn - absent_pfn;
}

void __init bh_memory_setup(void)
{
	unsigned long max_zone_pfn[MAX_NR_ZONES] = {0};
	unsigned long size = bh_boot->ram_size, first;

	memory_start = PAGE_OFFSET;
	memory_end = PAGE_OFFSET + size;
	high_memory = (void *)memory_end;
	min_low_pfn = 0;
	max_low_pfn = max_pfn = PFN_DOWN(size);
	first = bh_boot->image_size + PFN_DOWN(size) * sizeof(struct page) + FIRST_BYTES;
	absent_pfn = ALIGN(PFN_DOWN(first), pageblock_nr_pages);
	absent_pfn = min(absent_pfn, max_low_pfn);

	memblock_add(0, PFN_PHYS(absent_pfn));
	memblock_reserve(0, bh_boot->image_size);
	if (absent_pages()) {
		/* The zone spans from the first to the last page that memblock knows. The records
		 * between aren't made, as pfn_valid() says that they don't exist. */
		memblock_add(size - PAGE_SIZE, PAGE_SIZE);
		memblock_reserve(size - PAGE_SIZE, PAGE_SIZE);
	}
	max_zone_pfn[ZONE_NORMAL] = max_low_pfn;
	free_area_init(max_zone_pfn);
}

static struct zone *node_zone(void)
{
	return page_zone(pfn_to_page(0));
}

void __init mem_init(void)
{
	set_max_mapnr(absent_pfn);
	memblock_free_all();
	if (!absent_pages())
		return;
	adjust_managed_page_count(pfn_to_page(0), absent_pages());
	node_zone()->present_pages += absent_pages() - 1; /* the last one is counted */
	NODE_DATA(0)->node_present_pages += absent_pages() - 1;
}

/* Image pages stay as they are: freeing them would only turn shared pages into private ones. */
void free_initmem(void)
{
}

/* As generic code does it at boot (__init_single_page()), which is gone or out of reach by now. */
static void make_record(unsigned long pfn, int count)
{
	struct page *page = pfn_to_page(pfn);

	memset(page, 0, sizeof(*page));
	set_page_links(page, ZONE_NORMAL, 0, pfn);
	set_page_count(page, count);
	atomic_set(&page->_mapcount, -1);
	page_cpupid_reset_last(page);
	INIT_LIST_HEAD(&page->lru);
}

/* Gives the allocator the next block; how many pages that are. */
static unsigned long take_block(void)
{
	unsigned long start = absent_pfn;
	unsigned long end = min(start + pageblock_nr_pages, max_low_pfn);
	unsigned long pfn;
	unsigned int order;

	absent_pfn = end;
	max_mapnr = end;
	for (pfn = start; pfn < end; pfn += 1ul << order) {
		unsigned long other;

		order = min_t(unsigned int, pageblock_order, ilog2(end - pfn));
		make_record(pfn, 1);
		for (other = pfn + 1; other < pfn + (1ul << order); other++)
			make_record(other, 0);
		if (pfn == start)
			set_pageblock_migratetype(pfn_to_page(pfn), MIGRATE_MOVABLE);
		__free_pages(pfn_to_page(pfn), order);
	}
	return end - start;
}

void bh_memory_check(void)
{
	while (absent_pages() && global_zone_page_state(NR_FREE_PAGES) < LOW_PAGES)
		take_block();
}

/*
 * Between one idling and the next an allocation may ask for more than is left. Then the allocator
 * reclaims memory, and RAM that wasn't there yet is the first that it finds.
 */
static unsigned long count_absent(struct shrinker *shrinker, struct shrink_control *control)
{
	return absent_pages() ? absent_pages() : SHRINK_EMPTY;
}

static unsigned long scan_absent(struct shrinker *shrinker, struct shrink_control *control)
{
	unsigned long pages;

	if (!absent_pages())
		return SHRINK_STOP;
	pages = take_block();
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 4, 0)
	if (current->reclaim_state)
		current->reclaim_state->reclaimed_slab += pages;
#else
	mm_account_reclaimed_pages(pages);
#endif
	return pages;
}

/*
 * Files can't be reclaimed, so what is left must do for the allocator's watermarks and for programs
 * that start. RAM that isn't there yet counts as free.
 */
unsigned long bh_memory_left(void)
{
	unsigned long free = global_zone_page_state(NR_FREE_PAGES) + absent_pages();
	unsigned long kept = 2 * high_wmark_pages(node_zone());

	kept = max(kept, totalram_pages() >> RESERVE_SHIFT);
	return free > kept ? free - kept : 0;
}

/* What has raised the watermarks since the node booted (boost_watermark() in mm/page_alloc.c). */
void bh_memory_settle(void)
{
	node_zone()->watermark_boost = 0;
}

/* No seeks: it goes first. The batch: so that a block is enough for a while. */
static int __init register_absent(void)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 7, 0)
	static struct shrinker shrinker = {
		.count_objects = count_absent,
		.scan_objects = scan_absent,
		.batch = 4096,
	};

	return register_shrinker(&shrinker, "absent");
#else
	struct shrinker *shrinker = shrinker_alloc(0, "absent");

	if (!shrinker)
		return -ENOMEM;
	shrinker->count_objects = count_absent;
	shrinker->scan_objects = scan_absent;
	shrinker->seeks = 0;
	shrinker->batch = 4096;
	shrinker_register(shrinker);
	return 0;
#endif
}
early_initcall(register_absent);

/*
 * The linker puts these around the generic ones (arch/backhop/Makefile): what is free, as programs
 * see it and as the limit of how many there may be is computed.
 */
void __real_si_meminfo(struct sysinfo *info);
long __real_si_mem_available(void);
void __wrap_si_meminfo(struct sysinfo *info);
long __wrap_si_mem_available(void);

void __wrap_si_meminfo(struct sysinfo *info)
{
	__real_si_meminfo(info);
	info->freeram += absent_pages();
}

long __wrap_si_mem_available(void)
{
	return __real_si_mem_available() + absent_pages();
}

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 12, 0)
unsigned long __real_memblock_estimated_nr_free_pages(void);
unsigned long __wrap_memblock_estimated_nr_free_pages(void);

unsigned long __init __wrap_memblock_estimated_nr_free_pages(void)
{
	return __real_memblock_estimated_nr_free_pages() + absent_pages();
}
#endif
