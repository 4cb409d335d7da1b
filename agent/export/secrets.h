/*
 * secrets.h - keeps the values of configured headers out of messages, also when a receiver says them.
 */
#ifndef EXPORT_SECRETS_H
#define EXPORT_SECRETS_H

#include "agent/export/config.h"

/* Cuts `line` before anything that is a header's value, or a word of one ("Bearer WORD"). */
void secrets_hide(const struct config *c, char *line);

#endif
