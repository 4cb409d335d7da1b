/*
 * wire.h - every byte that the shim and the agent share.
 *
 * The shim (producer, inside the server) appends records to a ring; the agent (consumer) reads and
 * releases them. This is the only header the two sides have in common. Neither side trusts a word
 * the other can write: the shim treats an impossible `tail` as "full", the agent copies a record out
 * once and validates the copy.
 *
 * One file per process image, DIRECTORY/PID-STARTTICKS-SEQUENCE.ring, mode 0400. It is written under
 * the suffix ".new" and renamed when its header is complete, so that what ends in ".ring" is whole.
 * Nobody may write to it by its name, the user whose it is included: a record past the end of a file
 * that was cut short is a SIGBUS in the server. The agent takes the right for as long as it opens it.
 *
 *   0                                  WIRE_HEADER_BYTES
 *   +----------------------------------+--------------------+--------------------+--- ...
 *   | struct wire_header               | lane 0             | lane 1             |
 *   +----------------------------------+--------------------+--------------------+--- ...
 *
 *   a lane:
 *   +-----------+-----------+-----------+-----------+--------------------------------------+
 *   | head      | drops     | tail      | (zero)    | lane_bytes of records, a circle      |
 *   | 64 bytes  | 64 bytes  | 64 bytes  | 64 bytes  | a power of two                       |
 *   +-----------+-----------+-----------+-----------+--------------------------------------+
 *     producer    producer    consumer
 *
 * A connection's lane is its descriptor modulo `lanes`: the records of one connection stay in order
 * and the threads of a server do not all fight for one head.
 *
 * Positions (`head`, `tail`) count bytes since the ring was made and never wrap; the place in the
 * circle is the position modulo lane_bytes. tail <= head <= tail + lane_bytes.
 *
 * Producer:
 *   reserve  compare-exchange head forward by the record's length (and by that of a PAD record that
 *            fills the circle's end where the record would not fit there)
 *   mark     store length | WIRE_BUSY in the first word, so that the length of a record whose owner
 *            dies is known
 *   fill     the rest of the record
 *   publish  store-release of the length without WIRE_BUSY: pairs with the consumer's load-acquire
 * Consumer:
 *   load-acquire the first word: 0 = reserved only, WIRE_BUSY = being filled: stop here for now
 *   copy, validate, then zero the bytes of what was read and store-release the tail past it: pairs
 *   with the producer's load-acquire of the tail. Zeroing is what makes "0 = reserved only" true in
 *   the next lap, and it leaves no stale bytes of a prompt that could pass for a record. The new tail
 *   goes into `read` before: where an agent is killed in between, the next one finishes it.
 *
 * A data record says at which byte of its direction's stream it starts. The shim counts every byte
 * that moved, recorded or not; so a jump of the offset is a gap of known length.
 *
 * Data records leave WIRE_LANE_RESERVE bytes of a lane free; the short records of opening and
 * closing may use them. So, a full lane loses bytes long before it loses the end of a connection.
 *
 * A record's time is in one of two clocks, and says in which by its highest bit:
 *
 *   bit 63 = 0   nanoseconds of CLOCK_MONOTONIC
 *   bit 63 = 1   the lower 63 bits are those of the processor's counter, as the kernel's own
 *                CLOCK_MONOTONIC is made of it (x86-64: the TSC, aarch64: CNTVCT_EL0)
 *
 * Reading the counter costs half of what the conversion would add, so the consumer converts: it runs
 * on the same machine, reads both clocks together again and again, and needs nothing from here but,
 * for records that are older than itself, the pair of both that was taken when the ring was made.
 * `clock` says which one the producer is to use. It begins with the counter where the kernel keeps
 * time by that; a consumer that finds the two not to go together (a virtual machine that was moved,
 * a counter that was set back) changes it to CLOCK_MONOTONIC for good.
 *
 * Version rule: a consumer refuses a header whose version is not its own. Bytes called reserved are
 * zero. All integers are in the byte order of the machine (both sides run on it).
 *
 * A record in hex: 5 bytes "GET /" read from descriptor 7, its 3rd connection, at offset 0:
 *
 *   28 00 00 00                length = 40
 *   03 03 00 00                type = WIRE_IN, pad = 3, info = 0
 *   07 00 00 00 03 00 00 00    fd = 7, generation = 3
 *   15 cd 5b 07 00 00 00 00    time = 123456789 ns
 *   00 00 00 00 00 00 00 00    offset = 0
 *   47 45 54 20 2f 00 00 00    payload and 3 bytes of padding
 */
#ifndef INFERWIRE_WIRE_H
#define INFERWIRE_WIRE_H

#include <stddef.h>
#include <stdint.h>

#define WIRE_MAGIC   0x3145524957464e49ULL /* "INFWIRE1" in memory */
#define WIRE_VERSION 2u

