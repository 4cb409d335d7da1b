#define _GNU_SOURCE
#include "tests/shim/transparent/row.h"

#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/un.h>
#include <unistd.h>

char room[65536];
char *unmapped, *read_only;
struct iovec many[1030];
char aside[4096] __attribute__((aligned(64)));
int a_file, a_pipe[2];

sigjmp_buf row_fault;
bool row_emulated;
volatile bool row_may_fault;
static volatile int sigpipes;

static const char *const names[KINDS] = {
	"http",	    "fresh",	 "duplicate", "unix",		"tls",
	"other",    "eof",	 "reset",     "shut",		"full",
	"client",   "listener",	 "pair",      "packets",	"datagram",
	"pipe out", "pipe in",	 "file",      "file read only", "events",
	"epoll",    "directory", "closed",    "negative",	"too large",
};

static void must(bool held, const char *what)
{
	if (held)
		return;
	fprintf(stderr, "transparent: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* ---- ends --------------------------------------------------------------------------------------- */

static int tcp_listener, unix_listener;
static struct sockaddr_in tcp_at;
static struct sockaddr_un unix_at = {.sun_family = AF_UNIX};

static void listen_once(void)
{
	socklen_t len = sizeof(tcp_at);
	tcp_at = (struct sockaddr_in){.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	tcp_listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	unix_listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	must(bind(tcp_listener, (struct sockaddr *)&tcp_at, len) == 0, "bind");
	must(getsockname(tcp_listener, (struct sockaddr *)&tcp_at, &len) == 0, "getsockname");
	/* An abstract name that the kernel chooses. */
	must(bind(unix_listener, (struct sockaddr *)&unix_at, sizeof(sa_family_t)) == 0, "bind");
	must(listen(tcp_listener, 16) == 0 && listen(unix_listener, 16) == 0, "listen");
}

static void readable(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	must(poll(&p, 1, 10000) == 1, "nothing arrived");
}

static void says(int fd, const void *bytes, size_t n)
{
	must(write(fd, bytes, n) == (ssize_t)n, "write");
}

static void not_waiting(int fd)
{
	must(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) == 0, "fcntl");
}

/* Ends leave no port behind that waits for late packets. */
static void no_lingering(int fd)
{
	struct linger off = {1, 0};
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &off, sizeof(off));
}

static void accept_tcp(struct end *e)
{
	e->peer = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	must(connect(e->peer, (struct sockaddr *)&tcp_at, sizeof(tcp_at)) == 0, "connect");
	e->fd = accept4(tcp_listener, NULL, NULL, SOCK_CLOEXEC);
	must(e->fd >= 0, "accept4");
}

static void accept_unix(struct end *e)
{
	socklen_t len = sizeof(unix_at);
	must(getsockname(unix_listener, (struct sockaddr *)&unix_at, &len) == 0, "getsockname");
	e->peer = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	must(connect(e->peer, (struct sockaddr *)&unix_at, len) == 0, "connect");
	e->fd = accept(unix_listener, NULL, NULL);
	must(e->fd >= 0, "accept");
}

/* The client's first bytes, and whether the server has read the first four. */
static void begins(struct end *e, const char *bytes, size_t n, bool read_some)
{
	char four[4];
	says(e->peer, bytes, n);
	readable(e->fd);
	must(!read_some || read(e->fd, four, 4) == 4, "read");
}

#define HEAD "GET / HTTP/1.1\r\n\r\n0123456789"

static void open_accepted(struct end *e)
{
	if (e->kind == KIND_UNIX || e->kind == KIND_FULL)
		accept_unix(e);
	else
		accept_tcp(e);
	if (e->kind == KIND_TLS)
		begins(e, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 0123456789", 22, true);
	else if (e->kind == KIND_OTHER)
		begins(e, "\1\2\3\4 0123456789", 15, true);
	else
		begins(e, HEAD, sizeof(HEAD) - 1, e->kind != KIND_FRESH);
	if (e->kind == KIND_DUPLICATE) {
		int other = dup(e->fd);
		must(other >= 0 && close(e->fd) == 0, "dup");
		e->fd = other;
	}
	if (e->kind == KIND_EOF)
		must(shutdown(e->peer, SHUT_WR) == 0, "shutdown");
	if (e->kind == KIND_SHUT)
		must(shutdown(e->fd, SHUT_WR) == 0, "shutdown");
	if (e->kind == KIND_RESET) {
		struct pollfd p = {.fd = e->fd, .events = POLLHUP};
		no_lingering(e->peer);
		must(close(e->peer) == 0 && poll(&p, 1, 10000) == 1, "reset");
		e->peer = -1;
	}
	not_waiting(e->fd);
	while (e->kind == KIND_FULL && send(e->fd, room, sizeof(room), MSG_DONTWAIT) > 0)
		;
}

static void open_sockets(struct end *e)
{
	int two[2];
	if (e->kind == KIND_CLIENT) {
		accept_tcp(e);
		int client = e->peer;
		e->peer = e->fd;
		e->fd = client;
	} else if (e->kind == KIND_LISTENER) {
		e->fd = socket(AF_INET, SOCK_STREAM, 0);
		struct sockaddr_in at = {.sin_family = AF_INET,
					 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
		socklen_t len = sizeof(at);
		must(bind(e->fd, (struct sockaddr *)&at, len) == 0 && listen(e->fd, 4) == 0 &&
			     getsockname(e->fd, (struct sockaddr *)&at, &len) == 0,
		     "listen");
		e->peer = socket(AF_INET, SOCK_STREAM, 0);
		no_lingering(e->peer);
		must(connect(e->peer, (struct sockaddr *)&at, len) == 0, "connect");
		readable(e->fd);
	} else {
		int type = e->kind == KIND_PAIR	     ? SOCK_STREAM
			   : e->kind == KIND_PACKETS ? SOCK_SEQPACKET
						     : SOCK_DGRAM;
		must(socketpair(AF_UNIX, type, 0, two) == 0, "socketpair");
		e->peer = two[0];
		e->fd = two[1];
	}
	if (e->kind != KIND_LISTENER) {
		says(e->peer, HEAD, sizeof(HEAD) - 1);
		readable(e->fd);
	}
	not_waiting(e->fd);
}

static int new_file(int flags)
{
	char name[] = "/tmp/transparent-XXXXXX";
	int fd = mkstemp(name);
	must(fd >= 0, "mkstemp");
	says(fd, "0123456789abcdef", 16);
	int again = open(name, flags);
	must(again >= 0 && unlink(name) == 0 && close(fd) == 0, "file");
	return again;
}

static void open_files(struct end *e)
{
	int two[2];
	uint64_t three = 3;
	switch (e->kind) {
	case KIND_PIPE_OUT:
	case KIND_PIPE_IN:
		must(pipe2(two, O_NONBLOCK) == 0, "pipe2");
		e->fd = two[e->kind == KIND_PIPE_OUT];
		e->peer = two[e->kind != KIND_PIPE_OUT];
		if (e->kind == KIND_PIPE_IN)
			says(e->peer, HEAD, sizeof(HEAD) - 1);
		break;
	case KIND_FILE:
		e->fd = new_file(O_RDWR);
		break;
	case KIND_FILE_READ_ONLY:
		e->fd = new_file(O_RDONLY);
		break;
	case KIND_EVENTS:
		e->fd = eventfd(0, EFD_NONBLOCK);
		says(e->fd, &three, sizeof(three));
		break;
	case KIND_EPOLL:
		e->fd = epoll_create1(0);
		break;
	case KIND_DIRECTORY:
		e->fd = open("/", O_RDONLY | O_DIRECTORY);
		break;
	case KIND_CLOSED:
		e->fd = dup(a_file);
		must(close(e->fd) == 0, "close");
		break;
	default:
		e->fd = e->kind == KIND_NEGATIVE ? -1 : 1 << 29;
	}
}

/* ---- rows --------------------------------------------------------------------------------------- */

static void refill(void)
{
	char old[256];
	memset(room, '.', sizeof(room));
	memset(unmapped - 4096, '-', 4096);
	must(lseek(a_file, 0, SEEK_SET) == 0 && write(a_file, "0123456789abcdef", 16) == 16 &&
		     ftruncate(a_file, 16) == 0 && lseek(a_file, 0, SEEK_SET) == 0,
	     "file");
	while (read(a_pipe[0], old, sizeof(old)) > 0)
		;
	says(a_pipe[1], "piped", 5);
	for (size_t i = 0; i < sizeof(many) / sizeof(many[0]); i++)
		many[i] = (struct iovec){room + i, 1};
	sigpipes = 0;
}

struct end row_begin(enum kind kind)
{
	struct end e = {.kind = kind, .fd = -1, .peer = -1, .peer2 = -1, .result = -1};
	if (kind <= KIND_FULL)
		open_accepted(&e);
	else if (kind <= KIND_DATAGRAM)
		open_sockets(&e);
	else
		open_files(&e);
	refill();
	return e;
}

/* A number that depends on the sizes of the kernel's buffers is told as "many". */
static void print_number(const char *what, long n)
{
	if (n > 40000)
		printf(" %s many", what);
	else
		printf(" %s %ld", what, n);
}

static void print_bytes(const char *what, const char *bytes, long n)
{
	printf(" %s \"", what);
	for (long i = 0; i < n && i < 48; i++)
		putchar(bytes[i] >= ' ' && bytes[i] <= '~' ? bytes[i] : '?');
	printf("\"");
}

/* How far the memory that a call was pointed at is not what it was. */
static void print_memory(void)
{
	long used = sizeof(room), tail = 0;
	while (used && room[used - 1] == '.')
		used--;
	if (used)
		print_bytes("room", room, used);
	while (tail < 40 && unmapped[-1 - tail] != '-')
		tail++;
	if (tail)
		print_bytes("tail", unmapped - tail, tail);
}

/* What can be read after a call, however much it is. */
static void print_rest(const char *what, int fd, int timeout_ms)
{
	static char bytes[1 << 16];
	char first[48];
	long all = 0, n = 0;
	struct pollfd p = {.fd = fd, .events = POLLIN};
	while (poll(&p, 1, timeout_ms) == 1 && (n = read(fd, bytes, sizeof(bytes))) > 0) {
		if (all < (long)sizeof(first))
			memcpy(first + all, bytes,
			       (size_t)(n < (long)sizeof(first) - all ? n
								      : (long)sizeof(first) - all));
		all += n;
	}
	print_number(what, all);
	print_bytes("=", first, all);
	printf(" end %ld/%d", n < 0 ? n : 0, n < 0 ? errno : 0);
}

static void print_after(struct end *e)
{
	char rest[64];
	bool stream = e->kind <= KIND_CLIENT || e->kind == KIND_PAIR;
	printf(" offset %ld file %ld", e->kind == KIND_FILE ? (long)lseek(e->fd, 0, SEEK_CUR) : 0,
	       (long)lseek(a_file, 0, SEEK_CUR));
	errno = 0;
	long n = read(e->fd, rest, sizeof(rest));
	int error = errno;
	if (e->kind == KIND_DIRECTORY || e->kind == KIND_EVENTS)
		n = n > 0;
	print_number("then read", n);
	printf("/%d", error);
	if (n > 0 && e->kind != KIND_EVENTS && e->kind != KIND_DIRECTORY)
		print_bytes("=", rest, n);
	errno = 0;
	n = e->kind == KIND_EVENTS ? 0 : write(e->fd, "tail", 4);
	printf(" write %ld/%d", n, errno);
	n = shutdown(e->fd, SHUT_WR);
	printf(" shutdown %ld", n);
	print_rest("pipe", a_pipe[0], 0);
	if (e->peer >= 0 && e->kind != KIND_LISTENER)
		print_rest("peer", e->peer, stream && n == 0 ? 10000 : 0);
}

void row_end(struct end *e, const char *call, long result, int error)
{
	printf("%s: %s", names[e->kind], call);
	print_number("=", result);
	printf(" errno %d", error);
	print_memory();
	if (sigpipes)
		printf(" SIGPIPE %d", sigpipes);
	sigpipes = 0;
	print_after(e);
	int fds[] = {e->result, e->fd, e->peer, e->peer2};
	for (int i = 0; i < 4; i++) {
		if (fds[i] < 3 || fds[i] == a_file || fds[i] == a_pipe[0] || fds[i] == a_pipe[1])
			continue;
		no_lingering(fds[i]);
		if (i == 0 || fds[i] != fds[0])
			close(fds[i]);
	}
	printf("\n");
}

struct end connected(void)
{
	struct end e = {.kind = KIND_HTTP, .fd = -1, .peer = -1, .peer2 = -1, .result = -1};
	char all[64];
	accept_tcp(&e);
	begins(&e, HEAD, sizeof(HEAD) - 1, true);
	must(read(e.fd, all, sizeof(all)) == sizeof(HEAD) - 5, "read");
	return e;
}

/* ---- the program -------------------------------------------------------------------------------- */

static void on_sigpipe(int sig)
{
	(void)sig;
	sigpipes++;
}

static void on_fault(int sig)
{
	if (!row_may_fault) {
		signal(sig, SIG_DFL);
		return;
	}
	row_may_fault = false;
	siglongjmp(row_fault, 1);
}

/* Descriptors, signals, threads: what a process has of these at the end. */
static void print_process(void)
{
	char line[256];
	for (int fd = 0; fd < 1024; fd++) {
		int flags = fcntl(fd, F_GETFD);
		if (flags >= 0 && fd > 2)
			printf("open %d flags %d status %#x\n", fd, flags, fcntl(fd, F_GETFL));
	}
	FILE *status = fopen("/proc/self/status", "re");
	must(status, "/proc/self/status");
	while (fgets(line, sizeof(line), status)) {
		if (!strncmp(line, "Sig", 3) || !strncmp(line, "Threads", 7) ||
		    !strncmp(line, "Shd", 3) || !strncmp(line, "Seccomp", 7) ||
		    !strncmp(line, "NoNewPrivs", 10))
			if (strncmp(line, "SigQ", 4))
				fputs(line, stdout);
	}
	fclose(status);
}

static void set_up(void)
{
	static char output[1 << 20];
	setvbuf(stdout, output, _IOFBF, sizeof(output));
	signal(SIGPIPE, on_sigpipe);
	signal(SIGSEGV, on_fault);
	signal(SIGBUS, on_fault);
	char *pages =
		mmap(NULL, 3 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	long page = sysconf(_SC_PAGESIZE);
	must(pages != MAP_FAILED && page == 4096, "a page");
	must(mprotect(pages + 4096, 4096, PROT_NONE) == 0, "mprotect"); /* a hole would be filled */
	unmapped = pages + 4096;
	read_only = pages + 2 * 4096;
	memset(read_only, 'r', 4096);
	must(mprotect(read_only, 4096, PROT_READ) == 0, "mprotect");
	listen_once();
	a_file = new_file(O_RDWR);
	must(pipe2(a_pipe, O_NONBLOCK) == 0, "pipe2");
}

/* usage: transparent [emulated] */
int main(int argc, char **argv)
{
	row_emulated = argc > 1 && !strcmp(argv[1], "emulated");
	set_up();
	for (enum kind kind = 0; kind < KINDS; kind++) {
		rows_of_reading(kind);
		rows_of_writing(kind);
		rows_of_messages(kind);
		rows_of_kernel_copies(kind);
		rows_of_descriptors(kind);
		rows_of_accepting(kind);
		rows_of_syscall(kind);
		rows_of_stdio(kind);
	}
	waiting();
	children();
	doors();
	print_process();
	return 0;
}
