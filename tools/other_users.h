/*
 * other_users.h - ring directories of other users: those that a command's processes became, or any.
 *
 * A server that is started by root and becomes another user before it listens (gosu, setpriv, a USER of
 * its own configuration) has its rings in that user's default directory. Who waits for the last export
 * must look there as well.
 */
#ifndef TOOLS_OTHER_USERS_H
#define TOOLS_OTHER_USERS_H

#include "tools/rings.h"

#define OTHER_USERS_MAX 8

struct other_users {
	char path[OTHER_USERS_MAX][64];
	unsigned int count;
};

/* Adds the default directories in which a ring is of a process that descends from us, or, where we are process
 * 1, of any; it lives, or was not waited for yet. Only root can look into them; others have none. `own` is left out. */
void other_users_find(struct other_users *o, const char *own);

/* Adds the default directories of other users in which an agent runs, for root. */
void other_users_with_agents(struct other_users *o, const char *own);

/* Adds their rings to *sum. */
void other_users_count(const struct other_users *o, struct rings *sum);

#endif
