/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Breakpoints that the replayed process decides about itself, inside functions: on a small machine
 * whose code has one of each kind of instruction that is hard to displace. Every position of a
 * stretch of history is recorded by single steps. Then each instruction gets a breakpoint whose
 * condition holds now and then: decided in the process, asked for here, or with other breakpoints
 * around it, forwards and backwards, from anywhere, the same positions and states must be found.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include "replayer/code_map.h"
#include "replayer/displace.h"
#include "replayer/timeline.h"
#include "simulator/gate.h"
#include "tests/unit/tap.h"

#define BASE	   0x200000000000ull
#define TEXT_BYTES 0x1000ull
#define DATA_BYTES 0x1000ull
#define DATA	   (BASE + 0x100000)
#define STUBS	   0x200000
#define FAR_BASE   0x300000000000ull
#define EVENTS	   400
#define FROM	   100 /* the stretch */
#define TO	   140
#define FUNCTIONS  7
#define BAD_LOAD   0x7fffffff000ull

/*
 * What runs, copied to BASE. Functions begin with their NOP and take a number in rdi; between them
 * is what a compiler puts there. Their data lies 0x100000 behind them: 8 words, two functions'
 * addresses, and room.
 */
__asm__(".pushsection .rodata\n"
	".balign 4096\n"
	"machine:\n"
	".set words, machine + 0x100000\n"
	".macro entry\n"
	"	.byte 0x0f, 0x1f, 0x44, 0, 0\n"
	".endm\n"
	/* Short instructions, a loop, a store relative to the pc, returns in the middle. */
	"mix:	entry\n"
	"	push %rbx\n"
	"	mov %edi, %ebx\n"
	"	and $3, %ebx\n"
	"	inc %ebx\n"
	"1:	imul $77, %rdi, %rdi\n"
	"	xor %rdi, words(%rip)\n"
	"	rol $7, %rdi\n"
	"	dec %ebx\n"
	"	jnz 1b\n"
	"	mov %rdi, %rax\n"
	"	test $16, %al\n"
	"	je 2f\n"
	"	pop %rbx\n"
	"	ret\n"
	"2:	addq $3, words + 8(%rip)\n"
	"	pop %rbx\n"
	"	ret\n"
	"	.balign 16, 0x90\n"
	/* Calls: direct, of a register, of memory by the stack, by a register, by the pc. */
	"calls:	entry\n"
	"	push %rbp\n"
	"	mov %rsp, %rbp\n"
	"	push %rdi\n"
	"	call mix\n"
	"	lea mix(%rip), %rdx\n"
	"	mov %rax, %rdi\n"
	"	call *%rdx\n"
	"	push %rdx\n"
	"	lea mix(%rip), %r12\n"
	"	push %r12\n"
	"	lea 1(%rax), %rdi\n"
	"	call *(%rsp)\n"
	"	mov %rax, %rdi\n"
	"	call *%r12\n"
	"	lea words(%rip), %r13\n"
	"	mov %eax, %edi\n"
	"	call *64(%r13)\n"
	"	lea 2(%rax), %edi\n"
	"	call *words + 72(%rip)\n"
	"	add -8(%rbp), %rax\n"
	"	leave\n"
	"	ret\n"
	/* A jump through a table of distances, as compilers make for a switch. */
	"cases:	entry\n"
	"	mov %edi, %eax\n"
	"	and $3, %eax\n"
	"	lea table(%rip), %rdx\n"
	"	movslq (%rdx,%rax,4), %rax\n"
	"	add %rdx, %rax\n"
	"	jmp *%rax\n"
	"3:	inc %edi\n"
	"	nop\n"
	"4:	not %rdi\n"
	"	nop\n"
	"	inc %edi\n"
	"5:	mov %rdi, %rax\n"
	"	ret\n"
	"6:	push %rdi\n"
	"	pop %rax\n"
	"	jmp tail\n"
	"	.byte 0x66, 0x90\n"
	/* Flags through every kind of move, a jump on rcx, string instructions, a sub-function. */
	"tail:	entry\n"
	"	cmp $5, %dil\n"
	"	setb %cl\n"
	"	lea words + 128(%rip), %rsi\n"
	"	jc 7f\n"
	"	cmovp %rsi, %rax\n"
	"7:	pushf\n"
	"	pop %rdx\n"
	"	and $0xd5, %edx\n"
	"	mov %rdx, 8(%rsi)\n"
	"	popcnt %rdi, %rcx\n"
	"	jrcxz 8f\n"
	"	mov $6, %ecx\n"
	"	lea 32(%rsi), %rdi\n"
	"	rep movsb\n"
	"8:	xor %eax, %edx\n"
	"	lock xadd %rdx, -16(%rdi)\n"
	"	jmp mix\n"
	"	int3\n"
	"	int3\n"
	/* A load that faults; the handler goes on behind it, in the middle of whatever it is. */
	"fault:	entry\n"
	"	movabs $0x7fffffff000, %rcx\n"
	"	test $1, %dil\n"
	"	cmovz %rdi, %rcx\n"
	"	lea words + 8(%rip), %rdx\n"
	"	cmovz %rdx, %rcx\n"
	"	inc %edi\n"
	"	mov (%rcx), %rcx\n"
	"	inc %edi\n"
	"	add %ecx, %edi\n"
	"	mov (%rdx), %rax\n"
	"	shl $3, %rax\n"
	"	cmp $9, %edi\n"
	"	ja mix + 5\n"
	"	ret\n"
	"	.balign 16, 0x90\n"
	/* Recursion with a jump back over the window. */
	"deep:	entry\n"
	"	mov %rdi, %rax\n"
	"	and $7, %edi\n"
	"	jz 9f\n"
	"	dec %edi\n"
	"	call deep\n"
	"	inc %rax\n"
	"9:	nop\n"
	"	rol %rax\n"
	"	ret\n"
	"	.balign 16, 0x90\n"
	"last:	entry\n"
	"	ret\n"
	".balign 8\n"
	"table:	.long 3b - table, 4b - table, 5b - table, 6b - table\n"
	"machine_end:\n"
	/* Behind the code in memory, but all that is told of it is this. */
	"machine_entries:\n"
	"	.long mix - machine, calls - machine, cases - machine, tail - machine\n"
	"	.long fault - machine, deep - machine, last - machine\n"
	".popsection\n");
