/*
 * h1_makes.h - one direction of an HTTP/1 connection, made up: what senders write, what they should not,
 * and what those write who want two readers to disagree.
 */
#ifndef TESTS_ORACLES_H1_MAKES_H
#define TESTS_ORACLES_H1_MAKES_H

#include "tests/oracles/chance.h"

#include <stdio.h>

static inline void line_end(struct chance *c, struct text *t)
{
	static const char *const wrong[] = {"\n", "\r", "\r\r\n", "\n\r", " \r\n", "\t\n", ""};
	say(t, odd(c) ? PICK(c, wrong) : "\r\n");
}

static inline void number(struct text *t, const char *format, unsigned long n)
{
	char digits[24];
	snprintf(digits, sizeof(digits), format, n);
	say(t, digits);
}

static inline const char *pick_version(struct chance *c)
{
	static const char *const wrong[] = {"HTTP/0.9", "HTTP/1.2", "HTTP/2.0",	 "http/1.1",
					    "HTTP/1.",	"HTTP/11",  "HTTP/1.10", "HTTP/1.01",
					    "HTP/1.1",	"HTTP/1,1", "HTTP/1.1 ", " HTTP/1.1",
					    "ICE/1.1",	"RTSP/1.0"};
	if (odd(c))
		return PICK(c, wrong);
	return one_in(c, 6) ? "HTTP/1.0" : "HTTP/1.1";
}

static inline void request_line(struct chance *c, struct text *t)
{
	static const char *const methods[] = {"POST",	  "POST",     "POST",	"GET",	   "GET",
					      "HEAD",	  "PUT",      "DELETE", "OPTIONS", "PATCH",
					      "PROPFIND", "M-SEARCH", "CONNECT"};
	static const char *const odd_methods[] = {"post",  "Post", "FOO",  "POSTS", "",
						  "PO ST", "P\tT", "\x80", "QUERY", "G\rET"};
	static const char *const targets[] = {
		"/v1/chat/completions",	 "/",	    "/v1/models?a=b&c=d", "/x#y",      "*",
		"http://host:80/v1/x?y", "/%20%zz", "host:443",		  "/a:b@c;d,e"};
	static const char *const odd_targets[] = {
		"",	   "/a b",	 "/\xc3\xa9",	 "/\x01", "/\t", "x", "//",
		"http://", "h://a@b@c/", "/\"<>\\^`{|}", "/a\rb", "?",	 "#", "/ HTTP/1.1",
		"/\xff",   "/a?b\tc",	 "/\x7f",	 "host",  "*x"};
	say(t, odd(c) ? PICK(c, odd_methods) : PICK(c, methods));
	say(t, odd(c) ? (one_in(c, 2) ? "  " : "\t") : " ");
	say(t, odd(c) ? PICK(c, odd_targets) : PICK(c, targets));
	say(t, odd(c) ? (one_in(c, 2) ? "  " : "\t") : " ");
	say(t, pick_version(c));
	line_end(c, t);
}

static inline void status_line(struct chance *c, struct text *t)
{
	static const char *const statuses[] = {"200", "200", "200", "201", "204", "304", "100",
					       "103", "101", "400", "404", "503", "299"};
	static const char *const odd_statuses[] = {"099", "20",	 "2000", "abc", "-20", "999",
						   "000", "102", "150",	 "199", ""};
	static const char *const reasons[] = {" OK", " Not Found", " ", "", " \xc3\xa9t\xc3\xa9"};
	static const char *const odd_reasons[] = {"OK", "\tOK", "  OK", " O\x01K", " O\rK"};
	say(t, pick_version(c));
	say(t, odd(c) ? "  " : " ");
	say(t, odd(c) ? PICK(c, odd_statuses) : PICK(c, statuses));
	say(t, odd(c) ? PICK(c, odd_reasons) : PICK(c, reasons));
	if (odd(c) && one_in(c, 8))
		put_byte(t, 0);
	line_end(c, t);
}

