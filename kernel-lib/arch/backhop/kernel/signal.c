// SPDX-License-Identifier: GPL-2.0
/*
 * Signals of programs: the frame that a handler runs on and its way back, and the restart of
 * system calls, as on x86-64. FP state in a frame is the 512 bytes of FXSAVE, the same on every
 * machine; the programs' processor has no more (posix/cpu_model.c).
 *
 * Called by user.c on the way back to a program, and as the system call rt_sigreturn.
 */
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/sched/task_stack.h>
#include <linux/signal.h>
#include <linux/string.h>
#include <linux/syscalls.h>
#include <linux/uaccess.h>
#include <asm/processor-flags.h>
#include <uapi/asm/sigcontext.h>
#include <asm/ucontext.h>

#include "user.h"

#define BH_RED_ZONE 128
#define BH_FP_SIZE  512
/* Flags that a program may set through a frame. */
#define BH_FLAGS_MASK                                                                              \
	(X86_EFLAGS_CF | X86_EFLAGS_PF | X86_EFLAGS_AF | X86_EFLAGS_ZF | X86_EFLAGS_SF |           \
	 X86_EFLAGS_DF | X86_EFLAGS_OF | X86_EFLAGS_AC)
#define BH_FLAGS_FIXED (X86_EFLAGS_FIXED | X86_EFLAGS_IF)

/* x86-64's: what a C library and debuggers expect to find on the stack. */
struct rt_frame {
	char __user *return_address;
	struct ucontext context;
	struct siginfo info;
};

static int save_context(struct sigcontext *to, const struct pt_regs *regs, void __user *fp)
{
	memset(to, 0, sizeof(*to));
	to->r8 = regs->r8;
	to->r9 = regs->r9;
	to->r10 = regs->r10;
	to->r11 = regs->r11;
	to->r12 = regs->r12;
	to->r13 = regs->r13;
	to->r14 = regs->r14;
	to->r15 = regs->r15;
	to->di = regs->di;
	to->si = regs->si;
	to->bp = regs->bp;
	to->bx = regs->bx;
	to->dx = regs->dx;
	to->ax = regs->ax;
	to->cx = regs->cx;
	to->sp = regs->sp;
	to->ip = regs->ip;
	to->flags = regs->flags;
	to->cs = BH_USER_CS;
	to->ss = BH_USER_DS;
	to->fpstate = (unsigned long)fp;
	return copy_to_user(fp, bh_user_call(task_fp, current->thread.host), BH_FP_SIZE);
}

static int restore_context(struct pt_regs *regs, const struct sigcontext *from)
{
	void *fp = bh_user_call(task_fp, current->thread.host);
	int failed = 0;

	regs->r8 = from->r8;
	regs->r9 = from->r9;
	regs->r10 = from->r10;
	regs->r11 = from->r11;
	regs->r12 = from->r12;
	regs->r13 = from->r13;
	regs->r14 = from->r14;
	regs->r15 = from->r15;
	regs->di = from->di;
	regs->si = from->si;
	regs->bp = from->bp;
	regs->bx = from->bx;
	regs->dx = from->dx;
	regs->ax = from->ax;
	regs->cx = from->cx;
	regs->sp = from->sp;
	regs->ip = from->ip;
	regs->flags = (from->flags & BH_FLAGS_MASK) | BH_FLAGS_FIXED;
	if (from->fpstate)
		failed = copy_from_user(fp, (void __user *)from->fpstate, BH_FP_SIZE) != 0;
	bh_user_call(task_fp_changed, current->thread.host, failed || !from->fpstate);
	return failed;
}