extern const uint8_t machine[], machine_end[];
extern const uint32_t machine_entries[];

static uint8_t text[TEXT_BYTES];

/* --- the machine --- */

static void skip_bad_load(int signal, siginfo_t *info, void *context)
{
	ucontext_t *user = context;
	uint64_t pc = (uint64_t)user->uc_mcontext.gregs[REG_RIP];

	if (info->si_addr != (void *)BAD_LOAD || pc - BASE >= TEXT_BYTES)
		_exit(3);
	user->uc_mcontext.gregs[REG_RIP] += 3;
}

static void *map(uint64_t address, uint64_t size)
{
	void *memory = mmap((void *)address, size, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);

	if (memory == MAP_FAILED)
		_exit(2);
	return memory;
}

static void run_machine(void *arg)
{
	struct sigaction action = {.sa_sigaction = skip_bad_load, .sa_flags = SA_SIGINFO};
	uint64_t *words = map(DATA, DATA_BYTES);
	uint64_t state = 7;

	memcpy(map(BASE, TEXT_BYTES), text, TEXT_BYTES);
	mprotect((void *)BASE, TEXT_BYTES, PROT_READ | PROT_EXEC);
	words[8] = BASE + machine_entries[5];
	words[9] = BASE + machine_entries[2];
	sigaction(SIGSEGV, &action, NULL);
	for (uint64_t event = 1; event <= EVENTS; event++) {
		bh_gate.event = event;
		bh_gate.tick = 0;
		bh_gate_pass();
		for (unsigned int call = 0; call < 2 + event % 3; call++) {
			uint64_t function, argument, result;
			state = state * 6364136223846793005ull + 1442695040888963407ull;
			function = BASE + machine_entries[(state >> 33) % FUNCTIONS];
			argument = state & 0xffff;
			/* What the functions use as they like, and a word that is theirs. */
			__asm__ volatile("sub $136, %%rsp\n"
					 "call *%2\n"
					 "add $136, %%rsp\n"
					 : "=a"(result), "+D"(argument)
					 : "r"(function)
					 : "rcx", "rdx", "rsi", "r8", "r9", "r10", "r11", "r12",
					   "r13", "memory", "cc");
			state ^= result;
		}
	}
	_exit(0);
}

