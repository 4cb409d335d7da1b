/*
 * oracle.h - inputs by the million, each read by a parser of ours and by a well-known one.
 *
 *	int main(int argc, char **argv) { return oracle_main(argc, argv, &(struct oracle){...}); }
 *
 *	PROGRAM                 ORACLE_INPUTS of them, from seed 1: the same at each run
 *	PROGRAM --seconds 60    as many as that, from a seed of its own
 *	PROGRAM --show SEED     that one, with both readings
 *
 * An input is made of its seed alone. A difference is a failure unless a row of the table explains it;
 * a row that explains nothing is a failure, too: it would hide what it was not written for.
 */
#ifndef TESTS_ORACLES_ORACLE_H
#define TESTS_ORACLES_ORACLE_H

#include "tests/oracles/chance.h"

#include <stdio.h>
#include <time.h>

#ifndef ORACLE_INPUTS
#define ORACLE_INPUTS 200000u
#endif

/* A class of differences, with the reason why both are right. */
struct allowed {
	const char *what;
	unsigned long seen;
};

#define ORACLE_SAME  -1
#define ORACLE_WRONG -2

struct oracle {
	const char *name;
	struct allowed *table;
	size_t rows;
	/* Makes the input of `seed` and reads it twice: SAME, WRONG, or the row that explains it. */
	int (*one)(uint64_t seed, bool show);
};

/* What `one` says of an input that several rows explain, a bit each: counts all but the last one, which is for its
 * caller to count. */
static inline int oracle_rows(struct allowed *table, unsigned count, uint32_t rows)
{
	int last = ORACLE_SAME;
	for (unsigned row = 0; row < count; row++) {
		if (!(rows >> row & 1))
			continue;
		if (last >= 0)
			table[last].seen++;
		last = (int)row;
	}
	return last;
}

/* Bytes as C would have them in a string. */
static inline void show_bytes(const char *title, const void *at, size_t len)
{
	const uint8_t *p = at;
	printf("%s\"", title);
	for (size_t i = 0; i < len; i++) {
		if (p[i] == '\n')
			printf("\\n");
		else if (p[i] == '\r')
			printf("\\r");
		else if (p[i] < ' ' || p[i] > '~')
			printf("\\x%02x", p[i]);
		else
			printf("%s%c", p[i] == '"' || p[i] == '\\' ? "\\" : "", p[i]);
	}
	printf("\"\n");
}

static inline bool oracle_over(uint64_t done, unsigned long seconds, const struct timespec *begin)
{
	struct timespec now;
	if (!seconds)
		return done >= ORACLE_INPUTS;
	if (done % 256)
		return false;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (unsigned long)(now.tv_sec - begin->tv_sec) >= seconds;
}

static inline int oracle_main(int argc, char **argv, struct oracle *o)
{
	unsigned long seconds = 0, wrong = 0;
	uint64_t seed = 1, done = 0;
	if (argc == 3 && !strcmp(argv[1], "--show")) {
		int row = o->one(strtoull(argv[2], NULL, 0), true);
		printf("%s\n", row == ORACLE_SAME    ? "the same"
			       : row == ORACLE_WRONG ? "not explained"
						     : o->table[row].what);
		return row == ORACLE_WRONG;
	}
	struct timespec begin, end;
	clock_gettime(CLOCK_MONOTONIC, &begin);
	if (argc == 3 && !strcmp(argv[1], "--seconds")) {
		seconds = strtoul(argv[2], NULL, 10);
		seed = (uint64_t)begin.tv_nsec << 32 | (uint64_t)begin.tv_sec;
	}
	for (; !oracle_over(done, seconds, &begin) && wrong < 3; done++) {
		int row = o->one(seed + done, false);
		if (row >= 0)
			o->table[row].seen++;
		if (row == ORACLE_WRONG) {
			wrong++;
			printf("\n%s --show %llu\n", argv[0], (unsigned long long)(seed + done));
			o->one(seed + done, true);
		}
	}
	clock_gettime(CLOCK_MONOTONIC, &end);
	double took =
		(double)(end.tv_sec - begin.tv_sec) + 1e-9 * (double)(end.tv_nsec - begin.tv_nsec);
	printf("%s: %llu inputs, %.0f a second\n", o->name, (unsigned long long)done,
	       (double)done / took);
	for (size_t i = 0; i < o->rows; i++) {
		printf("%9lu  %s\n", o->table[i].seen, o->table[i].what);
		if (!o->table[i].seen && !wrong && done >= ORACLE_INPUTS) {
			printf("           explains nothing\n");
			wrong++;
		}
	}
	printf("%d passed, %d failed\n", !wrong, !!wrong);
	return wrong > 0;
}

#endif
