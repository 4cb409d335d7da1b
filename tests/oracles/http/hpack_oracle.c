/*
 * HPACK as h2.h reads it and as hpack, hyper-h2's, does: connections of some blocks of fields each, from its
 * encoder with tables of all sizes, in literals of every kind, some of them damaged (hpack_blocks.py). Here each
 * block becomes HEADERS and CONTINUATIONs, padded at random.
 */
#include "tests/oracles/http/h2_heads.h"
#include "tests/oracles/http/h2_wire.h"

#define ORACLE_INPUTS 5000u
#include "tests/oracles/oracle.h"

/* hpack_blocks.py's. */
enum how { READ, BROKEN, HUGE_TABLE, HUGE_FIELD };

enum row { ROW_TABLE, ROWS };

static struct allowed table[ROWS] = {
	[ROW_TABLE] = {"a table of more than LIMIT_HPACK_TABLE_BYTES, which RFC 7541 4.2 lets a "
		       "peer offer",
		       0},
};

static struct records records = {.script = "http/hpack_blocks.py"};
static struct reading ours;
static unsigned long blocks;

static void put_block(struct text *t, struct chance *c, uint32_t stream, struct span block)
{
	struct frame f = {HEADERS, one_in(c, 4) ? PADDED : 0, stream, {0}};
	bool last = false;
	while (!last) {
		size_t n = one_in(c, 3) ? below(c, (unsigned)block.len + 1) : block.len;
		last = n == block.len;
		f.payload = span_take(&block, n);
		f.flags |= last ? END_HEADERS : 0;
		put_padded(t, &f, f.flags & PADDED ? below(c, 256) : 0);
		f = (struct frame){CONTINUATION, 0, stream, {0}};
	}
}

static struct span get_block(struct span *in, enum how *how, struct span *fields)
{
	struct span block = get_bytes(in);
	*how = (enum how)get_number(in, 1);
	*fields = get_bytes(in);
	return block;
}

static bool same_head(const struct unit *u, uint32_t stream, const struct text *head)
{
	return u->type == H2_HEAD && u->stream == stream && u->len == head->len &&
	       !memcmp(ours.text.at + u->at, head->at, head->len);
}

/* How far they agree: the first block in which they do not, or `count`. */
static uint32_t agree(struct span in, uint32_t count, int *row)
{
	static struct text head;
	size_t unit = 0;
	*row = ORACLE_SAME;
	for (uint32_t i = 0; i < count; i++) {
		enum how how;
		struct span fields;
		get_block(&in, &how, &fields);
		if (how != READ) {
			*row = how == HUGE_TABLE ? ROW_TABLE : ORACLE_SAME;
			return ours.bad && unit == ours.count ? count : i;
		}
		if (should_tell(fields, &head) != SHOULD_TELL)
			continue;
		if (unit == ours.count || !same_head(&ours.units[unit], 2 * i + 1, &head))
			return i;
		unit++;
	}
	return ours.bad || unit < ours.count ? count - 1 : count;
}

static void show(struct span in, uint32_t count, uint32_t good)
{
	static const char *const hows[] = {"", "broken", "huge table", "huge field"};
	struct text head = {0};
	printf("%u of %u blocks, ours is %s\n", good, count, ours.bad ? "bad" : "not bad");
	for (uint32_t i = 0; i < count; i++) {
		enum how how;
		struct span fields, block = get_block(&in, &how, &fields);
		printf("%u %s", i, hows[how]);
		show_bytes("  ", block.at, block.len);
		if (i < good || how != READ)
			continue;
		if (should_tell(fields, &head) == SHOULD_TELL)
			show_bytes("    hpack: ", head.at, head.len);
		for (size_t u = 0; u < ours.count; u++) {
			if (ours.units[u].stream == 2 * i + 1)
				show_bytes("    ours:  ", ours.text.at + ours.units[u].at,
					   ours.units[u].len);
		}
	}
	free(head.at);
}

static int one(uint64_t seed, bool showing)
{
	static struct text wire;
	struct span in = records_get(&records, seed);
	struct chance chance = {.state = seed};
	uint32_t count = get_number(&in, 4);
	struct span rest = in;
	wire.len = 0;
	/* A direction of responses has no preface. */
	for (uint32_t i = 0; i < count; i++) {
		enum how how;
		struct span fields, block = get_block(&rest, &how, &fields);
		put_block(&wire, &chance, 2 * i + 1, block);
	}
	blocks += count;
	read_ours(&ours, &chance, H2_RESPONSES, span_of(wire.at, wire.len),
		  &(struct frame_ends){0});
	int row;
	uint32_t good = agree(in, count, &row);
	if (showing)
		show(in, count, good);
	return good == count ? row : ORACLE_WRONG;
}

int main(int argc, char **argv)
{
	struct oracle o = {"HPACK beside hpack", table, ROWS, one};
	int status = oracle_main(argc, argv, &o);
	printf("%lu blocks of fields\n", blocks);
	records_end(&records);
	return status;
}
