/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The life of a run and its main loop: see sim.h. */
#include "simulator/sim.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/host_time.h"
#include "kernel-lib/arch/backhop/include/uapi/asm/setup.h"
#include "simulator/program_check.h"
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

/* --- devices and links --- */

/* eth0, eth1, … come first, by number; other names as they stand in the scenario. */
static uint64_t device_rank(const char *name, size_t order)
{
	char *end;

	if (strncmp(name, "eth", 3) != 0 || name[3] < '0' || name[3] > '9')
		return UINT64_MAX / 2 + order;
	uint64_t number = strtoull(name + 3, &end, 10);

	return *end ? UINT64_MAX / 2 + order : number;
}

struct device_end {
	uint64_t rank;
	size_t wire; /* of sim->wires: the one that leaves from this device */
	const char *name;
	uint32_t mtu;
};

static int compare_ends(const void *a, const void *b)
{
	const struct device_end *left = a, *right = b;

	/* "eth1" and "eth01" have the same number. */
	if (left->rank == right->rank)
		return left->wire < right->wire ? -1 : 1;
	return left->rank < right->rank ? -1 : 1;
}

static unsigned int find_ends(const struct bh_scenario *scenario, uint32_t node,
			      struct device_end *ends)
{
	unsigned int count = 0;

	for (size_t i = 0; i < scenario->link_count * 2 && count < BH_MAX_DEVICES; i++) {
		const struct bh_scenario_link *link = &scenario->links[i / 2];
		const struct bh_scenario_link_end *end = &link->end[i % 2];

		if (end->node == node)
			ends[count++] = (struct device_end){device_rank(end->device, i), i,
							    end->device, link->mtu};
	}
	qsort(ends, count, sizeof(*ends), compare_ends);
	return count;
}

static void create_devices(struct bh_sim_node *node, struct bh_netdev *devices)
{
	struct bh_sim *sim = node->sim;
	struct device_end ends[BH_MAX_DEVICES];

	node->device_count = find_ends(sim->config.scenario, node->id, ends);
	for (unsigned int i = 0; i < node->device_count; i++) {
		struct bh_netdev *device = &devices[i];
		/* The wire that arrives here is the other one of the same link. */
		struct bh_sim_wire *arriving = &sim->wires[ends[i].wire ^ 1];

		memset(device, 0, sizeof(*device));
		memcpy(device->name, ends[i].name, strlen(ends[i].name) + 1);
		/* Locally administered, readable in a capture: node and device. */
		device->mac[0] = 0x02;
		device->mac[3] = (unsigned char)(node->id >> 8);
		device->mac[4] = (unsigned char)node->id;
		device->mac[5] = (unsigned char)i;
		device->carrier = 1;
		device->mtu = ends[i].mtu;
		node->wires[i] = &sim->wires[ends[i].wire];
		arriving->to_node = node->id;
		arriving->to_device = i;
	}
}

static struct bh_error *create_wires(struct bh_sim *sim)
{
	const struct bh_scenario *scenario = sim->config.scenario;

	sim->wires = calloc(scenario->link_count * 2 + 1, sizeof(*sim->wires));
	if (!sim->wires)
		return out_of_memory();
	for (size_t i = 0; i < scenario->link_count * 2; i++) {
		const struct bh_scenario_link *link = &scenario->links[i / 2];
		const struct bh_scenario_link_end *from = &link->end[i % 2];
		const struct bh_scenario_link_end *to = &link->end[1 - i % 2];
		struct bh_sim_wire *wire = &sim->wires[i];
		char name[192];

		wire->slot = scenario->node_count * 2 + i;
		wire->direction.delay_ns = link->delay_ns;
		wire->direction.rate_bps = link->rate_bps;
		wire->direction.loss_ppb = link->loss_ppb;
		wire->direction.queue_frames = link->queue_frames;
		snprintf(name, sizeof(name), "%s:%s %s:%s", scenario->nodes[from->node].name,
			 from->device, scenario->nodes[to->node].name, to->device);
		bh_rng_init(&wire->direction.rng, scenario->seed, "loss", name);
	}
	return NULL;
}

/* --- nodes --- */

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
	bh_rng_init(&node->entropy, sim->config.scenario->seed, "entropy", node->scenario->name);
	create_devices(node, devices);
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
	return bh_posix_node_create(sim->posix, id, node->scenario->name,
				    bh_node_boot_record(node->kernel), &bh_sim_posix_callbacks,
				    node, &node->posix);
}

static struct bh_error *create_all(struct bh_sim *sim)
{
	const struct bh_scenario *scenario = sim->config.scenario;

