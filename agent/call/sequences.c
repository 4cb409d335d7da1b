#include "agent/call/sequences.h"

bool sequences_put(struct sequences *s, uint32_t index, uint64_t output)
{
	uint32_t n = 0;
	while (n < s->count && s->at[n].index != index)
		n++;
	if (n == SEQUENCES_MAX) {
		s->too_many = true;
		return output > 0;
	}
	bool more = output > (n < s->count ? s->at[n].output : 0);
	s->at[n].index = index;
	s->at[n].output = output;
	s->count = n < s->count ? s->count : n + 1;
	return more;
}

bool sequences_sum(const struct sequences *s, uint64_t *sum)
{
	*sum = 0;
	for (uint32_t n = 0; n < s->count; n++) {
		/* What is no count is far below: 2^53 at most, by json_whole. */
		*sum += s->at[n].output;
	}
	return s->count && !s->too_many;
}
