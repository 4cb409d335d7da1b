/* verify_endpoint.h - does the configured OTLP endpoint accept requests from here? */
#ifndef TOOLS_VERIFY_ENDPOINT_H
#define TOOLS_VERIFY_ENDPOINT_H

#include <stdbool.h>
#include <stddef.h>

/* Posts an OTLP request without metrics to the endpoint of this environment, as the agent would post;
 * no endpoint configured counts as true. One line in `text` says what came of it. */
bool verify_endpoint(char *text, size_t room);

#endif