	sim->node_count = scenario->node_count;
	sim->nodes = calloc(sim->node_count, sizeof(*sim->nodes));
	sim->images = calloc(sim->node_count, sizeof(*sim->images));
	sim->image_versions = calloc(sim->node_count, sizeof(*sim->image_versions));
	sim->result.node_digests = calloc(sim->node_count, sizeof(*sim->result.node_digests));
	/* A timer and a program start for each node, then the wires. */
	sim->queue = bh_event_queue_create(sim->node_count * 2 + scenario->link_count * 2);
	if (!sim->nodes || !sim->images || !sim->image_versions || !sim->queue ||
	    !sim->result.node_digests)
		return out_of_memory();
	BH_TRY(bh_programs_check(scenario, sim->config.inputs));
	BH_TRY(create_wires(sim));
	BH_TRY(bh_posix_process_setup());
	BH_TRY(bh_posix_create(sim->config.inputs, &sim->posix));
	for (uint32_t id = 0; id < sim->node_count; id++)
		BH_TRY(create_node(sim, id));
	return bh_sim_processes_create(sim);
}

struct bh_error *bh_sim_create(const struct bh_sim_config *config, struct bh_sim **sim_ret)
{
	struct bh_sim *sim = calloc(1, sizeof(*sim));

	if (!sim)
		return out_of_memory();
	sim->config = *config;
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
	}
	free(result->failures);
	free(result->node_digests);
}

void bh_sim_destroy(struct bh_sim *sim)
{
	if (!sim)
		return;
	bh_posix_destroy(sim->posix);
	for (size_t i = 0; sim->nodes && i < sim->node_count; i++)
		bh_node_destroy(sim->nodes[i].kernel);
	for (size_t i = 0; i < sim->image_count; i++) {
		bh_image_close(sim->images[i]);
		free(sim->image_versions[i]);
	}
	bh_sim_processes_destroy(sim);
	destroy_result(&sim->result);
	bh_event_queue_destroy(sim->queue);
	/* Frames, wherever they are, lie in the pool. */
	bh_frame_pool_destroy(&sim->frames);
	bh_error_free(sim->error);
	free(sim->images);
	free(sim->image_versions);
	free(sim->wires);
	free(sim->nodes);
	free(sim);
}

/* --- the main loop --- */

static void boot_nodes(struct bh_sim *sim)
{
	uint64_t begin_ns = bh_host_time_ns();

	for (size_t i = 0; i < sim->node_count && !sim->error; i++)
		bh_sim_node_boot(&sim->nodes[i]);
	sim->result.boot_s = (double)(bh_host_time_ns() - begin_ns) / 1e9;
	for (size_t i = 0; i < sim->node_count; i++)
		bh_sim_program_schedule(&sim->nodes[i]);
}

static void handle(struct bh_sim *sim, size_t slot)
{
	if (slot < sim->node_count)
		bh_sim_node_timer(&sim->nodes[slot]);
	else if (slot < sim->node_count * 2)
		bh_sim_program_start(&sim->nodes[slot - sim->node_count]);
	else
		bh_sim_wire_arrival(sim, &sim->wires[slot - sim->node_count * 2]);
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

static void run_events(struct bh_sim *sim)
{
	const struct bh_sim_observer *observer = &sim->config.observer;

	while (!sim->is_over && !sim->error) {
		uint64_t time_ns;
		size_t slot = bh_event_queue_first(sim->queue, &time_ns);

		if (slot == BH_NO_SLOT)
			break;
		if (time_ns >= sim->config.scenario->stop_ns) {
			sim->now_ns = sim->config.scenario->stop_ns;
			break;
		}
		if (time_ns > sim->now_ns)
			sim->still_events = 0;
		sim->now_ns = time_ns;
		handle(sim, slot);
		check_standstill(sim);
		if (observer->between && observer->between(observer->arg))
			sim->result.is_interrupted = sim->is_over = 1;
	}
}

static void stop(struct bh_sim *sim)
{
	struct bh_event event = {.kind = BH_EVENT_STOP, .node = BH_NO_NODE, .device = BH_NO_DEVICE};

	bh_sim_event_begin(sim, &event);
	sim->result.virtual_ns = sim->now_ns;
	if (!sim->result.is_interrupted)
		bh_sim_processes_check(sim, event.event);
}

struct bh_error *bh_sim_run(struct bh_sim *sim, const struct bh_sim_result **result_ret)
{
	const struct bh_sim_observer *observer = &sim->config.observer;

	boot_nodes(sim);
	run_events(sim);
	if (sim->error) {
		struct bh_error *error = sim->error;

		sim->error = NULL;
		return error;
	}
	stop(sim);
	if (observer->between)
		observer->between(observer->arg);
	*result_ret = &sim->result;
	return NULL;
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
