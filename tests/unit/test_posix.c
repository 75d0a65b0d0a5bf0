/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Unmodified programs on one node: the kernel library and posix/ together, driven by host
 * operations written here, without the simulator. The image is $BACKHOP_TEST_IMAGE, or
 * $BUILD/kernel-6.1/image, and tests/programs/abi is in $BUILD/programs. TAP on stdout; with
 * BACKHOP_TEST_VERBOSE=1 what programs print and the kernel's log go to stderr.
 */
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kernel-lib/image.h"
#include "kernel-lib/node.h"
#include "posix/posix.h"

/* Of tests/programs; on the node they are in /opt/test. */
static const char *const programs[] = {
	"abi",
	"abi-no-pie",
	"shared",
	"threads",
	"signals",
	"threads-no-pie",
	"threads-static-pie",
	"signals-no-pie",
	"signals-static-pie",
};

#define OUTPUT_SIZE (1u << 16)
#define LIMIT_NS    (60ull * 1000000000ull)

/* The node under test and the one program that runs on it. */
static struct {
	struct bh_node *node;
	unsigned long deadline, entropy;
	struct bh_spawn spawn;
	int spawn_waits;
	unsigned long limit;
	int pid, has_ended, wait_status;
	char output[OUTPUT_SIZE], log[OUTPUT_SIZE];
	size_t output_size, log_size;
} host;

static unsigned long now_ns;
static int count, failures, is_verbose;

static void ok(int passed, const char *format, ...)
{
	va_list list;

	count++;
	failures += !passed;
	printf("%sok %d - ", passed ? "" : "not ", count);
	va_start(list, format);
	vprintf(format, list);
	va_end(list);
	printf("\n");
	if (!passed)
		printf("# status 0x%x, output:\n# %.2000s\n# log:\n# %.2000s\n", host.wait_status,
		       host.output, host.log);
	fflush(stdout);
}

/* --- host operations --- */

static unsigned long host_clock(void *arg)
{
	return now_ns;
}

static void host_timer(void *arg, unsigned long deadline_ns)
{
	host.deadline = deadline_ns;
}

static void host_console(void *arg, const char *text, unsigned long length)
{
	if (is_verbose)
		fwrite(text, 1, length, stderr);
}

static void host_entropy(void *arg, void *bytes_ret, unsigned long length)
{
	unsigned char *bytes = bytes_ret;

	while (length--) {
		host.entropy = host.entropy * 6364136223846793005ul + 1442695040888963407ul;
		*bytes++ = host.entropy >> 56;
	}
}

static void *host_prepare(void *arg, unsigned int length)
{
	return NULL;
}

static void host_transmit(void *arg, unsigned int device, unsigned int length, unsigned long packet)
{
}

static int host_receive(void *arg, struct bh_rx_frame *frame_ret)
{
	return 0;
}

static int host_spawn_next(void *arg, struct bh_spawn *spawn_ret)
{
	if (!host.spawn_waits)
		return 0;
	host.spawn_waits = 0;
	*spawn_ret = host.spawn;
	return 1;
}

static void host_spawn_result(void *arg, unsigned long id, int pid_or_errno)
{
	host.pid = pid_or_errno;
}

static void host_device_state(void *arg, unsigned int device, int is_on)
{
}

static const struct bh_host_ops host_ops = {
	.clock_ns = host_clock,
	.timer_set = host_timer,
	.console = host_console,
	.entropy = host_entropy,
	.device_state = host_device_state,
	.frame_prepare = host_prepare,
	.frame_transmit = host_transmit,
	.frame_receive = host_receive,
	.spawn_next = host_spawn_next,
	.spawn_result = host_spawn_result,
};

/* --- what programs do --- */

static void append(char *to, size_t *size, const void *data, size_t length)
{
	if (length > OUTPUT_SIZE - 1 - *size)
		length = OUTPUT_SIZE - 1 - *size;
	memcpy(to + *size, data, length);
	*size += length;
	to[*size] = '\0';
}

static void on_output(void *arg, int pid, int fd, const void *data, size_t length)
{
	if (is_verbose)
		fwrite(data, 1, length, stderr);
	append(host.output, &host.output_size, data, length);
}

static void on_exit_of(void *arg, int pid, int wait_status)
{
	if (pid != host.pid)
		return;
	host.has_ended = 1;
	host.wait_status = wait_status;
}

static void on_log(void *arg, int pid, const char *text)
{
	if (is_verbose)
		fprintf(stderr, "[%d] %s\n", pid, text);
	append(host.log, &host.log_size, text, strlen(text));
	append(host.log, &host.log_size, "\n", 1);
}

