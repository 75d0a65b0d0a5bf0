/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a pass over a trace sees inside the kernels: see packet_probes.h. */
#include "replayer/packet_probes.h"

#include <stdlib.h>
#include <string.h>

#include "kernel-lib/node.h"
#include "posix/posix.h"
#include "replayer/packet_kernel.h"
#include "replayer/packet_pass.h"
#include "replayer/probes.h"
#include "simulator/gate.h"
#include "simulator/lineage.h"

/* Marks are remembered until so many more have been given out: a buffer that waits longer in a node
 * before it is sent has no known origin. */
#define MARKS (1u << 20)

/* Functions of net/core/ in 6.1 and 6.12; of another version, those that are there. */
enum place {
	PLACE_ALLOC,	 /* __alloc_skb(): a buffer is about to be made, */
	PLACE_BUILD,	 /* __build_skb(): or one around memory that is there */
	PLACE_SPLIT,	 /* skb_split(skb, skb1): a part of skb goes to skb1 */
	PLACE_SEGMENT,	 /* __skb_gso_segment(skb): it is about to be cut */
	PLACE_FRAGMENT,	 /* ip_copy_metadata(to, from): to is a fresh fragment of from, */
	PLACE_FRAGMENT6, /* ip6_copy_metadata(to, from) */
	PLACE_READ,	 /* skb_copy_datagram_iter(skb): to a program */
	PLACE_UDP,	 /* skb_consume_udp(sk, skb): the same, and it is freed */
	PLACE_COALESCE,	 /* skb_try_coalesce(to, from) */
	PLACE_GRO,	 /* skb_gro_receive(to, from) */
	PLACE_FREE,	 /* skb_release_head_state(skb) */
	PLACE_WAIT,	 /* __neigh_event_send(neigh, skb): it may wait, for an address, */
	PLACE_QUEUE,	 /* __dev_queue_xmit(skb): or for the device */
	PLACE_DECRYPT,	 /* wg_packet_receive(wg, skb): WireGuard forgets what it was */
	PLACE_IGNORE,	 /* port_ignore(dev, lineage), our own (netdev.c): no buffer is made */
	PLACE_DROP,	 /* packet_dropped(unused, skb), our own (drops.c) */
	PLACE_COUNT,
};

static const char *const place_names[PLACE_COUNT] = {
	[PLACE_ALLOC] = "__alloc_skb",
	[PLACE_BUILD] = "__build_skb",
	[PLACE_SPLIT] = "skb_split",
	[PLACE_SEGMENT] = "__skb_gso_segment",
	[PLACE_FRAGMENT] = "ip_copy_metadata",
	[PLACE_FRAGMENT6] = "ip6_copy_metadata",
	[PLACE_READ] = "skb_copy_datagram_iter",
	[PLACE_UDP] = "skb_consume_udp",
	[PLACE_COALESCE] = "skb_try_coalesce",
	[PLACE_GRO] = "skb_gro_receive",
	[PLACE_FREE] = "skb_release_head_state",
	[PLACE_WAIT] = "__neigh_event_send",
	[PLACE_QUEUE] = "__dev_queue_xmit",
	[PLACE_DECRYPT] = "wg_packet_receive",
	[PLACE_IGNORE] = "port_ignore",
	[PLACE_DROP] = "packet_dropped",
};

struct mark {
	uint64_t mark, event, vtime_ns, call; /* call: 0, or the number + 1 */
	uint64_t part_of;		      /* lineage of what it is a part of; 0 */
	uint32_t node;
	int32_t pid;
	uint8_t kind; /* enum bh_packet_origin_kind */
	uint8_t is_told;
	char name[16];
};

/* What there is to do at a function's entry: one of the two, or both. */
struct spot {
	uint32_t entry;
	enum place place; /* PLACE_COUNT: none */
	const struct bh_skb_function *function;
};

/* A kernel image that nodes have. */
struct kernel {
	const struct bh_image *image;
	struct bh_packet_probes *all;
	struct bh_probes *probes;
	struct bh_skb_layout layout;
	struct spot *spots; /* of the probes, by entry */
	size_t spot_count;
	struct bh_skb_function *functions; /* for a tracer */
	size_t function_count;
};