#define WIRE_HEADER_BYTES      8192u
#define WIRE_LANE_HEADER_BYTES 256u
#define WIRE_RECORD_BYTES      32u /* of a record without payload */
#define WIRE_ALIGN	       8u

#define WIRE_LANES_DEFAULT  4u
#define WIRE_LANES_MAX	    64u
#define WIRE_LANE_BYTES_MIN (64u * 1024)
#define WIRE_LANE_BYTES_MAX (64u * 1024 * 1024)

#define WIRE_PAYLOAD_MAX  (16u * 1024) /* a longer call becomes several records */
#define WIRE_LANE_RESERVE (8u * 1024)  /* of a lane, kept for records without stream bytes */

#define WIRE_BUSY 0x80000000u /* in the first word: reserved and being filled */

#define WIRE_SUFFIX	".ring"
#define WIRE_SUFFIX_NEW ".new"
#define WIRE_FILE_MODE	0400
#define WIRE_LOCK_NAME	"agent.lock" /* write-locked (F_OFD_SETLK, whole file) by the one agent */
#define WIRE_LOG_NAME	"agent.log"

/* Record types. "In" is what the server read, "out" what it wrote. */
enum wire_type {
	WIRE_PAD = 1,  /* fills the end of the circle; only its first 8 bytes exist */
	WIRE_OPEN = 2, /* accept returned */
	WIRE_IN = 3,   /* payload: bytes read; time after the call returned */
	WIRE_OUT = 4,  /* payload: bytes written; time before the call was made */
	WIRE_EOF = 5, /* the client sends no more: a read returned 0, or it is known when the server
		       * closes; may come twice; offset = bytes read in all */
	WIRE_SHUT =
		6, /* shutdown(2) succeeded; info = SHUT_RD, SHUT_WR, SHUT_RDWR; time before it */
	WIRE_CLOSE = 7,	 /* the descriptor is about to be closed; offset = bytes written in all */
	WIRE_FAIL = 8,	 /* a read or write failed for good; info = errno; offset as for CLOSE */
	WIRE_OPAQUE = 9, /* not readable; nothing more follows; info = enum wire_opaque */
};

/* info of IN and OUT: the payload is plain text of a TLS connection. 0: it moved as it is. */
#define WIRE_TEXT_OF_TLS 1u
/* The same, of OUT: bytes that were read before these were written are missing, and no record of IN has
 * told of them yet; the next one will, by its offset. */
#define WIRE_LOST_IN 2u

enum wire_opaque {
	WIRE_OPAQUE_TLS =
		1, /* it began with a TLS record, ciphertext went on, no plain text was seen */
	WIRE_OPAQUE_OTHER =
		2, /* neither TLS nor an HTTP method; or so the plain text of TLS began */
	WIRE_OPAQUE_HIDDEN = 3, /* its bytes go where no hook is: C's stdio, another process */
};

enum wire_clock {
	WIRE_CLOCK_MONOTONIC = 0,
	WIRE_CLOCK_COUNTER = 1,
};

#define WIRE_TIME_COUNTER (1ULL << 63) /* in a record's time: the rest is the counter's */

/* The first page of the file. Written by the shim before the rename, except where said. */
struct wire_header {
	/*    0 */ uint64_t magic;
	/*    8 */ uint32_t version;
	/*   12 */ uint32_t header_bytes; /* WIRE_HEADER_BYTES */
	/*   16 */ uint32_t lanes;	  /* a power of two, 1 .. WIRE_LANES_MAX */
	/*   20 */ uint32_t lane_bytes;	  /* of one circle, without the lane's header */
	/*   24 */ uint32_t pid;	  /* in the PID namespace `pid_ns` */
	/*   28 */ uint32_t uid;	  /* effective, when the ring was made */
	/*   32 */ uint64_t start_ticks;  /* field 22 of /proc/PID/stat: tells a reused pid apart */
	/*   40 */ uint64_t pid_ns;	  /* inode of /proc/self/ns/pid; 0 = could not be read */
	/*   48 */ uint64_t made_mono_ns; /* CLOCK_MONOTONIC */
	/*   56 */ uint64_t made_real_ns; /* CLOCK_REALTIME */
	/*   64 */ uint32_t sequence;  /* nth ring of this pid and start time: exec made it anew */
	/*   68 */ uint32_t clock;     /* enum wire_clock; the agent may store MONOTONIC */
	/*   72 */ uint64_t unwatched; /* accepts past the descriptor table; shim adds, atomic */
	/*   80 */ uint64_t made_counter; /* at made_mono_ns, highest bit 0; 0 = not known */
	/*   88 */ uint64_t
		unwatched_told; /* of them, those that an agent has exported; agent's own */
	/*   96 */ uint8_t reserved1[32];
	/*  128 */ char program[64];	   /* basename of the executable, NUL-terminated, cut */
	/*  192 */ char provider[64];	   /* INFERWIRE_PROVIDER or empty */
	/*  256 */ char service_name[256]; /* OTEL_SERVICE_NAME or empty */
	/*  512 */ char resource_attributes[4096]; /* OTEL_RESOURCE_ATTRIBUTES; empty if longer */
	/* 4608 */ char
		command_line[2048]; /* /proc/self/cmdline: NUL-separated, cut, ends in NUL NUL */
	/* 6656 */ char endpoints[1024]; /* INFERWIRE_ENDPOINTS or empty */
	/* 7680 */ uint8_t reserved2[WIRE_HEADER_BYTES - 7680];
};