static const struct bh_posix_callbacks callbacks = {
	.output = on_output,
	.exit = on_exit_of,
	.log = on_log,
};

static void start(const char *const *argv)
{
	static const char *const environment[] = {
		"PATH=/usr/sbin:/usr/bin:/sbin:/bin",
		"HOME=/root",
		"LANG=C.UTF-8",
		NULL,
	};

	host.output_size = host.log_size = 0;
	host.output[0] = host.log[0] = '\0';
	host.pid = host.has_ended = 0;
	host.wait_status = -1;
	host.spawn = (struct bh_spawn){
		.id = 1, .path = argv[0], .argv = argv, .cwd = "/", .envp = environment};
	host.spawn_waits = 1;
	host.limit = now_ns + LIMIT_NS;
}

/* Resumes the node at most so many times; 0 when there is nothing more to do. */
static int go_on(unsigned int resumes)
{
	while (bh_node_state(host.node) == BH_NODE_IDLE && resumes--) {
		bh_node_resume(host.node, host.spawn_waits ? BH_IRQ_SPAWN : BH_IRQ_TIMER);
		if (host.has_ended || host.pid < 0 || host.deadline > host.limit)
			return 0;
		if (host.deadline > now_ns)
			now_ns = host.deadline;
		host.deadline = BH_NO_DEADLINE;
	}
	return bh_node_state(host.node) == BH_NODE_IDLE;
}

/* Runs argv to its end; its wait status, or -1 if it didn't start or end. */
static int run(const char *const *argv)
{
	start(argv);
	go_on(UINT32_MAX);
	return host.has_ended ? host.wait_status : -1;
}

#define RUN(...) run((const char *const[]){__VA_ARGS__, NULL})

static int printed(const char *text)
{
	return strstr(host.output, text) != NULL;
}

/* --- tests --- */

static void test_simple(void)
{
	ok(RUN("/bin/true") == 0, "/bin/true ends with 0");
	ok(RUN("false") == 1 << 8, "false, found in PATH, ends with 1");
	ok(RUN("echo", "hello", "world") == 0 && !strcmp(host.output, "hello world\n"),
	   "echo prints its arguments");
	ok(RUN("/bin/no-such-program") == -1 && host.pid == -2, "a missing program gives ENOENT");
	ok(RUN("cat", "/etc/hostname", "/proc/sys/kernel/hostname") == 0 &&
		   !strcmp(host.output, "unit\nunit\n"),
	   "cat shows the node's own name in file and /proc");
	ok(RUN("ls", "/etc/hosts", "/dev/null") == 0, "ls sees files of the node");
	ok(RUN("sh", "-c", "echo $((6 * 7))") == 0 && !strcmp(host.output, "42\n"),
	   "a shell computes");
	ok(RUN("sh", "-c", "kill -SEGV $$") == 11, "a signal ends a program");
	ok(RUN("sh", "-c",
	       "echo made >/etc/backhop-made && rm /etc/fstab && mv /etc/hosts /etc/h "
	       "&& ls /etc/fstab; cat /etc/backhop-made; grep localhost /etc/h") == 0 &&
		   printed("made\n127.0.0.1\tlocalhost\n") && printed("cannot access") &&
		   access("/etc/backhop-made", F_OK) < 0,
	   "the root can be changed, and the host's files stay as they are");
	ok(RUN("sh", "-c",
	       "cat /proc/self/cmdline /proc/self/environ | tr '\\0' ' '; grep -c "
	       "'/grep$\\|/libc.so' "
	       "/proc/self/maps; cat /proc/self/auxv | wc -c; sleep 1 & cat /proc/$!/cmdline") ==
			   0 &&
		   printed("cat /proc/self/cmdline /proc/self/environ HOME=") &&
		   !printed("\n0\n") && printed("\n320\nsleep"),
	   "/proc/PID shows command line, environment and mappings");
	ok(RUN("sh", "-c", "echo text >/tmp/f; read x </tmp/f; echo $x") == 0 &&
		   !strcmp(host.output, "text\n"),
	   "/tmp can");
	ok(RUN("sh", "-c", "echo again >/dev/stdout") == 0 && !strcmp(host.output, "again\n"),
	   "/dev/stdout is standard output");
	ok(RUN("date", "+%s") == 0, "date tells the time");
	ok(RUN("sleep", "2.5") == 0, "sleep sleeps");
}

