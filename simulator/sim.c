/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The life of a run and its main loop: see sim.h. */
#include "simulator/sim.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/host_time.h"
#include "common/link_maps.h"
#include "kernel-lib/arch/backhop/include/uapi/asm/setup.h"
#include "simulator/feed.h"
#include "simulator/node_view.h"
#include "simulator/program_check.h"
#include "simulator/shell_words.h"
#include "simulator/sim_internal.h"

/* Wall-clock time of virtual time 0 on every node: 2024-01-01 00:00:00 UTC. */
#define EPOCH_NS 1704067200000000000ul
/* So many events without a step of the clock are a loop: frames that go round and round over links
 * without delay, for example. */
#define STILL_EVENTS_MAX 5000000u

static struct bh_error *out_of_memory(void)
{
	return bh_error_new(BH_ERR_NOMEM, "out of memory");
}

/* --- kernels --- */

static struct bh_error *find_image(struct bh_sim *sim, const char *version,
				   struct bh_image **image_ret)
{
	const struct bh_sim_config *config = &sim->config;
	char *path = NULL;

	for (size_t i = 0; i < sim->image_count; i++) {
		if (strcmp(sim->image_versions[i], version) == 0) {
			*image_ret = sim->images[i];
			return NULL;
		}
	}
	BH_TRY(config->find_kernel(config->find_kernel_arg, version, &path));
	struct bh_error *error = bh_image_open(path, &sim->images[sim->image_count]);

	free(path);
	if (error)
		return error;
	*image_ret = sim->images[sim->image_count];
	sim->image_versions[sim->image_count++] = strdup(version);
	return sim->image_versions[sim->image_count - 1] ? NULL : out_of_memory();
}

/*
 * Sysctls go on the kernel's command line, which sets them before the first program starts
 * (do_sysctl_args() of fs/proc/proc_sysctl.c, Linux 5.8 and later). One that it can't set is a
 * line in the kernel log: see check_log_line() of sim_node.c.
 */
static struct bh_error *build_command_line(const struct bh_sim_node *node, char **line_ret)
{
	const struct bh_scenario_node *scenario = node->scenario;
	size_t size = scenario->command_line ? strlen(scenario->command_line) + 2 : 2;

	for (size_t i = 0; i < scenario->sysctl_count; i++)
		size += strlen(scenario->sysctls[i].key) + strlen(scenario->sysctls[i].value) +
			strlen(" sysctl.=\"\"");
	/* The image's own default takes a part, too. */
	if (size > COMMAND_LINE_SIZE - 256)
		return bh_error_new(
			BH_ERR_INPUT,
			"node \"%s\" has too many sysctls: they and its cmdline may have "
			"%u bytes together, not %zu",
			scenario->name, COMMAND_LINE_SIZE - 256, size);
	char *line = calloc(1, size);

	if (!line)
		return out_of_memory();
	if (scenario->command_line)
		strcpy(line, scenario->command_line);
	for (size_t i = 0; i < scenario->sysctl_count; i++)
		sprintf(line + strlen(line), " sysctl.%s=\"%s\"", scenario->sysctls[i].key,
			scenario->sysctls[i].value);
	*line_ret = line;
	return NULL;
}

/* --- nodes --- */

/* A scenario that no file made may say nothing of it. */
static void set_costs(struct bh_sim_node *node)
{
	const struct bh_scenario_cpu *cpu = &node->scenario->cpu;
	const struct bh_posix_costs costs = {
		.is_model = cpu->is_model,
		.is_detailed = cpu->kilobyte_ns || cpu->fork_ns || cpu->exec_ns,
		.syscall_ns = cpu->syscall_ns,
		.kilobyte_ns = cpu->kilobyte_ns,
		.fork_ns = cpu->fork_ns,
		.exec_ns = cpu->exec_ns,
		.slice_ns = cpu->slice_ns,
	};

	if (costs.syscall_ns)
		bh_posix_node_set_costs(node->posix, &costs);
}

static struct bh_error *add_image_files(struct bh_sim_node *node, const struct bh_image *image)
{
	size_t count;
	const struct bh_image_file *files = bh_image_files(image, &count);

	for (size_t i = 0; i < count; i++)
		BH_TRY(bh_posix_node_add_constant(node->posix, files[i].path, files[i].data,
						  files[i].size));
	return NULL;
}

static struct bh_error *add_binds(struct bh_sim_node *node)
{
	const struct bh_node_view view = {
		.inputs = node->sim->config.inputs,
		.scenario = node->sim->config.scenario,
		.node = node->scenario,
	};

