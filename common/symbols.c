/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The door to libdw: see symbols.h. */
#include "common/symbols.h"

#include <dwarf.h>
#include <elfutils/libdwfl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct bh_symbols {
	Dwfl *session;
	Dwfl_Module *module;
};

/* Debug information is in the file itself or nowhere: it is never looked for elsewhere. */
static int find_nothing(Dwfl_Module *module, void **user, const char *name, Dwarf_Addr base,
			const char *file, const char *link, GElf_Word checksum, char **path_ret)
{
	return -1;
}

static const Dwfl_Callbacks callbacks = {
	.find_debuginfo = find_nothing,
	.section_address = dwfl_offline_section_address,
};

/*
 * libdw's client of debuginfod servers, in a version that doesn't exist: with these in the program
 * the linker takes no others, which would need shared libraries.
 */
void __libdwfl_debuginfod_init(void);
void __libdwfl_debuginfod_init(void)
{
}

int __libdwfl_debuginfod_find_executable(Dwfl *session, const unsigned char *id, size_t length);
int __libdwfl_debuginfod_find_executable(Dwfl *session, const unsigned char *id, size_t length)
{
	return -1;
}

int __libdwfl_debuginfod_find_debuginfo(Dwfl *session, const unsigned char *id, size_t length);
int __libdwfl_debuginfod_find_debuginfo(Dwfl *session, const unsigned char *id, size_t length)
{
	return -1;
}

void __libdwfl_debuginfod_end(void *client);
void __libdwfl_debuginfod_end(void *client)
{
}

struct bh_symbols *bh_symbols_open(const char *path)
{
	struct bh_symbols *symbols = calloc(1, sizeof(*symbols));

	if (!symbols)
		return NULL;
	symbols->session = dwfl_begin(&callbacks);
	if (symbols->session) {
		dwfl_report_begin(symbols->session);
		symbols->module = dwfl_report_elf(symbols->session, "", path, -1, 0, 1);
		dwfl_report_end(symbols->session, NULL, NULL);
	}
	if (symbols->module)
		return symbols;
	bh_symbols_close(symbols);
	return NULL;
}

struct bh_symbols *bh_symbols_open_image(const char *image_path)
{
	char *path = NULL;

	if (asprintf(&path, "%s.debug", image_path) < 0)
		return NULL;
	struct bh_symbols *symbols = bh_symbols_open(path);

	free(path);
	return symbols;
}

void bh_symbols_close(struct bh_symbols *symbols)
{
	if (!symbols)
		return;
	if (symbols->session)
		dwfl_end(symbols->session);
	free(symbols);
}

/* A kernel's sources are named by where they would lie; a reader wants to know where in the tree.
 */
static const char *short_path(const char *path)
{
	const char *tree = strstr(path, "/linux-");
	const char *rest = tree ? strchr(tree + 1, '/') : NULL;

	/* Relative to where it was compiled. */
	if (!rest && !strncmp(path, "../src/", 7))
		return path + 7;
	while (rest && !strncmp(rest, "/./", 3))
		rest += 2;
	return rest ? rest + 1 : path;
}

int bh_symbols_function(const struct bh_symbols *symbols, uint64_t address, char *text_ret,
			size_t size)
{
	GElf_Off offset;
	GElf_Sym symbol;
	const char *name = symbols ? dwfl_module_addrinfo(symbols->module, address, &offset,
							  &symbol, NULL, NULL, NULL)
				   : NULL;

	if (!name)
		return 0;
	/* The compiler's parts of a function are the function. */
	snprintf(text_ret, size, "%.*s", (int)strcspn(name, "."), name);
	return 1;
}

int bh_symbols_describe(const struct bh_symbols *symbols, uint64_t address, char *text_ret,
			size_t size)
{
	GElf_Off offset;
	GElf_Sym symbol;
	const char *name = symbols ? dwfl_module_addrinfo(symbols->module, address, &offset,
							  &symbol, NULL, NULL, NULL)
				   : NULL;
	Dwfl_Line *line = symbols ? dwfl_module_getsrc(symbols->module, address) : NULL;
	int number = 0;
	const char *path = line ? dwfl_lineinfo(line, NULL, &number, NULL, NULL, NULL) : NULL;

	if (!name)
		return 0;
	if (path)
		snprintf(text_ret, size, "%s+0x%llx (%s:%d)", name, (unsigned long long)offset,
			 short_path(path), number);
	else
		snprintf(text_ret, size, "%s+0x%llx", name, (unsigned long long)offset);
	return 1;
}