static inline void field_value(struct chance *c, struct text *t)
{
	static const char *const values[] = {"x",	   "text/event-stream",
					     "uvicorn",	   "application/json; charset=utf-8",
					     "a,b",	   "\"q:\\\"\"",
					     "",	   "close",
					     "keep-alive", "gzip",
					     "upgrade",	   "5"};
	static const char *const wrong[] = {"a\x01"
					    "b",
					    "a\rb",
					    "\x7f",
					    "\xff\xfe",
					    "a\tb",
					    " a ",
					    "\t",
					    "\v",
					    "a\nb"};
	say(t, odd(c) ? PICK(c, wrong) : PICK(c, values));
	if (odd(c)) {
		static const char *const folds[] = {"\r\n x", "\r\n\t",	     "\n y",
						    "\r\n  ", "\r\n \r\n z", "\r\n :"};
		say(t, PICK(c, folds));
	}
	if (odd(c) && one_in(c, 4))
		put_byte(t, 0);
}

static inline void field(struct chance *c, struct text *t)
{
	static const char *const names[] = {"Host",
					    "Content-Type",
					    "content-type",
					    "Server",
					    "Content-Encoding",
					    "X-A",
					    "Connection",
					    "Upgrade",
					    "Accept",
					    "Content-Lengt",
					    "Transfer-Encodin",
					    "User-Agent",
					    "Proxy-Connection",
					    "Content-Lengths"};
	static const char *const wrong[] = {
		"",   "X A",  "Host ", " Host",	    "X\xc3\xa9",     "X\t",
		"X(", "\x01", "X\"",   "Conte\rnt", "Content_Length"};
	say(t, odd(c) ? PICK(c, wrong) : PICK(c, names));
	if (!odd(c))
		say(t, ":");
	say(t, one_in(c, 5) ? "" : odd(c) ? " \t " : " ");
	field_value(c, t);
	line_end(c, t);
}

/* A name as one sender writes it, or as another: in any case (RFC 9110 5.1). */
static inline void any_case(struct chance *c, struct text *t, const char *name)
{
	unsigned how = one_in(c, 4) ? 1 + below(c, 3) : 0;
	for (; *name; name++) {
		bool letter = (*name | 32) >= 'a' && (*name | 32) <= 'z';
		bool flip =
			letter && (how == 3 ? one_in(c, 2) : how && (*name >= 'a') == (how == 1));
		put_byte(t, (uint8_t)(flip ? *name ^ 32 : *name));
	}
}

/* How long the body says to be: by a number, in chunks, both, neither. */
static inline void length_field(struct chance *c, struct text *t, unsigned long n)
{
	static const char *const formats[] = {"+%lu",
					      "-%lu",
					      "0x%lx",
					      "%lu ",
					      "%lu,",
					      ",%lu",
					      "%lu.0",
					      "\t%lu\t",
					      "00%lu",
					      "%lu %lu",
					      "",
					      " ",
					      "%lu, %lu",
					      "%lu,%lu",
					      "1%lu",
					      "18446744073709551615%lu",
					      "9223372036854775807%.0lu",
					      "18446744073709551616%.0lu",
					      "\r\n %lu",
					      "%lua"};
	char value[80];
	/* Some have the number twice. */
	snprintf(value, sizeof(value), "%lu", n);
	if (odd(c)) {
		const char *f = PICK(c, formats);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		snprintf(value, sizeof(value), f, n, n + one_in(c, 3));
#pragma GCC diagnostic pop
	}
	any_case(c, t, "Content-Length");
	say(t, odd(c) ? (one_in(c, 2) ? " :" : ":") : ": ");
	say(t, value);
	line_end(c, t);
	if (odd(c))
		length_field(c, t, n + one_in(c, 2));
}

static inline void list_of_codings(struct chance *c, struct text *t)
{
	static const char *const codings[] = {"chunked",  "chunked",	"gzip",	   "deflate",
					      "identity", "Chunked",	"x-chunk", "",
					      "br",	  "chunked;a=b"};
	static const char *const between[] = {",",   ", ",     " ,",	  "\t,\t", ",,",
					      ", ,", "\r\n ,", ",\r\n\t", " ",	   ";"};
	for (unsigned n = 1 + below(c, 4); n; n--) {
		say(t, PICK(c, codings));
		if (n > 1 || one_in(c, 6))
			say(t, PICK(c, between));
	}
}

