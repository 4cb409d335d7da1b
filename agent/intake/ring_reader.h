/*
 * ring_reader.h - the consumer's end of one ring file (shim/wire.h).
 *
 * The file is another process's memory: every word of it is checked before it is used, a record is
 * copied out once and the copy is what is looked at. A file that is cut while it is read costs the
 * ring, not the agent.
 */
#ifndef INTAKE_RING_READER_H
#define INTAKE_RING_READER_H

#include "agent/intake/lane.h"
#include "agent/intake/process.h"

struct ring_reader;

/* Installs the handler that turns a fault on a cut file into an error, and ignores SIGIO, see
 * ring_reader_has_producer. Once, before the first open. */
void ring_reader_setup(void);

/* Opens and maps a ring, checks its header and copies it into *p. 0, or -errno: -EINVAL what is there
 * is no ring of ours; -EPROTO it is one of another version. */
int ring_reader_open(int dir_fd, const char *name, struct ring_reader **reader, struct process *p);
void ring_reader_close(struct ring_reader *r);

/* Whether a process has the ring mapped, in whatever PID namespace: asks the kernel. True where that
 * cannot be asked. A process that execs loses its map as one that dies. */
bool ring_reader_has_producer(const struct ring_reader *r);

/* Gives the memory of the lanes back, with what was not read; the file and its header stay. Does
 * nothing while there is a producer. */
void ring_reader_discard(struct ring_reader *r);

/* Whether an agent before us had read of it: there may be connections that we were not told of. */
bool ring_reader_was_read(const struct ring_reader *r);

uint32_t ring_reader_lanes(const struct ring_reader *r);

/*
 * Reads at most `most` records of a lane, in order, and gives their bytes back to the producer.
 * Returns how many it passed, fillers and what is no record among them; less than `most`: there is no
 * more for now. `now_ns` (CLOCK_MONOTONIC) and `producer_lives` decide about a record that was
 * reserved and never published: it is waited for, and skipped when its process is dead or went on
 * without it for RING_STUCK_NS. With one whose length is not known (there are two instructions in
 * which to leave one behind), what was reserved next goes, too.
 */
size_t ring_reader_drain(struct ring_reader *r, uint32_t lane, size_t most, uint64_t now_ns,
			 bool producer_lives,
			 void (*found)(void *user, const struct ring_record *rec), void *user);

/* Whether nothing came in any lane since its last drain: one look at each head. */
bool ring_reader_is_quiet(struct ring_reader *r);

/* How full a lane is now, in thousandths, rounded up: 0 = nothing is in it. */
unsigned ring_reader_fill(struct ring_reader *r, uint32_t lane);

/* Loss of a lane since the ring was made, as the producer counted it, and what was skipped here. */
struct ring_loss {
	uint64_t records, bytes, controls;
	uint64_t skipped; /* by us: never published, no record at all, or where a lane broke */
};
struct ring_loss ring_reader_loss(struct ring_reader *r, uint32_t lane);

/* How many of `records` an agent has exported, this one or one before it; it is noted in the ring. */
uint64_t ring_reader_told(struct ring_reader *r, uint32_t lane);
void ring_reader_tell(struct ring_reader *r, uint32_t lane, uint64_t records);

/* Whether a lane is broken (its words cannot be, or the file was cut): nothing more is read of it. */
bool ring_reader_lane_broken(const struct ring_reader *r, uint32_t lane);
/* Whether all of them are. */
bool ring_reader_broken(const struct ring_reader *r);

/* Accepts that went past the shim's descriptor table. */
uint64_t ring_reader_unwatched(struct ring_reader *r);
/* And how many of them an agent has exported. */
uint64_t ring_reader_unwatched_told(struct ring_reader *r);
void ring_reader_tell_unwatched(struct ring_reader *r, uint64_t connections);

#endif