/* --- history, by single steps --- */

#define PARTS	    4
#define RED_ZONE    128
#define STACK_BYTES 640

struct moment {
	struct bh_position position;
	uint64_t hashes[PARTS], pc, rax;
};

#define MOMENTS_MAX 40000
static struct moment *moments;
static size_t moment_count;

static uint64_t mix(uint64_t hash, const void *bytes, size_t count)
{
	const uint8_t *byte = bytes;

	for (size_t i = 0; i < count; i++)
		hash = (hash ^ byte[i]) * 0x100000001b3ull;
	return hash;
}

/* Of registers, data, text and the stack; of the last nothing below the red zone, where what a
 * signal of the host's has left isn't the program's. */
static void take_hashes(struct bh_timeline *timeline, uint64_t hashes_ret[PARTS])
{
	static uint8_t bytes[TEXT_BYTES + DATA_BYTES];
	struct bh_copy *copy = bh_timeline_copy(timeline);
	struct user_regs_struct registers = *bh_copy_registers(copy);
	const uint64_t basis = 0xcbf29ce484222325ull;

	registers.orig_rax = 0;
	hashes_ret[0] = mix(basis, &registers, sizeof(registers));
	hashes_ret[1] = mix(basis, bytes, bh_copy_read(copy, DATA, bytes, DATA_BYTES));
	hashes_ret[2] = mix(basis, bytes, bh_copy_read(copy, BASE, bytes, TEXT_BYTES));
	hashes_ret[3] =
		mix(basis, bytes, bh_copy_read(copy, registers.rsp - RED_ZONE, bytes, STACK_BYTES));
}

static void record_stretch(struct bh_timeline *timeline)
{
	enum bh_arrival arrival = BH_ARRIVED;

	must(bh_timeline_seek(timeline, (struct bh_position){FROM, 0, 0}, &arrival));
	while (arrival == BH_ARRIVED && bh_timeline_position(timeline).event < TO &&
	       moment_count < MOMENTS_MAX) {
		struct bh_copy *copy = bh_timeline_copy(timeline);
		struct moment *moment = &moments[moment_count++];
		moment->position = bh_timeline_position(timeline);
		moment->pc = bh_copy_pc(copy);
		moment->rax = bh_copy_registers(copy)->rax;
		take_hashes(timeline, moment->hashes);
		must(bh_timeline_step(timeline, BH_FORWARD, &arrival));
	}
	check(arrival == BH_ARRIVED && moment_count > 2000 && moment_count < MOMENTS_MAX,
	      "a stretch of history is stepped through");
	printf("# %zu positions in %d events\n", moment_count, TO - FROM);
}

static int is_moment(struct bh_timeline *timeline, const struct moment *moment)
{
	static const char *const parts[PARTS] = {"registers", "data", "text", "stack"};
	struct bh_position position = bh_timeline_position(timeline);
	uint64_t hashes[PARTS];
	int is_equal = !bh_position_compare(position, moment->position) &&
		       bh_copy_pc(bh_timeline_copy(timeline)) == moment->pc;

	take_hashes(timeline, hashes);
	for (size_t i = 0; is_equal && i < PARTS; i++) {
		if (hashes[i] == moment->hashes[i])
			continue;
		printf("# the %s differ\n", parts[i]);
		is_equal = 0;
	}
	return is_equal;
}

/* --- conditions --- */