static inline void coding_field(struct chance *c, struct text *t)
{
	static const char *const wrong[] = {"Chunked",
					    "gzip, chunked",
					    "chunked, gzip",
					    "chunked, chunked",
					    "gzip",
					    "identity",
					    "",
					    "chunked;q=1",
					    "xchunked",
					    "chunked ",
					    "chunked\t",
					    "\tchunked",
					    "chunked,",
					    ",chunked",
					    ", ,chunked",
					    "gzip;a=b, chunked",
					    "chunke",
					    "chunkedx",
					    "chunked x",
					    "\"chunked\"",
					    "gzip,\r\n chunked",
					    "\vchunked",
					    "chunked\x01",
					    "identity, chunked",
					    "gzip;q=1,chunked",
					    "chunked , gzip",
					    "gzip\t,\tchunked",
					    "deflate,gzip,chunked",
					    "chunked;",
					    "chunked ;a",
					    "gzip,",
					    "gzip x, chunked",
					    "trailers, chunked",
					    "\"a,chunked\"",
					    "chun\r\n ked",
					    "chunked\r\n ",
					    "\r\n chunked",
					    "\r\n\tchunked\r\n\t",
					    ",",
					    "chunked,,",
					    ",,chunked",
					    "xchunked, chunked",
					    "chunked-gzip",
					    "gzip-chunked",
					    "gzip\rchunked",
					    "chunked\\",
					    "chunked=1",
					    "CHUNKED",
					    "chunKed"};
	any_case(c, t, "Transfer-Encoding");
	say(t, ":");
	say(t, odd(c) ? "" : " ");
	if (odd(c) && one_in(c, 3))
		list_of_codings(c, t);
	else
		say(t, odd(c) ? PICK(c, wrong) : one_in(c, 16) ? "Chunked" : "chunked");
	line_end(c, t);
	if (odd(c))
		coding_field(c, t);
}

static inline void body_text(struct chance *c, struct text *t, unsigned n)
{
	static const char lure[] = "0\r\n\r\nGET /lure HTTP/1.1\r\nHost: x\r\n\r\nHTTP/1.1 200 "
				   "OK\r\nContent-Length: 1\r\n\r\n";
	unsigned from = one_in(c, 2) ? 0 : below(c, sizeof(lure) - 1);
	for (unsigned i = 0; i < n; i++)
		put_byte(t, (uint8_t)lure[(from + i) % (sizeof(lure) - 1)]);
}

/* An extension put together of what means something in one. */
static inline void make_extension(struct chance *c, struct text *t)
{
	static const char *const parts[] = {"a", "b=",	 "\"", "\"x\"", "\\\"",	    "\\",
					    ";", ";",	 "=",  " ",	"\t",	    "0",
					    "5", "\xe9", "\r", "\n",	"q=\"a;b\""};
	say(t, ";");
	for (unsigned n = 1 + below(c, one_in(c, 10) ? 200 : 6); n; n--)
		say(t, PICK(c, parts));
}

static inline void chunk_line(struct chance *c, struct text *t, unsigned long n)
{
	static const char *const formats[] = {"0x%lx",	 "%lx ", "%lx\t", " %lx",
					      "+%lx",	 "-%lx", "%lx g", "00000000000000000%lx",
					      "f%015lx", "%lx:"};
	static const char *const extensions[] = {";a", ";a=b", ";a=\"b c\"", ";a;b=1"};
	static const char *const wrong[] = {
		"; a", ";",    ";a=", ";a=\"b",	     ";a\nb",	    ";a\r\nb", ";\x01",
		" ;a", ";a b", ";=1", ";a=\"\\\"\"", ";a=\"\r\n\"", ";a=\xff"};
	char digits[64];
	snprintf(digits, sizeof(digits), one_in(c, 4) ? "%lX" : one_in(c, 8) ? "00%lx" : "%lx", n);
	if (odd(c)) {
		const char *f = PICK(c, formats);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		snprintf(digits, sizeof(digits), f, n);
#pragma GCC diagnostic pop
	}
	say(t, digits);
	if (one_in(c, 8))
		say(t, PICK(c, extensions));
	if (odd(c) && one_in(c, 3))
		make_extension(c, t);
	else if (odd(c))
		say(t, PICK(c, wrong));
	line_end(c, t);
}

