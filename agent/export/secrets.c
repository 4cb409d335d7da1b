#include "agent/export/secrets.h"

#include <string.h>

/* A shorter word is no secret, and would be found in any sentence. */
#define WORD_BYTES 6u
#define PART_BYTES 4u

static void hide_word(const char *word, size_t len, char *line)
{
	if (len < WORD_BYTES)
		return;
	char *found = memmem(line, strlen(line), word, len);
	if (found)
		*found = '\0';
	/* The line itself may have been cut within the word. */
	size_t line_len = strlen(line);
	for (size_t n = len < line_len ? len : line_len; n >= PART_BYTES; n--)
		if (memcmp(line + line_len - n, word, n) == 0) {
			line[line_len - n] = '\0';
			return;
		}
}

void secrets_hide(const struct config *c, char *line)
{
	for (size_t i = 0; i < c->header_count; i++) {
		const char *rest = c->headers[i].value;
		while (*rest) {
			size_t n = strcspn(rest, " ");
			hide_word(rest, n, line);
			rest += n;
			rest += strspn(rest, " ");
		}
	}
}