uint64_t bh_symbols_address(const struct bh_symbols *symbols, const char *function)
{
	int count = symbols ? dwfl_module_getsymtab(symbols->module) : 0;

	for (int i = 1; i < count; i++) {
		GElf_Sym symbol;
		GElf_Addr address;
		const char *name = dwfl_module_getsym_info(symbols->module, i, &symbol, &address,
							   NULL, NULL, NULL);

		if (name && GELF_ST_TYPE(symbol.st_info) == STT_FUNC && !strcmp(name, function))
			return address;
	}
	return 0;
}

/* --- types --- */

/* A member, also of unnamed structures and unions in it, however deep. */
static int find_member(Dwarf_Die *structure, const char *name, uint64_t *offset_ret)
{
	Dwarf_Die child;

	if (dwarf_child(structure, &child))
		return 0;
	do {
		Dwarf_Attribute attribute;
		Dwarf_Word offset = 0;
		Dwarf_Die type;
		const char *is = dwarf_diename(&child);

		if (dwarf_tag(&child) != DW_TAG_member)
			continue;
		if (dwarf_attr(&child, DW_AT_data_member_location, &attribute))
			dwarf_formudata(&attribute, &offset);
		if (is && !strcmp(is, name)) {
			*offset_ret = offset;
			return 1;
		}
		if (!is && dwarf_attr(&child, DW_AT_type, &attribute) &&
		    dwarf_formref_die(&attribute, &type) && find_member(&type, name, offset_ret)) {
			*offset_ret += offset;
			return 1;
		}
	} while (!dwarf_siblingof(&child, &child));
	return 0;
}

int bh_symbols_member(const struct bh_symbols *symbols, uint64_t function, const char *structure,
		      const char *member, uint64_t *offset_ret)
{
	Dwarf_Addr bias;
	Dwarf_Die *unit = symbols ? dwfl_module_addrdie(symbols->module, function, &bias) : NULL;
	Dwarf_Die child;

	if (!unit || dwarf_child(unit, &child))
		return 0;
	do {
		const char *name = dwarf_diename(&child);

		if (dwarf_tag(&child) == DW_TAG_structure_type && name &&
		    !strcmp(name, structure) && !dwarf_hasattr(&child, DW_AT_declaration))
			return find_member(&child, member, offset_ret);
	} while (!dwarf_siblingof(&child, &child));
	return 0;
}

/* What a type is without its typedefs and qualifiers; 0 if that isn't known. */
static int strip_type(Dwarf_Die *type)
{
	Dwarf_Attribute attribute;

	for (int depth = 0; depth < 32; depth++) {
		switch (dwarf_tag(type)) {
		case DW_TAG_typedef:
		case DW_TAG_const_type:
		case DW_TAG_volatile_type:
		case DW_TAG_restrict_type:
			if (!dwarf_attr(type, DW_AT_type, &attribute) ||
			    !dwarf_formref_die(&attribute, type))
				return 0;
			break;
		default:
			return 1;
		}
	}
	return 0;
}

static int points_to(Dwarf_Die *variable, const char *structure)
{
	Dwarf_Attribute attribute;
	Dwarf_Die type;

	if (!dwarf_attr_integrate(variable, DW_AT_type, &attribute) ||
	    !dwarf_formref_die(&attribute, &type) || !strip_type(&type) ||
	    dwarf_tag(&type) != DW_TAG_pointer_type || !dwarf_attr(&type, DW_AT_type, &attribute) ||
	    !dwarf_formref_die(&attribute, &type) || !strip_type(&type) ||
	    dwarf_tag(&type) != DW_TAG_structure_type)
		return 0;
	const char *name = dwarf_diename(&type);

	return name && !strcmp(name, structure);
}