/* rax & 7 == value, as gdb would send it: register 0, and, constants, equal. */
#define CONDITION_VALUE 7
static uint8_t condition_code[] = {0x26, 0, 0, 0x22, 7, 0x0f, 0x22, 0, 0x13, 0x27};
static const struct bh_probe_code code_piece = {condition_code, sizeof(condition_code)};
static const uint8_t condition_registers[] = {BH_PROBE_GENERAL};
static const struct bh_probe_condition condition = {&code_piece, 1, condition_registers, 1, 0, 0};
static struct bh_timeline *asking;
static unsigned int asked, asked_later; /* later: not in the first event */
static unsigned int asked_with_counter; /* while this process could read the counter of time */

static int holds(uint64_t rax)
{
	return (rax & 7) == condition_code[CONDITION_VALUE];
}

static int accept_hit(void *arg, unsigned int watch_hits)
{
	int counter = 0;

	(void)arg;
	(void)watch_hits;
	asked++;
	prctl(PR_GET_TSC, &counter);
	asked_with_counter += counter != PR_TSC_SIGSEGV;
	asked_later += bh_timeline_position(asking).event > FROM;
	return holds(bh_copy_registers(bh_timeline_copy(asking))->rax);
}

static int is_one_of(uint64_t pc, const uint64_t *addresses, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (addresses[i] == pc)
			return 1;
	return 0;
}

/* The place in history where a search from `at` must end; moment_count: at the limit. */
static size_t expected(size_t at, int direction, const uint64_t *addresses, size_t count)
{
	while (direction == BH_FORWARD ? ++at < moment_count : at-- > 0)
		if (is_one_of(moments[at].pc, addresses, count) && holds(moments[at].rax))
			return at;
	return moment_count;
}

enum way { IN_PROCESS, ASKED, WAYS };

static int search_is_right(struct bh_timeline *timeline, size_t at, int direction,
			   const uint64_t *addresses, size_t count, enum way way)
{
	const struct bh_probe_condition *conditions[8] = {0};
	struct bh_search search = {
		.addresses = addresses,
		.address_count = count,
		.conditions = conditions,
		.accept = accept_hit,
		.limit_event = direction == BH_FORWARD ? TO : FROM,
	};
	size_t target = expected(at, direction, addresses, count);
	enum bh_arrival arrival;
	struct bh_find find;

	for (size_t i = 0; i < count && way == IN_PROCESS; i++)
		conditions[i] = &condition;
	must(bh_timeline_seek(timeline, moments[at].position, &arrival));
	must(bh_timeline_search(timeline, &search,
				direction == BH_FORWARD ? BH_FORWARD : BH_BACKWARD, &find));
	if (target == moment_count
		    ? find.found == BH_FOUND_LIMIT
		    : find.found == BH_FOUND_BREAKPOINT && find.address == moments[target].pc &&
			      is_moment(timeline, &moments[target]))
		return 1;
	struct bh_position position = bh_timeline_position(timeline);
	printf("# %s, way %d, from %zu (pc +%#llx) with breakpoint +%#llx of %zu, rax & 7 == %d: "
	       "found "
	       "%d at (%lu,%lu,%lu) pc %#lx\n",
	       direction == BH_FORWARD ? "forward" : "back", (int)way, at, moments[at].pc - BASE,
	       addresses[0] - BASE, count, condition_code[CONDITION_VALUE], (int)find.found,
	       position.event, position.tick, position.instruction,
	       bh_copy_pc(bh_timeline_copy(timeline)));
	if (target < moment_count)
		printf("# expected %zu: (%lu,%lu,%lu) pc +%#llx\n", target,
		       moments[target].position.event, moments[target].position.tick,
		       moments[target].position.instruction, moments[target].pc - BASE);
	return 0;
}

/* --- the tests --- */

static uint64_t pcs[512];
static size_t pc_count;

static void list_instructions(void)
{
	for (size_t i = 0; i < moment_count && pc_count < 512; i++)
		if (moments[i].pc - BASE < TEXT_BYTES && !is_one_of(moments[i].pc, pcs, pc_count))
			pcs[pc_count++] = moments[i].pc;
}

