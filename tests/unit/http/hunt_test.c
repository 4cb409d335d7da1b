/*
 * Behind a loss: what is taken for a message, and what happens where it was none.
 */
#include "tests/unit/http/talk.h"

/* A loss between messages, then these pieces. */
static void hunt_gives(enum h1_side side, const char *const *pieces, const char *want)
{
	static struct trace t;
	struct talk k;
	t.len = 0;
	talk_begin(&k, side, NULL);
	assert_false(h1_gap(&k.h1, 1));
	for (; *pieces; pieces++)
		talk_take(&k, &t, piece_at_edge(span_str(*pieces)));
	talk_end(&k, &t);
	assert_string_equal(t.text, want);
}

#define HUNT(side, want, ...) hunt_gives(side, (const char *const[]){__VA_ARGS__, NULL}, want)
#define OK(status)	      "HTTP/1.1 " status " OK\r\nContent-Length: 2\r\n\r\nok"

static void test_only_the_start_of_a_piece_is_looked_at(void **state)
{
	(void)state;
	HUNT(H1_RESPONSES, "(<201>{ok}.)|", "x" OK("200"), OK("201"));
	HUNT(H1_RESPONSES, "|", "\r\n" OK("200"));
	HUNT(H1_RESPONSES, "|", "HTTP/1.1 2", "00 OK\r\nContent-Length: 0\r\n\r\n");
	HUNT(H1_RESPONSES, "|", "HTTP/1.1 is the version\r\n\r\n");
	HUNT(H1_RESPONSES, "|", "GET / HTTP/1.1\r\n\r\n");
	HUNT(H1_REQUESTS, "|", "THE end\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n");
	/* the head behind its start line may come in further pieces */
	HUNT(H1_RESPONSES, "(<200>{ok}.)|", "HTTP/1.1 200 OK\r\nContent-Le", "ngth: 2\r\n\r\no",
	     "k");
}

/* Text of a body that looks like a message does not end the following of the connection. */
static void test_what_turns_out_to_be_no_message_is_hunted_past(void **state)
{
	(void)state;
	HUNT(H1_RESPONSES, "(?(<201>{ok}.)|", "HTTP/1.1 200 OK\r\nis a status line\r\n\r\n",
	     OK("201"));
	HUNT(H1_REQUESTS, "(?(<GET /b>.)|", "GET /a HTTP/1.1\r\nis a line.\r\n\r\nand more",
	     "GET /b HTTP/1.1\r\n\r\n");
	/* the rest of its piece is part of it */
	HUNT(H1_RESPONSES, "(?|", "HTTP/1.1 200 OK\r\n no\r\n\r\n" OK("201"));
	HUNT(H1_RESPONSES, "(<200>?(<201>{ok}.)|",
	     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "no size", OK("201"));
	/* the example has its own body, but what follows it cannot follow a message */
	HUNT(H1_RESPONSES, "(<200>{ok}.)?(<202>{ok}.)|", OK("200") "is an example." OK("201"),
	     OK("202"));
	/* twice */
	HUNT(H1_RESPONSES, "(?(?(<201>{ok}.)|", "HTTP/1.1 200 OK\r\nno\r\n\r\n",
	     "HTTP/1.1 200 OK\r\nno\r\n\r\n", OK("201"));
	/* Two messages end to end are no accident: from there on, bad is bad. */
	HUNT(H1_RESPONSES, "(<200>{ok}.)(<201>{ok}.)!~", OK("200") OK("201") "?", OK("202"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_only_the_start_of_a_piece_is_looked_at),
		cmocka_unit_test(test_what_turns_out_to_be_no_message_is_hunted_past),
	};
	return cmocka_run_group_tests_name("http/hunt", tests, NULL, NULL);
}
