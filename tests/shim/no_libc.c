/*
 * A program without a libc, but with a loader: position independent, with an interpreter, as Go and
 * some others link theirs. What is preloaded finds no symbol of any libc there.
 */
#if defined(__x86_64__)
__asm__(".globl _start\n_start:\n"
	"	mov $1, %eax\n	mov $1, %edi\n	lea text(%rip), %rsi\n	mov $5, %edx\n"
	"	syscall\n"
	"	mov $60, %eax\n	xor %edi, %edi\n	syscall\n");
#elif defined(__aarch64__)
__asm__(".globl _start\n_start:\n"
	"	mov x8, 64\n	mov x0, 1\n	adr x1, text\n	mov x2, 5\n	svc 0\n"
	"	mov x8, 93\n	mov x0, 0\n	svc 0\n");
#endif
__asm__("text:	.ascii \"fine\\n\"\n");