struct bh_packet_probes {
	struct bh_sim *sim;
	struct bh_buffer *stream;
	const struct bh_packet_tracer *tracer; /* or NULL */
	struct kernel *kernels;
	size_t kernel_count;
	struct mark *marks; /* by mark modulo MARKS */
	uint64_t mark_count;
	const struct kernel *dropping_in;
	uint64_t dropping; /* a socket buffer */
};

/* --- records --- */

static void begin_record(struct bh_packet_probes *probes, enum bh_pass_record type)
{
	bh_buffer_u8(probes->stream, (uint8_t)type);
	bh_buffer_varint(probes->stream, bh_gate.event);
}

void bh_packet_probes_tell(struct bh_packet_probes *probes, uint64_t event, uint64_t number)
{
	struct mark *mark = &probes->marks[number % MARKS];

	if (!number || mark->mark != number || mark->is_told || probes->tracer)
		return;
	mark->is_told = 1;
	bh_buffer_u8(probes->stream, BH_PASS_MARK);
	bh_buffer_varint(probes->stream, event);
	bh_buffer_varint(probes->stream, number);
	bh_buffer_varint(probes->stream, mark->kind);
	bh_buffer_varint(probes->stream, mark->event);
	bh_buffer_varint(probes->stream, mark->vtime_ns);
	bh_buffer_varint(probes->stream, mark->node);
	bh_buffer_varint(probes->stream, (uint64_t)mark->pid);
	bh_buffer_varint(probes->stream, mark->call);
	bh_buffer_varint(probes->stream, mark->part_of);
	bh_buffer_sized(probes->stream, mark->name, strnlen(mark->name, sizeof(mark->name)));
}

/* --- tasks --- */

static uint64_t read_word(uint64_t address)
{
	uint64_t word;

	memcpy(&word, (const void *)address, sizeof(word));
	return word;
}

/* The running task_struct; 0 before the node has idled once. */
static uint64_t current_task(const struct bh_packet_probes *probes, uint32_t node,
			     const struct bh_task_layout **layout_ret)
{
	const struct bh_boot *boot = bh_node_boot_record(bh_sim_node(probes->sim, node));

	*layout_ret = boot->image_ops.task_layout;
	return *layout_ret ? read_word((*layout_ret)->current_task) : 0;
}

static int32_t read_task(uint64_t task, const struct bh_task_layout *layout, char name_ret[16])
{
	int32_t pid;

	memcpy(&pid, (const void *)(task + layout->tgid), sizeof(pid));
	memcpy(name_ret, (const void *)(task + layout->comm), 16);
	return pid;
}

static struct mark *give_mark(struct bh_packet_probes *probes, uint32_t node)
{
	uint64_t number = ++probes->mark_count;
	struct mark *mark = &probes->marks[number % MARKS];

	*mark = (struct mark){
		.mark = number, .event = bh_gate.event, .vtime_ns = bh_gate.vtime_ns, .node = node};
	return mark;
}

/* Whether a task allocates or an interrupt does, generic code knows: only a task's mark is taken.
 */
static void before_allocation(struct bh_packet_probes *probes, uint32_t node)
{
	const struct bh_task_layout *layout;
	uint64_t task = current_task(probes, node, &layout);

	if (!task)
		return;
	struct mark *mark = give_mark(probes, node);
	const struct bh_task_view *view =
		(const struct bh_task_view *)read_word(task + layout->thread_host);

	mark->pid = read_task(task, layout, mark->name);
	mark->kind = BH_ORIGIN_TASK;
	if (view && view->regs) {
		mark->kind = BH_ORIGIN_SYSCALL;
		mark->call = view->regs[BH_USER_REGS_CALL] + 1;
	}
	memcpy((void *)(task + layout->kcov_handle), &mark->mark, sizeof(mark->mark));
}

/* --- buffers --- */

/* What is allocated in an interrupt has neither lineage nor mark. It gets one where it may stay for
 * a while, or is cut: so it is known in which event it was made, and its parts are known as such.
 */
static void give_first_mark(struct bh_packet_probes *probes, uint32_t node, uint64_t *lineage)
{
	if (!*lineage)
		*lineage = give_mark(probes, node)->mark;
}