	for (size_t i = 0; i < node->scenario->bind_count; i++) {
		const struct bh_scenario_bind *bind = &node->scenario->binds[i];
		char path[BH_VIEW_PATH_MAX];

		BH_TRY(bh_node_view_bind(&view, bind, path));
		struct bh_error *error = bh_posix_node_add_bind(node->posix, path, bind->node_path,
								bind->is_read_only);

		if (error) {
			struct bh_error *placed = bh_error_new(
				error->code, "%s:%u: node \"%s\": %s",
				view.scenario->filename ? view.scenario->filename : "scenario",
				bind->line, node->scenario->name, error->message);

			bh_error_free(error);
			return placed;
		}
	}
	return NULL;
}

/* With image.debug itself as the file of the symbols, for the reason that the replayer's server has
 * (replayer/gdb_server_xfer.c). */
static void tell_debugger(struct bh_sim_node *node)
{
	const struct bh_image *image = bh_node_image(node->kernel);
	uint64_t base = bh_node_base(node->kernel);
	const struct bh_link_map entry = {
		.node = node->id,
		.base = base,
		.size = bh_image_size(image),
		.boot = bh_node_boot_record(node->kernel),
		.saved_stack = bh_node_saved_stack(node->kernel),
		.image = bh_image_path(image),
	};
	char *path;

	if (asprintf(&path, "%s.debug", entry.image) < 0)
		return;
	node->link_map = bh_link_maps_add(&entry, access(path, R_OK) ? entry.image : path, base,
					  base + bh_image_dynamic(image));
	free(path);
}

/* One that another runs without: it only has its place, and its ends of wires. */
static void make_absent(struct bh_sim_node *node)
{
	struct bh_netdev devices[BH_MAX_DEVICES];

	node->is_absent = node->is_dead = 1;
	bh_sim_devices_create(node, devices);
}

static struct bh_error *create_node(struct bh_sim *sim, uint32_t id)
{
	struct bh_sim_node *node = &sim->nodes[id];
	struct bh_netdev devices[BH_MAX_DEVICES];
	struct bh_image *image;
	char *command_line = NULL;

	node->sim = sim;
	node->id = id;
	node->scenario = &sim->config.scenario->nodes[id];
	node->timer_slot = id;
	node->program_slot = sim->node_count + id;
	node->power_slot = sim->timeline_slot + 1 + id;
	if (sim->config.feed && id != bh_feed_node(sim->config.feed)) {
		make_absent(node);
		return NULL;
	}
	bh_rng_init(&node->entropy, sim->config.scenario->seed, "entropy", node->scenario->name);
	bh_sim_devices_create(node, devices);
	BH_TRY(find_image(sim, node->scenario->kernel, &image));
	BH_TRY(build_command_line(node, &command_line));

	const struct bh_node_options options = {
		.image = image,
		.id = id,
		.ram_bytes = node->scenario->ram_bytes,
		.command_line = command_line,
		.hostname = node->scenario->name,
		.host_ops = &bh_sim_host_ops,
		.host = node,
		.devices = devices,
		.device_count = node->device_count,
		.epoch_ns = EPOCH_NS,
	};
	struct bh_error *error = bh_node_create(&options, &node->kernel);

	free(command_line);
	if (error)
		return error;
	BH_TRY(bh_posix_node_create(sim->posix, id, node->scenario->name,
				    bh_node_boot_record(node->kernel), &bh_sim_posix_callbacks,
				    node, &node->posix));
	set_costs(node);
	tell_debugger(node);
	BH_TRY(add_image_files(node, image));
	return add_binds(node);
}

static struct bh_error *create_all(struct bh_sim *sim)
{
	const struct bh_scenario *scenario = sim->config.scenario;

	sim->node_count = scenario->node_count;
	sim->nodes = calloc(sim->node_count, sizeof(*sim->nodes));
	sim->runs = calloc(sim->node_count, sizeof(*sim->runs));
	bh_gate.runs = (uintptr_t)sim->runs;
	sim->images = calloc(sim->node_count, sizeof(*sim->images));
	sim->image_versions = calloc(sim->node_count, sizeof(*sim->image_versions));
	sim->result.node_digests = calloc(sim->node_count, sizeof(*sim->result.node_digests));
	/* A timer and a program start for each node, then the wires, then the timeline, then when
	 * nodes start or end. */
	sim->timeline_slot = sim->node_count * 2 + bh_sim_wire_count(scenario);
	sim->queue = bh_event_queue_create(sim->timeline_slot + 1 + sim->node_count);
	if (!sim->nodes || !sim->runs || !sim->images || !sim->image_versions || !sim->queue ||
	    !sim->result.node_digests)
		return out_of_memory();
	BH_TRY(bh_programs_check(scenario, sim->config.inputs));
	BH_TRY(bh_sim_links_create(sim));
	BH_TRY(bh_posix_process_setup());
	BH_TRY(bh_posix_create(sim->config.inputs, &sim->posix));
	for (uint32_t id = 0; id < sim->node_count; id++)
		BH_TRY(create_node(sim, id));
	bh_link_maps_publish();
	BH_TRY(bh_sim_expect_create(sim));
	BH_TRY(bh_sim_processes_create(sim));
	bh_sim_power_create(sim);
	BH_TRY(bh_sim_calls_create(sim));
	return bh_sim_terminal_create(sim);
}

