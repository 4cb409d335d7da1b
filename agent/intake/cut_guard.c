#include "agent/intake/cut_guard.h"

#include <signal.h>

_Thread_local sigjmp_buf cut_guard_back;
_Thread_local const uint8_t *volatile cut_guard_at;
_Thread_local volatile size_t cut_guard_bytes;

static void on_sigbus(int sig, siginfo_t *info, void *context)
{
	(void)context;
	const uint8_t *at = info->si_addr;
	if (cut_guard_at && at >= cut_guard_at && at < cut_guard_at + cut_guard_bytes) {
		cut_guard_at = NULL;
		siglongjmp(cut_guard_back, 1);
	}
	signal(sig, SIG_DFL); /* somebody else's fault: it happens again, by default */
}

void cut_guard_setup(void)
{
	/* Not blocked while it is handled, because the handler is left by a jump. */
	struct sigaction act = {.sa_sigaction = on_sigbus, .sa_flags = SA_SIGINFO | SA_NODEFER};
	sigemptyset(&act.sa_mask);
	sigaction(SIGBUS, &act, NULL);
}