static void read_by_program(struct bh_packet_probes *probes, const struct kernel *kernel,
			    uint32_t node, uint64_t skb)
{
	uint64_t lineage = *bh_skb_lineage(&kernel->layout, skb);
	const struct bh_task_layout *layout;
	uint64_t task = current_task(probes, node, &layout);
	char name[16];

	if (!bh_lineage_hop(lineage) || !task || probes->tracer)
		return;
	begin_record(probes, BH_PASS_READ);
	bh_buffer_varint(probes->stream, bh_lineage_packet(lineage));
	bh_buffer_varint(probes->stream, node);
	bh_buffer_varint(probes->stream, (uint64_t)read_task(task, layout, name));
	bh_buffer_sized(probes->stream, name, strnlen(name, sizeof(name)));
	bh_buffer_u8(probes->stream, bh_skb_is_captured(&kernel->layout, skb) != 0);
}

static void merge(struct bh_packet_probes *probes, const struct kernel *kernel, uint32_t node,
		  uint64_t to, uint64_t from)
{
	uint64_t into = *bh_skb_lineage(&kernel->layout, to);
	uint64_t lineage = *bh_skb_lineage(&kernel->layout, from);

	if (!bh_lineage_hop(into) || !bh_lineage_hop(lineage) || into == lineage || probes->tracer)
		return;
	begin_record(probes, BH_PASS_MERGED);
	bh_buffer_varint(probes->stream, bh_lineage_packet(lineage));
	bh_buffer_varint(probes->stream, bh_lineage_packet(into));
	bh_buffer_varint(probes->stream, node);
}

static void freed(struct bh_packet_probes *probes, const struct kernel *kernel, uint32_t node,
		  uint64_t skb)
{
	uint64_t lineage = *bh_skb_lineage(&kernel->layout, skb);

	if (!bh_lineage_hop(lineage) || probes->tracer)
		return;
	begin_record(probes, BH_PASS_FREED);
	bh_buffer_varint(probes->stream, bh_lineage_packet(lineage));
	bh_buffer_varint(probes->stream, node);
}

static void ignored(struct bh_packet_probes *probes, uint32_t node, uint64_t lineage)
{
	if (probes->tracer)
		return;
	begin_record(probes, BH_PASS_IGNORED);
	bh_buffer_varint(probes->stream, bh_lineage_packet(lineage));
	bh_buffer_varint(probes->stream, node);
}

static void split(const struct kernel *kernel, uint64_t skb, uint64_t part)
{
	uint64_t lineage = *bh_skb_lineage(&kernel->layout, skb);

	if (lineage && !bh_lineage_hop(lineage))
		*bh_skb_lineage(&kernel->layout, part) = lineage;
}

/* A fragment that is allocated in an interrupt has no lineage; one that arrived so keeps its own.
 */
static void cut_fragment(struct bh_packet_probes *probes, const struct kernel *kernel,
			 uint32_t node, uint64_t to, uint64_t from)
{
	uint64_t *lineage = bh_skb_lineage(&kernel->layout, to);
	uint64_t whole = *bh_skb_lineage(&kernel->layout, from);

	if (bh_lineage_hop(*lineage))
		return;
	if (!bh_lineage_hop(whole)) {
		*lineage = whole;
		return;
	}
	struct mark *mark = give_mark(probes, node);

	mark->part_of = bh_lineage_packet(whole);
	*lineage = mark->mark;
}