struct bh_error *bh_sim_create(const struct bh_sim_config *config, struct bh_sim **sim_ret)
{
	struct bh_sim *sim = calloc(1, sizeof(*sim));

	if (!sim)
		return out_of_memory();
	sim->config = *config;
	sim->stop_ns = config->terminal ? UINT64_MAX : config->scenario->stop_ns;
	struct bh_error *error = create_all(sim);

	if (error) {
		bh_sim_destroy(sim);
		return error;
	}
	*sim_ret = sim;
	return NULL;
}

static void destroy_result(struct bh_sim_result *result)
{
	for (size_t i = 0; i < result->failure_count; i++) {
		free(result->failures[i].what);
		free(result->failures[i].detail);
		free(result->failures[i].trace);
		bh_words_free(result->failures[i].backtrace);
		free(result->failures[i].program_trace);
	}
	free(result->failures);
	free(result->node_digests);
}

void bh_sim_destroy(struct bh_sim *sim)
{
	if (!sim)
		return;
	bh_sim_terminal_destroy(sim);
	bh_sim_calls_destroy(sim);
	bh_posix_destroy(sim->posix);
	for (size_t i = 0; sim->nodes && i < sim->node_count; i++)
		bh_link_maps_remove(sim->nodes[i].link_map);
	bh_link_maps_publish();
	for (size_t i = 0; sim->nodes && i < sim->node_count; i++) {
		bh_node_destroy(sim->nodes[i].kernel);
		free(sim->nodes[i].program_trace);
	}
	for (size_t i = 0; i < sim->image_count; i++) {
		bh_image_close(sim->images[i]);
		free(sim->image_versions[i]);
	}
	bh_sim_processes_destroy(sim);
	bh_sim_expect_destroy(sim);
	destroy_result(&sim->result);
	bh_event_queue_destroy(sim->queue);
	bh_sim_links_destroy(sim);
	bh_error_free(sim->error);
	free(sim->images);
	free(sim->image_versions);
	free(sim->nodes);
	free(sim->runs);
	free(sim);
}

/* --- the main loop --- */

static void boot_nodes(struct bh_sim *sim)
{
	uint64_t begin_ns = bh_host_time_ns();

	for (size_t i = 0; i < sim->node_count && !sim->error; i++) {
		struct bh_sim_node *node = &sim->nodes[i];

		if (node->is_absent)
			continue;
		if (node->scenario->start_ns == 0) {
			bh_sim_node_boot(node, 0);
			continue;
		}
		node->is_dead = 1;
		bh_sim_power_schedule(node, BH_SIM_POWER_ON, node->scenario->start_ns, 0);
	}
	sim->result.boot_s = (double)(bh_host_time_ns() - begin_ns) / 1e9;
	/* Of what happens at one time, the timeline comes first. */
	bh_sim_timeline_schedule(sim);
	for (size_t i = 0; i < sim->node_count; i++)
		bh_sim_program_schedule(&sim->nodes[i]);
}

void bh_sim_handle(struct bh_sim *sim, size_t slot)
{
	if (slot < sim->node_count)
		bh_sim_node_timer(&sim->nodes[slot]);
	else if (slot < sim->node_count * 2)
		bh_sim_program_start(&sim->nodes[slot - sim->node_count]);
	else if (slot < sim->timeline_slot)
		bh_sim_wire_arrival(sim, &sim->wires[slot - sim->node_count * 2]);
	else if (slot == sim->timeline_slot)
		bh_sim_timeline_action(sim);
	else
		bh_sim_power_change(&sim->nodes[slot - sim->timeline_slot - 1]);
}

static void check_standstill(struct bh_sim *sim)
{
	if (++sim->still_events < STILL_EVENTS_MAX)
		return;
	bh_sim_fail(sim, "standstill", BH_NO_NODE, sim->result.events,
		    "%u events happened without a step of the virtual clock: look for frames that "
		    "circle over links without delay",
		    STILL_EVENTS_MAX);
	sim->is_over = 1;
}

