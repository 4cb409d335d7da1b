/*
 * sys.h - system calls without a libc: results are the kernel's, a negative errno on failure, and
 * the program's errno is never touched.
 *
 * Used off the hot path only: to read the environment of the process once, to make the ring, to
 * start the agent.
 */
#ifndef SHIM_SYS_H
#define SHIM_SYS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>

#ifndef SYS_close_range
#define SYS_close_range 436
#endif

#if defined(__x86_64__)

static inline long sys6(long n, long a, long b, long c, long d, long e, long f)
{
	long ret;
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;
	__asm__ volatile("syscall"
			 : "=a"(ret)
			 : "a"(n), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return ret;
}

#elif defined(__aarch64__)

static inline long sys6(long n, long a, long b, long c, long d, long e, long f)
{
	register long x8 __asm__("x8") = n;
	register long x0 __asm__("x0") = a;
	register long x1 __asm__("x1") = b;
	register long x2 __asm__("x2") = c;
	register long x3 __asm__("x3") = d;
	register long x4 __asm__("x4") = e;
	register long x5 __asm__("x5") = f;
	__asm__ volatile("svc 0"
			 : "+r"(x0)
			 : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
			 : "memory");
	return x0;
}

#else
#error "inferwire's shim knows x86-64 and aarch64"
#endif

#define sys0(n)		    sys6((n), 0, 0, 0, 0, 0, 0)
#define sys1(n, a)	    sys6((n), (long)(a), 0, 0, 0, 0, 0)
#define sys2(n, a, b)	    sys6((n), (long)(a), (long)(b), 0, 0, 0, 0)
#define sys3(n, a, b, c)    sys6((n), (long)(a), (long)(b), (long)(c), 0, 0, 0)
#define sys4(n, a, b, c, d) sys6((n), (long)(a), (long)(b), (long)(c), (long)(d), 0, 0)

/* openat, close-on-exec, never 0, 1 or 2: where the program has these closed, what another of its
 * threads prints in this moment is not to go into what we opened. The descriptor or a negative errno. */
long sys_open(int dir, const char *path, int flags, int mode);

static inline uint32_t sys_getpid(void)
{
	return (uint32_t)sys0(SYS_getpid);
}

#endif