static void look(struct kernel *kernel, enum place place, uint32_t node,
		 const struct bh_probe_registers *registers)
{
	struct bh_packet_probes *probes = kernel->all;

	switch (place) {
	case PLACE_ALLOC:
	case PLACE_BUILD:
		before_allocation(probes, node);
		break;
	case PLACE_SPLIT:
		split(kernel, registers->rdi, registers->rsi);
		break;
	case PLACE_SEGMENT:
		give_first_mark(probes, node, bh_skb_lineage(&kernel->layout, registers->rdi));
		break;
	case PLACE_FRAGMENT:
	case PLACE_FRAGMENT6:
		cut_fragment(probes, kernel, node, registers->rdi, registers->rsi);
		break;
	case PLACE_READ:
		read_by_program(probes, kernel, node, registers->rdi);
		break;
	case PLACE_UDP:
		read_by_program(probes, kernel, node, registers->rsi);
		freed(probes, kernel, node, registers->rsi);
		break;
	case PLACE_COALESCE:
	case PLACE_GRO:
		merge(probes, kernel, node, registers->rdi, registers->rsi);
		break;
	case PLACE_FREE:
		freed(probes, kernel, node, registers->rdi);
		break;
	case PLACE_WAIT:
		give_first_mark(probes, node, bh_skb_lineage(&kernel->layout, registers->rsi));
		break;
	case PLACE_QUEUE:
		give_first_mark(probes, node, bh_skb_lineage(&kernel->layout, registers->rdi));
		break;
	case PLACE_DECRYPT:
		freed(probes, kernel, node, registers->rsi);
		break;
	case PLACE_IGNORE:
		ignored(probes, node, registers->rsi);
		break;
	case PLACE_DROP:
		probes->dropping_in = kernel;
		probes->dropping = registers->rsi;
		break;
	case PLACE_COUNT:
		break;
	}
}

/* Arguments that are buffers only when the function has returned: what is there is of another life.
 */
static unsigned int fresh_arguments(const char *function)
{
	static const char *const first[] = {"__build_skb_around",    "build_skb_around",
					    "__finalize_skb_around", "__skb_clone",
					    "__copy_skb_header",     "skb_copy_header"};

	for (size_t i = 0; i < sizeof(first) / sizeof(first[0]); i++)
		if (!strcmp(function, first[i]))
			return 1;
	return 0;
}

static int is_in_node(const struct bh_packet_probes *probes, uint32_t node, uint64_t address)
{
	const struct bh_boot *boot = bh_node_boot_record(bh_sim_node(probes->sim, node));

	return address >= boot->ram_base && address < boot->ram_base + boot->ram_size - 4096 &&
	       !(address & 7);
}

static void trace(const struct kernel *kernel, const struct bh_skb_function *function,
		  uint32_t node, const struct bh_probe_registers *registers)
{
	const struct bh_packet_probes *probes = kernel->all;

	for (unsigned int i = 0; i < 6; i++) {
		uint64_t skb = bh_probe_argument(registers, i);

		if ((function->arguments >> i & 1) && is_in_node(probes, node, skb))
			probes->tracer->entered(probes->tracer->arg, node, function->name, skb,
						*bh_skb_lineage(&kernel->layout, skb));
	}
}

static void handle(void *arg, uint32_t node, uint32_t probe,
		   const struct bh_probe_registers *registers)
{
	struct kernel *kernel = arg;
	const struct spot *spot = &kernel->spots[probe];

	look(kernel, spot->place, node, registers);
	if (spot->function)
		trace(kernel, spot->function, node, registers);
}

size_t bh_packet_probes_dropped(struct bh_packet_probes *probes, uint8_t *frame_ret, size_t size,
				size_t *length_ret)
{
	if (!probes->dropping)
		return 0;
	uint64_t skb = probes->dropping;

	probes->dropping = 0;
	return bh_skb_copy_frame(&probes->dropping_in->layout, skb, frame_ret, size, length_ret);
}

/* --- planting --- */

static void add_spot(struct kernel *kernel, uint32_t entry, enum place place,
		     const struct bh_skb_function *function)
{
	for (size_t i = 0; i < kernel->spot_count; i++) {
		if (kernel->spots[i].entry == entry && place == PLACE_COUNT) {
			kernel->spots[i].function = function;
			return;
		}
	}
	kernel->spots[kernel->spot_count++] = (struct spot){entry, place, function};
}

static int compare_spots(const void *left, const void *right)
{
	const struct spot *a = left, *b = right;

	return (a->entry > b->entry) - (a->entry < b->entry);
}

static struct bh_error *find_spots(struct kernel *kernel, const struct bh_symbols *symbols)
{
	const struct bh_packet_tracer *tracer = kernel->all->tracer;