/* Some place in the stretch, as often as not one where the breakpoint is or that is near it. */
static size_t some_place(uint64_t address, unsigned int *seed)
{
	size_t at = (size_t)rand_r(seed) % moment_count;

	for (size_t i = 0; rand_r(seed) % 2 && i < moment_count; i++)
		if (moments[(at + i) % moment_count].pc - address < 8)
			return (at + i) % moment_count;
	return at;
}

static void test_each_instruction(struct bh_timeline *timeline, unsigned int *seed)
{
	int is_ok = 1;

	asked = 0;
	for (size_t i = 0; i < pc_count; i++) {
		for (int way = 0; way < WAYS && is_ok; way++) {
			size_t at = some_place(pcs[i], seed);
			condition_code[CONDITION_VALUE] = (uint8_t)(rand_r(seed) % 9);
			is_ok = search_is_right(timeline, at, BH_FORWARD, &pcs[i], 1, way) &&
				search_is_right(timeline, at, BH_BACKWARD, &pcs[i], 1, way);
		}
	}
	check(is_ok && asked, "each instruction's condition holds where it should, in both "
			      "directions, whoever decides");
}

static int compare_u64(const void *left, const void *right)
{
	uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;

	return a < b ? -1 : a > b;
}

static void test_many(struct bh_timeline *timeline, unsigned int *seed)
{
	int is_ok = 1;

	for (int round = 0; round < 150 && is_ok; round++) {
		uint64_t addresses[8];
		size_t count = 0, first = (size_t)rand_r(seed) % pc_count;
		size_t wanted = 2 + (size_t)rand_r(seed) % 7;
		/* Next to each other, more often than not. */
		for (size_t i = 0; i < wanted; i++) {
			size_t step = rand_r(seed) % 4 ? i : (size_t)rand_r(seed);
			uint64_t address = pcs[(first + step) % pc_count];
			if (!is_one_of(address, addresses, count))
				addresses[count++] = address;
		}
		qsort(addresses, count, sizeof(*addresses), compare_u64);
		condition_code[CONDITION_VALUE] = (uint8_t)(rand_r(seed) % 9);
		for (int direction = BH_FORWARD; is_ok && direction <= BH_BACKWARD; direction++)
			is_ok = search_is_right(timeline, some_place(addresses[0], seed), direction,
						addresses, count, round % 3 == 0);
	}
	check(is_ok, "several breakpoints side by side likewise");
}

/* What may read it and what may not are switched at a cost that is several times that of the rest
 * of a stop. */
static void test_counter(void)
{
	int counter = 0;

	prctl(PR_GET_TSC, &counter);
	check(asked && !asked_with_counter && counter == PR_TSC_ENABLE,
	      "while it moves others, the tracer does without the counter of time, as they do");
}

/* In the course of time several programs may lie at an address: a breakpoint is in one of them. */
static void test_text(struct bh_timeline *timeline)
{
	uint8_t bytes[BH_SEARCH_TEXT];
	const uint8_t *texts[] = {bytes};
	uint64_t address = BASE + machine_entries[0] + BH_ENTRY_BYTES;
	struct bh_search search = {
		.addresses = &address, .address_count = 1, .texts = texts, .limit_event = TO};
	const struct bh_position start = {FROM, 0, 0};
	enum bh_arrival arrival;
	struct bh_find find, other;

	memcpy(bytes, text + (address - BASE), sizeof(bytes));
	must(bh_timeline_seek(timeline, start, &arrival));
	must(bh_timeline_search(timeline, &search, BH_FORWARD, &find));
	bytes[BH_SEARCH_TEXT - 1] ^= 1;
	must(bh_timeline_seek(timeline, start, &arrival));
	must(bh_timeline_search(timeline, &search, BH_FORWARD, &other));
	check(find.found == BH_FOUND_BREAKPOINT && other.found == BH_FOUND_LIMIT,
	      "a breakpoint stops only in the program that it was set in");
}

/* Where signals come up, which take the jumps away. */
static int is_in_fault(uint64_t pc)
{
	return pc - BASE >= machine_entries[4] && pc - BASE < machine_entries[5];
}