static void test_network(void)
{
	ok(RUN("ip", "link", "set", "lo", "up") == 0, "ip sets lo up");
	ok(RUN("ip", "link", "set", "eth0", "up") == 0, "ip sets eth0 up");
	ok(RUN("ip", "addr", "add", "10.0.0.1/24", "dev", "eth0") == 0, "ip adds an address");
	ok(RUN("ip", "addr") == 0 && printed("127.0.0.1/8") && printed("10.0.0.1/24"),
	   "ip shows both addresses");
	ok(RUN("ping", "-c1", "127.0.0.1") == 0 && printed("1 received"), "ping over IPv4");
	ok(RUN("ping", "-c", "2", "-i", "0.2", "::1") == 0 && printed("2 received"),
	   "ping over IPv6");
	ok(RUN("ping", "-c", "1", "-W", "1", "10.0.0.2") == 1 << 8 && printed("0 received"),
	   "ping gives up when nobody answers");
	ok(RUN("sysctl", "-w", "net.ipv4.ip_forward=1") == 0 &&
		   RUN("cat", "/proc/sys/net/ipv4/ip_forward") == 0 && !strcmp(host.output, "1\n"),
	   "sysctl writes");
}

static void test_python(void)
{
	static const char tcp[] =
		"import socket, threading\n"
		"s = socket.socket(); s.bind(('127.0.0.1', 7)); s.listen()\n"
		"def serve():\n"
		"    c, peer = s.accept(); c.sendall(c.recv(100).upper()); c.close()\n"
		"t = threading.Thread(target=serve); t.start()\n"
		"c = socket.create_connection(('127.0.0.1', 7)); c.sendall(b'hello')\n"
		"print(c.recv(100)); t.join()\n";

	ok(RUN("python3", "-c", "print(2 ** 100)") == 0 &&
		   printed("1267650600228229401496703205376"),
	   "python3, which is at fixed addresses, computes");
	ok(RUN("python3", "-c", tcp) == 0 && printed("b'HELLO'"),
	   "python3 talks TCP with a thread of its own");
}

static void test_processes(void)
{
	ok(RUN("sh", "-c", "echo a | cat; (exit 3); echo $?") == 0 &&
		   !strcmp(host.output, "a\n3\n"),
	   "a shell forks, pipes and waits");
	ok(RUN("sh", "-c",
	       "printf '#!/bin/sh\\necho script $1\\n' >/tmp/s; chmod +x /tmp/s; /tmp/s a") == 0 &&
		   printed("script a\n"),
	   "a script written on the node runs");
	ok(RUN("sh", "-c", "cp /bin/echo /tmp/e; /tmp/e copy") == 0 && printed("copy\n"),
	   "so does a program that was copied there");
	ok(RUN("sh", "-c", "head -c 100 /bin/true >/tmp/b; chmod +x /tmp/b; /tmp/b") == 126 << 8 &&
		   printed("Exec format error") && strstr(host.log, "can't be executed"),
	   "half a program doesn't");
	ok(RUN("sh", "-c",
	       "unshare -n ip -o addr | wc -l; ip netns add a; ip netns exec a ip link") == 0 &&
		   printed("0\n") && printed("lo"),
	   "network namespaces inside the node");
	ok(RUN("sh", "-c", "python3 -c 'print(3)' | python3 -c 'print(int(input()) + 4)'") == 0 &&
		   !strcmp(host.output, "7\n"),
	   "two programs at the same fixed addresses take turns");
}

/* What a program may expect of Linux; the program checks it itself. */
static int is_as_on_linux(const char *program)
{
	return RUN(program) == 0 && !strcmp(host.output, "all as on Linux\n");
}

static void test_abi(void)
{
	for (size_t i = 0; i < sizeof(programs) / sizeof(*programs); i++) {
		char path[128];

		snprintf(path, sizeof(path), "/opt/test/%s", programs[i]);
		ok(is_as_on_linux(path), "what %s looks at is as on Linux", programs[i]);
	}
	ok(is_as_on_linux("/opt/test/abi"), "and so is abi again");
	ok(strstr(host.log, "perf_event_open") && strstr(host.log, "9999"),
	   "refused calls are named in the log");
}

static void test_images(void)
{
	struct bh_posix_image *images;
	size_t images_count, programs = 0, libraries = 0;

	start((const char *const[]){"sleep", "1", NULL});
	go_on(3);
	struct bh_error *error = bh_posix_image_list(NULL, NULL, &images, &images_count);

	for (size_t i = 0; !error && i < images_count; i++) {
		programs += images[i].pid == host.pid && strstr(images[i].path, "/sleep") != NULL;
		libraries += images[i].pid == host.pid && strstr(images[i].path, "libc.so") != NULL;
		if (!bh_posix_is_program_address(images[i].base) || !images[i].size)
			error = bh_error_new(BH_ERR_INTERNAL, "bad image");
	}
	ok(!error && programs == 1 && libraries == 1,
	   "the list of images has the program and its library");
	go_on(UINT32_MAX);
	free(images);
	ok(!bh_posix_image_list(NULL, NULL, &images, &images_count) && images_count == 0,
	   "and is empty when the program has ended");
	free(images);
}