struct wire_lane {
	/*   0 */ uint64_t head; /* shim adds (compare-exchange), agent reads */
	/*   8 */ uint8_t reserved0[56];
	/*  64 */ uint64_t dropped_records;  /* shim adds, agent reads: all that did not fit */
	/*  72 */ uint64_t dropped_bytes;    /* stream bytes in them */
	/*  80 */ uint64_t dropped_controls; /* those of them that were not IN or OUT */
	/*  88 */ uint8_t reserved1[40];
	/* 128 */ uint64_t tail; /* agent stores, shim reads */
	/* 136 */ uint64_t
		read; /* agent's own: records before it were read, tail is on its way there */
	/* 144 */ uint64_t told; /* agent's own: of dropped_records, those that were exported */
	/* 152 */ uint8_t reserved2[40];
	/* 192 */ uint8_t reserved3[64];
};

struct wire_record {
	/*  0 */ uint32_t
		length;	       /* with payload and padding, multiple of WIRE_ALIGN; see WIRE_BUSY */
	/*  4 */ uint8_t type; /* enum wire_type */
	/*  5 */ uint8_t pad;  /* 0 .. 7 bytes behind the payload */
	/*  6 */ uint16_t info; /* by type */
	/*  8 */ uint32_t fd;
	/* 12 */ uint32_t generation; /* nth accepted connection on this descriptor, from 1 */
	/* 16 */ uint64_t time;	      /* see WIRE_TIME_COUNTER */
	/* 24 */ uint64_t offset;     /* IN, OUT: of the payload's first byte in its stream */
};

_Static_assert(sizeof(struct wire_header) == WIRE_HEADER_BYTES, "header layout");
_Static_assert(offsetof(struct wire_header, clock) == 68, "header layout");
_Static_assert(offsetof(struct wire_header, made_counter) == 80, "header layout");
_Static_assert(offsetof(struct wire_header, unwatched_told) == 88, "header layout");
_Static_assert(offsetof(struct wire_header, program) == 128, "header layout");
_Static_assert(offsetof(struct wire_header, resource_attributes) == 512, "header layout");
_Static_assert(offsetof(struct wire_header, command_line) == 4608, "header layout");
_Static_assert(offsetof(struct wire_header, endpoints) == 6656, "header layout");
_Static_assert(sizeof(struct wire_lane) == WIRE_LANE_HEADER_BYTES, "lane layout");
_Static_assert(offsetof(struct wire_lane, dropped_records) == 64, "lane layout");
_Static_assert(offsetof(struct wire_lane, tail) == 128, "lane layout");
_Static_assert(offsetof(struct wire_lane, read) == 136, "lane layout");
_Static_assert(offsetof(struct wire_lane, told) == 144, "lane layout");
_Static_assert(sizeof(struct wire_record) == WIRE_RECORD_BYTES, "record layout");

/* The processor's counter, as both sides read it: its highest bit is taken for 0. It may be read a
 * few dozen instructions early or late; waiting for them would double its cost. */
static inline uint64_t wire_counter(void)
{
	uint64_t counter;
#if defined(__x86_64__)
	uint32_t low, high;
	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
	counter = (uint64_t)high << 32 | low;
#elif defined(__aarch64__)
	__asm__ volatile("mrs %0, cntvct_el0" : "=r"(counter));
#else
#error "inferwire knows the counters of x86-64 and aarch64"
#endif
	return counter & ~WIRE_TIME_COUNTER;
}

/* What the kernel's file of this name holds where it keeps time by that counter. */
#define WIRE_CLOCKSOURCE_FILE "/sys/devices/system/clocksource/clocksource0/current_clocksource"
#if defined(__x86_64__)
#define WIRE_CLOCKSOURCE "tsc\n"
#else
#define WIRE_CLOCKSOURCE "arch_sys_counter\n"
#endif

/* Bytes of a whole ring file. */
static inline size_t wire_file_bytes(uint32_t lanes, uint32_t lane_bytes)
{
	return WIRE_HEADER_BYTES + (size_t)lanes * (WIRE_LANE_HEADER_BYTES + (size_t)lane_bytes);
}

/* Offset of lane number `n` in the file. */
static inline size_t wire_lane_offset(uint32_t n, uint32_t lane_bytes)
{
	return WIRE_HEADER_BYTES + (size_t)n * (WIRE_LANE_HEADER_BYTES + (size_t)lane_bytes);
}

#endif
