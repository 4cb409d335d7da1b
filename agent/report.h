/*
 * report.h - where the agent says what it has to say: stderr, or DIRECTORY/agent.log when a server's
 * shim started it (there stderr leads nowhere). Never content.
 */
#ifndef AGENT_REPORT_H
#define AGENT_REPORT_H

/* Sends further lines to the log file of the directory (0600, made anew when it passes 1 MiB). */
void report_to_log(int dir_fd);
/* One line, without its newline. */
void report(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
