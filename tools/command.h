/*
 * command.h - the subcommands of `inferwire`. Each gets its own argv (argv[0] is its name), prints what
 * it has to say and returns the exit status.
 */
#ifndef TOOLS_COMMAND_H
#define TOOLS_COMMAND_H

enum { EXIT_USAGE = 2 }; /* wrong arguments, wrong configuration, nothing was started */

int command_run(int argc, char **argv);
int command_check(int argc, char **argv);
int command_status(int argc, char **argv);
int command_verify(int argc, char **argv);

/* The server that `verify` watches: this very program, started anew. Not for people. */
int command_verify_server(int argc, char **argv);

#endif
