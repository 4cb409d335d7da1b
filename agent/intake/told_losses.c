#include "agent/intake/told_losses.h"

static uint64_t at_most(uint64_t n, uint64_t most)
{
	return n < most ? n : most;
}

void told_losses_begin(struct told_losses *t, struct ring_reader *r)
{
	*t = (struct told_losses){0};
	for (uint32_t n = 0; n < ring_reader_lanes(r); n++)
		t->lane[n].dropped =
			at_most(ring_reader_told(r, n), ring_reader_loss(r, n).records);
	t->unwatched_before = at_most(ring_reader_unwatched_told(r), ring_reader_unwatched(r));
}

static uint64_t newly(uint64_t total, uint64_t *told)
{
	uint64_t more = total > *told ? total - *told : 0;
	*told += more;
	return more;
}

uint64_t told_losses_records(struct told_losses *t, struct ring_reader *r, uint32_t lane)
{
	struct ring_loss loss = ring_reader_loss(r, lane);
	return newly(loss.records, &t->lane[lane].dropped) +
	       newly(loss.skipped, &t->lane[lane].skipped);
}

uint64_t told_losses_unwatched(const struct told_losses *t, struct ring_reader *r)
{
	uint64_t all = ring_reader_unwatched(r);
	return all > t->unwatched_before ? all - t->unwatched_before : 0;
}

void told_losses_note(const struct told_losses *t, struct ring_reader *r)
{
	for (uint32_t n = 0; n < ring_reader_lanes(r); n++)
		ring_reader_tell(r, n, t->lane[n].dropped);
	ring_reader_tell_unwatched(r, t->unwatched_before + told_losses_unwatched(t, r));
}