static int set_up_frame(struct ksignal *ksig, struct pt_regs *regs)
{
	unsigned long sp = sigsp(regs->sp - BH_RED_ZONE, ksig);
	struct rt_frame __user *frame;
	struct ucontext context;
	void __user *fp;
	int failed;

	if (!(ksig->ka.sa.sa_flags & SA_RESTORER))
		return -EFAULT;
	fp = (void __user *)round_down(sp - BH_FP_SIZE, 64);
	/* A handler is entered as a function is: 8 bytes off a multiple of 16. */
	frame = (void __user *)(round_down((unsigned long)fp - sizeof(*frame), 16) - 8);

	memset(&context, 0, sizeof(context));
	context.uc_flags = UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS;
	failed = save_context(&context.uc_mcontext, regs, fp);
	failed |= __save_altstack(&context.uc_stack, regs->sp);
	memcpy(&context.uc_sigmask, sigmask_to_save(), sizeof(context.uc_sigmask));
	failed |= copy_to_user(&frame->context, &context, sizeof(context)) != 0;
	failed |= copy_siginfo_to_user(&frame->info, &ksig->info);
	failed |= put_user((char __user *)ksig->ka.sa.sa_restorer, &frame->return_address);
	if (failed)
		return -EFAULT;

	regs->di = ksig->sig;
	regs->si = (unsigned long)&frame->info;
	regs->dx = (unsigned long)&frame->context;
	regs->ax = 0;
	regs->ip = (unsigned long)ksig->ka.sa.sa_handler;
	regs->sp = (unsigned long)frame;
	regs->flags &= ~(X86_EFLAGS_DF | X86_EFLAGS_TF | X86_EFLAGS_RF);
	bh_user_call(task_fp_changed, current->thread.host, 1);
	return 0;
}

static void restart_call(struct pt_regs *regs, unsigned long nr)
{
	regs->ax = nr;
	regs->ip -= 2; /* of the instruction "syscall" */
}

/* A call that a signal with a handler interrupted. */
static void interrupt_call(struct pt_regs *regs, const struct k_sigaction *action)
{
	if ((long)regs->orig_ax < 0)
		return;
	switch ((long)regs->ax) {
	case -ERESTART_RESTARTBLOCK:
	case -ERESTARTNOHAND:
		regs->ax = -EINTR;
		break;
	case -ERESTARTSYS:
		if (!(action->sa.sa_flags & SA_RESTART)) {
			regs->ax = -EINTR;
			break;
		}
		fallthrough;
	case -ERESTARTNOINTR:
		restart_call(regs, regs->orig_ax);
	}
}

void bh_signal_deliver(struct pt_regs *regs)
{
	struct ksignal ksig;

	if (get_signal(&ksig)) {
		interrupt_call(regs, &ksig.ka);
		/* What lies below must not be taken for a call's result again. */
		regs->orig_ax = -1;
		signal_setup_done(set_up_frame(&ksig, regs), &ksig, 0);
		return;
	}
	if ((long)regs->orig_ax >= 0) {
		switch ((long)regs->ax) {
		case -ERESTARTNOHAND:
		case -ERESTARTSYS:
		case -ERESTARTNOINTR:
			restart_call(regs, regs->orig_ax);
			break;
		case -ERESTART_RESTARTBLOCK:
			restart_call(regs, __NR_restart_syscall);
			break;
		}
		regs->orig_ax = -1;
	}
	restore_saved_sigmask();
}

asmlinkage long sys_rt_sigreturn(void)
{
	struct pt_regs *regs = current_pt_regs();
	/* The handler's return took the first word. */
	struct rt_frame __user *frame = (void __user *)(regs->sp - sizeof(long));
	struct ucontext context;
	sigset_t set;

	current->restart_block.fn = do_no_restart_syscall;
	if (copy_from_user(&context, &frame->context, sizeof(context)))
		goto bad;
	memcpy(&set, &context.uc_sigmask, sizeof(set));
	set_current_blocked(&set);
	if (restore_context(regs, &context.uc_mcontext))
		goto bad;
	if (restore_altstack(&frame->context.uc_stack))
		goto bad;
	regs->orig_ax = -1;
	return regs->ax;
bad:
	force_sig(SIGSEGV);
	return 0;
}