/* pushf and the like are stepped. */
static int is_displaceable(struct bh_code_map *map, uint64_t pc)
{
	uint8_t room[128];
	struct bh_displaced displaced;
	struct bh_displace_request request = {
		.code = text + (pc - BASE),
		.from = pc,
		.to = BASE + STUBS,
		.window = bh_code_map_window(map, pc - BASE),
		.slot = BASE + STUBS,
		.room = room,
		.capacity = sizeof(room),
	};

	return request.window && bh_displace(bh_code_map_disassembler(map), &request, &displaced);
}

/* A condition that never holds is decided without a stop wherever there is a window. */
static void test_no_stops(struct bh_timeline *timeline, struct bh_code_map *map)
{
	size_t windows = 0, silent = 0;
	int is_ok = 1;

	condition_code[CONDITION_VALUE] = 9;
	for (size_t i = 0; i < pc_count && is_ok; i++) {
		if (is_in_fault(pcs[i]) || !is_displaceable(map, pcs[i]))
			continue;
		windows++;
		/* The event in which a search begins may have its ticks counted. */
		asked_later = 0;
		is_ok = search_is_right(timeline, 0, BH_FORWARD, &pcs[i], 1, IN_PROCESS);
		silent += asked_later == 0;
	}
	printf("# %zu of %zu instructions can give way to a jump\n", windows, pc_count);
	check(is_ok && windows >= 40 && silent == windows,
	      "a condition that never holds is decided without a stop where a jump is possible");
}

/* --- windows --- */

/* Offsets in functions of their own: what may be replaced there. */
struct window_case {
	const char *what;
	const char *code; /* behind the entry */
	size_t length, offset, window;
};
#define CODE(bytes) bytes, sizeof(bytes) - 1

static const struct window_case window_cases[] = {
	{"three instructions", CODE("\x48\x89\xf8\x90\x50\x90\xc3"), 0, 5},
	{"one long instruction", CODE("\x81\xc7\x01\x00\x00\x00\xc3"), 0, 6},
	{"not in the middle of one", CODE("\x81\xc7\x01\x00\x00\x00\xc3"), 2, 0},
	{"a short jump to the second", CODE("\x90\x48\x89\xf8\xff\xc8\x75\xf9\xc3"), 0, 0},
	{"a short jump to the first", CODE("\x48\x89\xf8\xff\xc8\x75\xf9\xc3"), 0, 5},
	{"a call that returns into it", CODE("\xff\xd0\x48\x89\xc7\xc3"), 0, 0},
	{"a call at its end", CODE("\x48\x89\xf8\xff\xd0\xc3"), 0, 5},
	{"a return and what fills the gap", CODE("\x5b\xc3\x66\x90\x90\x90\x90"), 0, 5},
	{"a return and other code", CODE("\x5b\xc3\x48\x89\xc7\xc3"), 0, 0},
	{"no room before the next function", CODE("\x5b\xc3"), 0, 0},
	{"a near jump to the second, from anywhere",
	 CODE("\x50\x58\x50\x58\x90\xc3\xe9\xf6\xff\xff\xff"), 0, 0},
	{"its address formed, from anywhere",
	 CODE("\x50\x58\x50\x58\x90\xc3\x48\x8d\x05\xf4\xff\xff\xff"), 0, 0},
	/* lea table(%rip), %rdx; movslq (%rdx), %rax; add %rdx, %rax; jmp *%rax */
	{"a switch that leads into it",
	 CODE("\x90\x90\x90\x90\x90\x90\x48\x8d\x15\xe2\xff\xff\xff\x48\x63\x02\x48\x01"
	      "\xd0\xff\xe0"),
	 0, 0},
	{"a switch that doesn't",
	 CODE("\x90\x90\x90\x90\x90\x90\x48\x8d\x15\xe6\xff\xff\xff\x48\x63\x02\x48\x01"
	      "\xd0\xff\xe0"),
	 0, 5},
};

