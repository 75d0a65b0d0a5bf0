/* SPDX-License-Identifier: GPL-2.0-or-later */
/* exec_true COUNT: runs /bin/true so many times, one after the other. For bench/run exec. */
#include <spawn.h>
#include <stdlib.h>
#include <sys/wait.h>

extern char **environ;

int main(int argc, char **argv)
{
	char *const arguments[] = {"true", NULL};
	long count = argc == 2 ? atol(argv[1]) : 0;
	int status = 0;
	pid_t pid;

	while (count-- > 0 && !status)
		if (posix_spawn(&pid, "/bin/true", NULL, NULL, arguments, environ) ||
		    waitpid(pid, &status, 0) != pid)
			return 1;
	return argc != 2 || status;
}