	if (tracer) {
		kernel->functions = bh_skb_functions(kernel->image, symbols, tracer->folder,
						     &kernel->function_count);
		if (!kernel->functions)
			return bh_error_new(BH_ERR_NOMEM, "out of memory");
	}
	kernel->spots = calloc(PLACE_COUNT + kernel->function_count, sizeof(*kernel->spots));
	if (!kernel->spots)
		return bh_error_new(BH_ERR_NOMEM, "out of memory");
	for (unsigned int place = 0; place < PLACE_COUNT; place++) {
		uint32_t entry = bh_kernel_entry(kernel->image, symbols, place_names[place]);

		if (entry)
			add_spot(kernel, entry, (enum place)place, NULL);
	}
	for (size_t i = 0; i < kernel->function_count; i++) {
		struct bh_skb_function *function = &kernel->functions[i];

		function->arguments &= ~fresh_arguments(function->name);
		add_spot(kernel, function->entry, PLACE_COUNT, function);
	}
	qsort(kernel->spots, kernel->spot_count, sizeof(*kernel->spots), compare_spots);
	return NULL;
}

static struct bh_error *lacks_symbols(struct kernel *kernel)
{
	const char *path = bh_image_path(kernel->image);

	if (kernel->all->tracer)
		return bh_error_new(
			BH_ERR_MACHINE,
			"%s.debug is missing, which says what functions take packets: put "
			"it beside the image, or build that with `make`",
			path);
	begin_record(kernel->all, BH_PASS_MISSING);
	bh_buffer_string(kernel->all->stream, path);
	return NULL;
}

static struct bh_error *open_kernel(struct kernel *kernel)
{
	struct bh_symbols *symbols = bh_symbols_open_image(bh_image_path(kernel->image));

	if (!symbols || !bh_skb_layout_read(symbols, &kernel->layout)) {
		bh_symbols_close(symbols);
		return lacks_symbols(kernel);
	}
	struct bh_error *error = find_spots(kernel, symbols);
	uint32_t *entries = calloc(kernel->spot_count + 1, sizeof(*entries));

	bh_symbols_close(symbols);
	if (!error && !entries)
		error = bh_error_new(BH_ERR_NOMEM, "out of memory");
	for (size_t i = 0; !error && i < kernel->spot_count; i++)
		entries[i] = kernel->spots[i].entry;
	if (!error)
		error = bh_probes_create(kernel->image, entries, kernel->spot_count,
					 kernel->all->tracer != NULL, handle, kernel,
					 &kernel->probes);
	free(entries);
	return error;
}

static struct bh_error *plant(struct bh_packet_probes *probes, uint32_t node)
{
	const struct bh_image *image = bh_node_image(bh_sim_node(probes->sim, node));
	struct kernel *kernel = probes->kernels;

	while (kernel < probes->kernels + probes->kernel_count && kernel->image != image)
		kernel++;
	if (kernel == probes->kernels + probes->kernel_count) {
		probes->kernel_count++;
		kernel->image = image;
		kernel->all = probes;
		BH_TRY(open_kernel(kernel));
	}
	return kernel->probes ? bh_probes_plant(kernel->probes, bh_sim_node(probes->sim, node))
			      : NULL;
}

/* Lives as long as the child. */
struct bh_error *bh_packet_probes_create(struct bh_rerun *rerun, struct bh_buffer *stream,
					 const struct bh_packet_tracer *tracer,
					 struct bh_packet_probes **probes_ret)
{
	struct bh_packet_probes *probes = calloc(1, sizeof(*probes));

	if (!probes)
		return bh_error_new(BH_ERR_NOMEM, "out of memory");
	probes->sim = bh_rerun_sim(rerun);
	probes->stream = stream;
	probes->tracer = tracer;
	size_t count = bh_sim_node_count(probes->sim);

	probes->kernels = calloc(count + 1, sizeof(*probes->kernels));
	probes->marks = calloc(MARKS, sizeof(*probes->marks));
	if (!probes->kernels || !probes->marks)
		return bh_error_new(BH_ERR_NOMEM, "out of memory");
	for (uint32_t node = 0; node < count; node++)
		BH_TRY(plant(probes, node));
	*probes_ret = probes;
	return NULL;
}