static void test_windows(void)
{
	for (size_t i = 0; i < sizeof(window_cases) / sizeof(*window_cases); i++) {
		const struct window_case *window = &window_cases[i];
		static uint8_t bytes[256];
		const uint32_t starts[2] = {16, (uint32_t)(21 + window->length)};
		struct bh_code_layout layout = {bytes, sizeof(bytes), starts, 2, NULL, NULL};
		struct bh_code_map *map;
		const int32_t table = 23 - 4; /* at offset 4: to the third byte of the code */

		memset(bytes, 0xcc, sizeof(bytes));
		for (int k = 0; k < 2; k++)
			memcpy(bytes + starts[k], bh_entry_nop, BH_ENTRY_BYTES);
		memcpy(bytes + 21, window->code, window->length);
		memcpy(bytes + 4, &table, sizeof(table));
		must(bh_code_map_create(&layout, &map));
		size_t found = bh_code_map_window(map, 21 + window->offset);
		if (found != window->window)
			printf("# %zu bytes, expected %zu\n", found, window->window);
		check(found == window->window, window->what);
		bh_code_map_destroy(map);
	}
}

static void test_as_kernel(const struct bh_tick_text *tick_text, struct bh_code_map *map,
			   unsigned int *seed)
{
	struct bh_timeline_config config = {.run = run_machine, .last_event = EVENTS};
	struct bh_timeline *timeline;

	must(bh_timeline_create(&config, &timeline));
	must(bh_timeline_add_region(timeline, BASE, tick_text, map));
	asking = timeline;
	record_stretch(timeline);
	list_instructions();
	test_no_stops(timeline, map);
	test_each_instruction(timeline, seed);
	test_many(timeline, seed);
	test_counter();
	test_text(timeline);
	bh_timeline_destroy(timeline);
}

static int is_program(uint64_t address)
{
	return address - BASE < TEXT_BYTES;
}

/* The same as a program's text: breakpoints keep their int3, and what goes on from one is a copy of
 * the instruction, beside a kernel that is far away and never runs. */
static void test_as_program(const struct bh_tick_text *tick_text, struct bh_code_map *map,
			    unsigned int *seed)
{
	struct bh_timeline_config config = {
		.run = run_machine, .last_event = EVENTS, .is_program = is_program};
	struct bh_timeline *timeline;

	must(bh_timeline_create(&config, &timeline));
	must(bh_timeline_add_region(timeline, FAR_BASE, tick_text, map));
	asking = timeline;
	moment_count = 0;
	record_stretch(timeline);
	test_each_instruction(timeline, seed);
	test_many(timeline, seed);
	condition_code[CONDITION_VALUE] = 9;
	const uint64_t address = BASE + machine_entries[0] + BH_ENTRY_BYTES;
	check(search_is_right(timeline, 0, BH_FORWARD, &address, 1, ASKED) &&
		      bh_timeline_copy(timeline)->over,
	      "going on from a breakpoint in a program takes no step");
	bh_timeline_destroy(timeline);
}

int main(int argc, char **argv)
{
	unsigned int seed =
		argc > 1 ? (unsigned int)strtoul(argv[1], NULL, 0) : (unsigned int)time(NULL);
	struct bh_tick_layout layout = {text, 0, TEXT_BYTES, machine_entries, FUNCTIONS, STUBS};
	struct bh_code_layout code = {text, TEXT_BYTES, machine_entries, FUNCTIONS, NULL, NULL};
	struct bh_tick_text *tick_text;
	struct bh_code_map *map;
	uint8_t cpus[128];

	printf("# seed %u\n", seed);
	memcpy(text, machine, (size_t)(machine_end - machine));
	moments = calloc(MOMENTS_MAX, sizeof(*moments));
	must(bh_tracee_pin(cpus, sizeof(cpus)));
	must(bh_tick_text_create(&layout, &tick_text));
	must(bh_code_map_create(&code, &map));
	test_windows();
	test_as_kernel(tick_text, map, &seed);
	test_as_program(tick_text, map, &seed);
	bh_code_map_destroy(map);
	bh_tick_text_destroy(tick_text);
	free(moments);
	printf("1..%d\n", test_number);
	return failures != 0;
}