/* Returns 0 at the end of the run. */
static int handle_next(struct bh_sim *sim, size_t slot, uint64_t time_ns)
{
	if (slot == BH_NO_SLOT)
		return 0;
	if (time_ns >= sim->stop_ns) {
		sim->now_ns = sim->stop_ns;
		return 0;
	}
	if (time_ns > sim->now_ns)
		sim->still_events = 0;
	sim->now_ns = time_ns;
	bh_sim_handle(sim, slot);
	return 1;
}

static void run_events(struct bh_sim *sim)
{
	const struct bh_sim_observer *observer = &sim->config.observer;

	while (!sim->is_over && !sim->error) {
		uint64_t time_ns = UINT64_MAX;
		size_t slot = bh_event_queue_first(sim->queue, &time_ns);

		if (slot == BH_NO_SLOT)
			time_ns = UINT64_MAX;
		if (bh_sim_calls_due(sim, time_ns)) {
			bh_sim_calls_ended(sim);
			continue;
		}
		if (!bh_sim_terminal_due(sim, time_ns) && !handle_next(sim, slot, time_ns))
			break;
		bh_sim_calls_ended(sim);
		check_standstill(sim);
		if (observer->between && observer->between(observer->arg))
			sim->result.is_interrupted = sim->is_over = 1;
	}
}

static void stop(struct bh_sim *sim)
{
	const struct bh_scenario *scenario = sim->config.scenario;
	struct bh_event event = {.kind = BH_EVENT_STOP, .node = BH_NO_NODE, .device = BH_NO_DEVICE};

	sim->result.virtual_ns = sim->now_ns;
	if (sim->result.is_abandoned) {
		bh_sim_results_pack(sim);
		return;
	}
	bh_sim_event_begin(sim, &event);
	/* What is expected of a run, one node can't tell. */
	if (sim->config.feed)
		return;
	/* A person who explores may leave before anything was to be done. */
	if (!sim->result.is_interrupted && !(sim->terminal && sim->now_ns < scenario->stop_ns))
		bh_sim_processes_check(sim, event.event);
	if (!sim->result.is_interrupted)
		bh_sim_expect_check(sim, event.event);
	bh_sim_results_pack(sim);
	if (!sim->result.is_interrupted)
		bh_sim_calls_end(sim);
}

struct bh_error *bh_sim_run(struct bh_sim *sim, const struct bh_sim_result **result_ret)
{
	if (sim->config.spin_limit_s)
		BH_TRY(bh_posix_watch(sim->config.spin_limit_s, &bh_gate.event));
	boot_nodes(sim);
	return bh_sim_go_on(sim, result_ret);
}

struct bh_error *bh_sim_take_over(struct bh_sim *sim, const struct bh_sim_observer *observer)
{
	sim->config.observer = *observer;
	/* Whoever read them is in the other process. */
	bh_frame_pool_thaw(&sim->frames);
	sim->config.describes_failures = 0;
	sim->config.spin_limit_s = 0;
	for (size_t i = 0; i < sim->image_count; i++)
		BH_TRY(bh_image_reopen(sim->images[i]));
	return bh_posix_after_restore();
}

struct bh_error *bh_sim_go_on(struct bh_sim *sim, const struct bh_sim_result **result_ret)
{
	const struct bh_sim_observer *observer = &sim->config.observer;

	if (sim->config.feed)
		bh_sim_alone_run(sim);
	else
		run_events(sim);
	if (sim->config.spin_limit_s)
		BH_TRY(bh_posix_watch(0, NULL));
	if (!sim->error)
		stop(sim);
	for (size_t i = 0; i < sim->node_count; i++)
		bh_sim_node_files_show(&sim->nodes[i]);
	if (sim->error) {
		struct bh_error *error = sim->error;

		sim->error = NULL;
		return error;
	}
	if (sim->config.describes_failures)
		bh_sim_failures_describe(sim);
	if (observer->between)
		observer->between(observer->arg);
	*result_ret = &sim->result;
	return NULL;
}

struct bh_frame_pool *bh_sim_frames(struct bh_sim *sim)
{
	return &sim->frames;
}

size_t bh_sim_node_count(const struct bh_sim *sim)
{
	return sim->node_count;
}

const char *bh_sim_node_name(const struct bh_sim *sim, uint32_t node)
{
	return sim->nodes[node].scenario->name;
}

struct bh_node *bh_sim_node(const struct bh_sim *sim, uint32_t node)
{
	return sim->nodes[node].kernel;
}

const struct bh_scenario *bh_sim_scenario(const struct bh_sim *sim)
{
	return sim->config.scenario;
}
