/*
 * words.h - names that many calls of a server have in common, each kept once: models, paths, methods.
 *
 * A word lives as long as somebody holds it. "" is always there and is nobody's.
 */
#ifndef CALL_WORDS_H
#define CALL_WORDS_H

struct words;

struct words *words_new(void); /* NULL without memory */
void words_free(struct words *w);

/* To be given back once for each time. "" without memory. */
const char *words_hold(struct words *w, const char *text);
void words_drop(struct words *w, const char *word);

/* Drops the word in *at and holds `text` there. */
void words_set(struct words *w, const char **at, const char *text);

#endif