/* One that nears a bound of what is kept or skipped. */
static inline void huge_field(struct text *t, unsigned n)
{
	say(t, "X-Huge: ");
	for (; n; n--)
		put_byte(t, 'h');
	say(t, "\r\n");
}

static inline void chunks(struct chance *c, struct text *t)
{
	for (unsigned left = below(c, 4); left; left--) {
		unsigned n = one_in(c, 10) ? 200 + below(c, 3000) : 1 + below(c, 40);
		chunk_line(c, t, n);
		body_text(c, t, odd(c) ? (n + 1) * below(c, 3) / 2 : n);
		line_end(c, t);
	}
	if (!odd(c))
		chunk_line(c, t, 0);
	for (unsigned left = one_in(c, 5) ? 1 + below(c, one_in(c, 6) ? 9 : 2) : 0; left; left--) {
		if (one_in(c, 500))
			huge_field(t, 16000 + below(c, 800));
		else if (odd(c))
			length_field(c, t, 3);
		else if (odd(c))
			coding_field(c, t);
		else
			field(c, t);
	}
	line_end(c, t);
}

static inline void make_message(struct chance *c, struct text *t, bool request)
{
	static const char *const empty[] = {"\r\n", "\n", "\r", "\r\n\r\n", " \r\n"};
	if (odd(c))
		say(t, PICK(c, empty));
	if (request)
		request_line(c, t);
	else
		status_line(c, t);
	if (one_in(c, 20))
		say(t, "Connection: Upgrade\r\nUpgrade: websocket\r\n");
	if (one_in(c, 5000))
		huge_field(t, 65100 + below(c, 600));
	unsigned kind = below(c, 10), n = one_in(c, 4) ? 0 : 1 + below(c, 60);
	for (unsigned left = below(c, 4); left; left--)
		field(c, t);
	bool by_length = kind < 4 || odd(c), by_chunks = (kind >= 4 && kind < 8) || odd(c);
	if (by_length && !(by_chunks && !odd(c)))
		length_field(c, t, n);
	if (by_chunks)
		coding_field(c, t);
	for (unsigned left = below(c, 3); left; left--)
		field(c, t);
	line_end(c, t);
	if (by_chunks)
		chunks(c, t);
	else if (by_length)
		body_text(c, t, odd(c) ? (n + 1) * below(c, 3) / 2 : n);
	else if (odd(c))
		body_text(c, t, n);
}

/* What may come before an answer, any number of times (RFC 9110 15.2). */
static inline void interim_answers(struct chance *c, struct text *t)
{
	static const char *const some[] = {
		"HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 102 Processing\r\n\r\n",
		"HTTP/1.1 103 Early Hints\r\nLink: </x>; rel=preload\r\n\r\n",
		"HTTP/1.1 100\r\n\r\n", "HTTP/1.1 100 Continue\r\nContent-Length: 0\r\n\r\n"};
	static const char *const wrong[] = {
		"HTTP/1.1 100 Continue\r\nContent-Length: 5\r\n\r\n",
		"HTTP/1.1 103 Early Hints\r\nTransfer-Encoding: chunked\r\n\r\n",
		"HTTP/1.1 100 Continue\r\n",
		"HTTP/1.1 104 X\r\n\r\n",
		"HTTP/1.1 199 X\r\nContent-Length: 5\r\n\r\n",
		"HTTP/1.1 100 Continue\n\n"};
	for (unsigned left = 1 + below(c, 3); left; left--)
		say(t, odd(c) ? PICK(c, wrong) : PICK(c, some));
}

static inline void make_direction(struct chance *c, struct text *t, bool requests)
{
	static const char telling[] = "\r\n\r\n :,;\t0159aAfFx\"/.HTP\0\x80";
	for (unsigned left = 1 + below(c, one_in(c, 12) ? 12 : 4); left; left--) {
		if (!requests && one_in(c, 8))
			interim_answers(c, t);
		make_message(c, t, requests);
	}
	if (c->odd && one_in(c, 3))
		mutate(c, t, telling, sizeof(telling) - 1);
}

#endif