/* The number of the argument that is in this variable when the function is entered, or -1. */
static int argument_of(Dwarf_Die *variable, Dwarf_Addr entry)
{
	/* rdi, rsi, rdx, rcx, r8, r9 in DWARF's numbers (System V ABI, AMD64, 3.6.2) */
	static const unsigned char registers[] = {5, 4, 1, 2, 8, 9};
	Dwarf_Attribute attribute;
	Dwarf_Op *operation;
	size_t length;

	if (!dwarf_attr_integrate(variable, DW_AT_location, &attribute) ||
	    dwarf_getlocation_addr(&attribute, entry, &operation, &length, 1) != 1 || length != 1)
		return -1;
	for (int i = 0; i < 6; i++)
		if (operation->atom == DW_OP_reg0 + registers[i])
			return i;
	return -1;
}

struct takers {
	const char *structure;
	void (*found)(void *arg, uint64_t address, const char *function, unsigned int arguments);
	void *arg;
};

static int look_at_function(Dwarf_Die *function, void *arg)
{
	const struct takers *takers = arg;
	unsigned int arguments = 0;
	Dwarf_Addr entry;
	Dwarf_Die child;

	if (dwarf_lowpc(function, &entry) && dwarf_entrypc(function, &entry))
		return DWARF_CB_OK;
	if (dwarf_child(function, &child))
		return DWARF_CB_OK;
	do {
		int number;

		if (dwarf_tag(&child) != DW_TAG_formal_parameter ||
		    !points_to(&child, takers->structure))
			continue;
		number = argument_of(&child, entry);
		if (number >= 0)
			arguments |= 1u << number;
	} while (!dwarf_siblingof(&child, &child));
	const char *name = arguments ? dwarf_diename(function) : NULL;

	if (name)
		takers->found(takers->arg, entry, name, arguments);
	return DWARF_CB_OK;
}

void bh_symbols_takers(const struct bh_symbols *symbols, const char *structure,
		       void (*found)(void *arg, uint64_t address, const char *function,
				     unsigned int arguments),
		       void *arg)
{
	struct takers takers = {structure, found, arg};
	Dwarf_Addr bias;
	Dwarf_Die *unit = NULL;

	while (symbols && (unit = dwfl_module_nextcu(symbols->module, unit, &bias)))
		dwarf_getfuncs(unit, look_at_function, &takers, 0);
}

/* --- stacks of programs --- */

struct walk {
	const struct bh_stack *stack;
	uint64_t *counters;
	size_t count, max;
};

/* There is one thread, whose number means nothing. */
static pid_t next_thread(Dwfl *session, void *arg, void **thread_arg)
{
	if (*thread_arg)
		return 0;
	*thread_arg = arg;
	return 1;
}

static bool read_memory(Dwfl *session, Dwarf_Addr address, Dwarf_Word *word_ret, void *arg)
{
	const struct walk *walk = arg;

	return walk->stack->read(walk->stack->arg, address, word_ret);
}

static bool set_registers(Dwfl_Thread *thread, void *arg)
{
	const struct walk *walk = arg;

	return dwfl_thread_state_registers(thread, 0, BH_STACK_REGISTERS, walk->stack->registers);
}

static int add_frame(Dwfl_Frame *frame, void *arg)
{
	struct walk *walk = arg;
	Dwarf_Addr counter;

	if (walk->count == walk->max || !dwfl_frame_pc(frame, &counter, NULL))
		return DWARF_CB_ABORT;
	walk->counters[walk->count++] = counter;
	return DWARF_CB_OK;
}

size_t bh_stack_walk(const struct bh_stack *stack, uint64_t *counters_ret, size_t max)
{
	static const Dwfl_Thread_Callbacks thread_callbacks = {
		.next_thread = next_thread,
		.memory_read = read_memory,
		.set_initial_registers = set_registers,
	};
	struct walk walk = {.stack = stack, .counters = counters_ret, .max = max};
	Dwfl *session = dwfl_begin(&callbacks);

	if (!session)
		return 0;
	dwfl_report_begin(session);
	for (size_t i = 0; i < stack->image_count; i++)
		dwfl_report_elf(session, stack->images[i].path, stack->images[i].path, -1,
				stack->images[i].bias, 1);
	dwfl_report_end(session, NULL, NULL);
	if (dwfl_attach_state(session, NULL, 1, &thread_callbacks, &walk))
		dwfl_getthread_frames(session, 1, add_frame, &walk);
	dwfl_end(session);
	return walk.count;
}
