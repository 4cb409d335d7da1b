/*
 * verify_script.h - the three calls of `inferwire verify`, as its client makes them and its server
 * answers them. What the metrics must say follows from these figures.
 */
#ifndef TOOLS_VERIFY_SCRIPT_H
#define TOOLS_VERIFY_SCRIPT_H

#define SCRIPT_MODEL "inferwire-verify"
#define SCRIPT_PATH  "/v1/chat/completions"

/* A streamed call: the first token after a pause, then one each interval. */
#define SCRIPT_STREAM_TOKENS	  5
#define SCRIPT_STREAM_FIRST_MS	  100
#define SCRIPT_STREAM_INTERVAL_MS 20
#define SCRIPT_STREAM_INFERENCE_MS                                                                 \
	(SCRIPT_STREAM_FIRST_MS + (SCRIPT_STREAM_TOKENS - 1) * SCRIPT_STREAM_INTERVAL_MS)

/* A call that is answered whole. */
#define SCRIPT_WHOLE_TOKENS   7
#define SCRIPT_WHOLE_PAUSE_MS 50

/* And one that is refused with this status. */
#define SCRIPT_ERROR_STATUS 400

/* How the server tells the calls apart: these are in the bodies. */
#define SCRIPT_STREAM_MARK "\"stream\":true"
#define SCRIPT_ERROR_MARK  "\"messages\":[]"

#endif