/* A fork of the whole process is a checkpoint: in the copy everything goes on as in the original.
 */
static void test_copy_of_process(void)
{
	static const char script[] = "import time, os\n"
				     "for i in range(5):\n"
				     "    time.sleep(0.1)\n"
				     "    print(i, time.monotonic_ns(), os.urandom(4).hex())\n";
	char copy[OUTPUT_SIZE];
	ssize_t length, total = 0;
	int pipes[2], status = -1;

	start((const char *const[]){"python3", "-c", script, NULL});
	go_on(40);
	if (pipe(pipes))
		return;
	pid_t pid = fork();

	if (!pid) {
		bh_posix_after_fork();
		go_on(UINT32_MAX);
		_exit(write(pipes[1], host.output, host.output_size) != (ssize_t)host.output_size ||
		      !host.has_ended || host.wait_status);
	}
	close(pipes[1]);
	while ((length = read(pipes[0], copy + total, sizeof(copy) - (size_t)total)) > 0)
		total += length;
	waitpid(pid, &status, 0);
	go_on(UINT32_MAX);
	ok(host.has_ended && !status && total == (ssize_t)host.output_size && total > 100 &&
		   !memcmp(copy, host.output, (size_t)total),
	   "a copy of the process made in the middle of a program ends the same");
}

static struct bh_error *add_program(struct bh_posix_node *node, const char *name)
{
	const char *build = getenv("BUILD");
	static char bytes[4 << 20];
	char path[4096], place[128];
	FILE *file;
	size_t size;

	snprintf(path, sizeof(path), "%s/programs/%s", build ? build : "build", name);
	file = fopen(path, "r");
	if (!file)
		return NULL; /* then its test fails */
	size = fread(bytes, 1, sizeof(bytes), file);
	fclose(file);
	snprintf(place, sizeof(place), "/opt/test/%s", name);
	return bh_posix_node_add_file(node, place, 0755, bytes, size);
}

static struct bh_error *create(const struct bh_image *image, struct bh_inputs **inputs_ret,
			       struct bh_posix **posix_ret)
{
	static const struct bh_netdev device = {
		.name = "eth0", .mac = {2, 0, 0, 0, 0, 1}, .carrier = 1, .mtu = 1500};
	struct bh_node_options options = {.image = image,
					  .hostname = "unit",
					  .host_ops = &host_ops,
					  .devices = &device,
					  .device_count = 1,
					  .epoch_ns = 946684800000000000ul};
	struct bh_posix_node *node;

	host.deadline = BH_NO_DEADLINE;
	BH_TRY(bh_posix_process_setup());
	BH_TRY(bh_inputs_create_live(inputs_ret));
	BH_TRY(bh_posix_create(*inputs_ret, posix_ret));
	BH_TRY(bh_node_create(&options, &host.node));
	BH_TRY(bh_posix_node_create(*posix_ret, 0, "unit", bh_node_boot_record(host.node),
				    &callbacks, NULL, &node));
	for (size_t i = 0; i < sizeof(programs) / sizeof(*programs); i++)
		BH_TRY(add_program(node, programs[i]));
	return bh_node_boot(host.node);
}

int main(int argc, char **argv)
{
	const char *path = getenv("BACKHOP_TEST_IMAGE"), *build = getenv("BUILD");
	char default_path[4096];
	struct bh_image *image;
	struct bh_inputs *inputs;
	struct bh_posix *posix;
	struct bh_error *error;

	is_verbose = getenv("BACKHOP_TEST_VERBOSE") != NULL;
	snprintf(default_path, sizeof(default_path), "%s/kernel-6.1/image",
		 build ? build : "build");
	error = bh_image_open(path ? path : default_path, &image);
	if (!error)
		error = create(image, &inputs, &posix);
	if (error) {
		printf("1..0 # SKIP %s\n", error->message);
		return error->code == BH_ERR_INPUT || error->code == BH_ERR_MACHINE ? 0 : 1;
	}
	if (argc > 1) {
		/* By hand: run one program. */
		int status = run((const char *const *)argv + 1);

		printf("%sstatus 0x%x\n", is_verbose ? "" : host.output, status);
		return status != 0;
	}
	test_simple();
	test_network();
	test_python();
	test_processes();
	test_abi();
	test_images();
	test_copy_of_process();
	bh_node_destroy(host.node);
	bh_posix_destroy(posix);
	bh_inputs_destroy(inputs);
	bh_image_close(image);
	printf("1..%d\n", count);
	return failures != 0;
}
