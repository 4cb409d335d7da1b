/*
 * run_options.h - the options of `inferwire run`. Each is written into the environment, which is where the
 * shim and the agent read; so it wins over what was there.
 */
#ifndef TOOLS_RUN_OPTIONS_H
#define TOOLS_RUN_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

struct run_options {
	bool help, exec;
	char **command; /* with its arguments; empty only with `help` */
};

/* 0, or -1 with one line in `error`. */
int run_options_read(int argc, char **argv, struct run_options *o, char *error, size_t room);

/* Sets a variable to the path, made absolute: the agent and the server may have other working
 * directories than we. False if the path is empty or the working directory is gone. */
bool run_options_set_path(const char *variable, const char *path);

#endif
