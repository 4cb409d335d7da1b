/*
 * nghttp2_ends.h - the two ends of a conversation: a client's session of nghttp2 and a server's. Each keeps what it
 * sent by its own account and what it was told of the other, frame by frame.
 *
 * A session does not say why it tells nothing of a frame. What is known of the frame's stream when it begins does.
 */
#ifndef TESTS_ORACLES_HTTP_NGHTTP2_ENDS_H
#define TESTS_ORACLES_HTTP_NGHTTP2_ENDS_H

#include "tests/oracles/http/h2_heads.h"
#include "tests/oracles/http/h2_wire.h"

#include <nghttp2/nghttp2.h>

#define STREAMS	  256u /* whose number is below it are followed; more are not begun */
#define FILLING	  (1u << 17)
#define BODY_MOST 60000u
#define ASKED_FOR "asked for" /* of a GOAWAY that is in the plan */

/* Why nothing may be told of a frame. */
enum why {
	OPEN,	    /* nothing is known that speaks against it */
	RESET_HERE, /* its receiver has reset the stream */
	RESET_THERE,
	ENDED,	   /* it has ended in both directions, or for its sender */
	UNKNOWN,   /* no such stream, or one that cannot be followed */
	LEFT,	   /* it would be new behind a GOAWAY, of either side */
	MALFORMED, /* its receiver has complained of the stream before */
	UNWANTED,  /* the session drops what it is given now: nghttp2_session_want_read */
};

struct body {
	uint32_t stream;
	uint32_t sent, left;
	uint32_t unsaid; /* read by its session, and no frame sent of it yet */
	const uint8_t *filling;
	uint8_t pieces; /* kinds of reads: 1 = all, else at most so many bytes */
	bool trailers, waits;
	bool ends_apart; /* the last DATA is empty */
	char length[12];
};

struct fields {
	struct text lengths, bytes;
	uint32_t count;
};

struct end {
	nghttp2_session *session;
	struct chance *chance;
	struct end *other;
	bool client, closing;
	bool manual; /* it says itself what it has taken of the windows */
	/* What it sends. */
	struct text wire; /* all that ever left it */
	size_t heard_by_other;
	struct reading sent;
	struct body bodies[STREAMS];
	uint32_t body_count;
	uint8_t damages; /* one_in so many frames is damaged; 0 = none */
	uint8_t dressed; /* one in so many is split, or has an unknown one behind it; 0 = none */
	bool damaged, magic;
	/* What it hears. */
	struct reading heard;
	struct fields fields;
	struct text whys;		 /* of each frame that it was given: enum why */
	size_t frame_begins, frame_ends; /* the present frame, in the other's wire */
	uint32_t begun;			 /* the last frame that its session has begun to read */
	bool over;			 /* it reads no more */
	bool unwanted;			 /* as nghttp2_session_want_read said so */
	bool complained;		 /* of the present frame */
	char reason[128];		 /* why it gave up */
	int error;			 /* the library's, of the last complaint */
	/* Streams, by number. */
	uint8_t state[STREAMS]; /* enum why */
	uint32_t asked
		[STREAMS]; /* its reset is in the plan, behind so many frames, and the present one; 0 = not */
	bool refused[STREAMS]; /* its reset is the session's own */
	struct body *body_of[STREAMS];
	uint32_t owed[STREAMS];
	uint32_t to_answer[STREAMS], answers;
	uint32_t opened, promised;
	bool left; /* it has sent a GOAWAY */
	bool goes; /* the plan made it end the connection */
	uint32_t
		highest[2]; /* number of a stream that a head began: of the even ones, of the odd */
	uint32_t table;	    /* SETTINGS_HEADER_TABLE_SIZE that it sent last */
	bool smaller;	    /* one was smaller than that before it */
};

static uint8_t filling[2 * FILLING];

static inline uint32_t present_frame(const struct end *e)
{
	return e->whys.len ? (uint32_t)e->whys.len - 1 : 0;
}

/* ---- heads ------------------------------------------------------------------------------------------ */

static inline void add_field(struct fields *f, struct span name, struct span value)
{
	const uint32_t lengths[] = {(uint32_t)name.len, (uint32_t)value.len};
	put(&f->lengths, lengths, sizeof(lengths));
	put(&f->bytes, name.at, name.len);
	put(&f->bytes, value.at, value.len);
	f->count++;
}

static inline void clear_fields(struct fields *f)
{
	f->lengths.len = f->bytes.len = f->count = 0;
}

static inline void add_head(struct reading *r, const struct fields *f, uint32_t stream,
			    uint32_t frame)
{
	static struct text head;
	enum should should = should_tell_of(f->count, span_of(f->lengths.at, f->lengths.len),
					    span_of(f->bytes.at, f->bytes.len), &head);
	if (should == SHOULD_TELL)
		add_unit(r, (struct unit){H2_HEAD, stream, 0, frame, 0, 0},
			 span_of(head.at, head.len));
}

static inline void add_bare(struct reading *r, enum h2_event_type type, uint32_t stream,
			    uint32_t error, uint32_t frame)
{
	add_unit(r, (struct unit){type, stream, error, frame, 0, 0}, span_of(NULL, 0));
}

static inline void add_end(struct reading *r, const nghttp2_frame_hd *hd, uint32_t frame)
{
	if ((hd->type == NGHTTP2_HEADERS || hd->type == NGHTTP2_DATA) &&
	    hd->flags & NGHTTP2_FLAG_END_STREAM)
		add_bare(r, H2_END, (uint32_t)hd->stream_id, 0, frame);
}

/* ---- what an end sends ------------------------------------------------------------------------------ */

static inline void sent_head(struct end *e, const nghttp2_frame *frame)
{
	static struct fields fields;
	clear_fields(&fields);
	for (size_t i = 0; i < frame->headers.nvlen; i++) {
		const nghttp2_nv *nv = &frame->headers.nva[i];
		add_field(&fields, span_of(nv->name, nv->namelen),
			  span_of(nv->value, nv->valuelen));
	}
	add_head(&e->sent, &fields, (uint32_t)frame->hd.stream_id, (uint32_t)e->sent.count);
}

static inline void sent_data(struct end *e, const nghttp2_frame *frame)
{
	uint32_t stream = (uint32_t)frame->hd.stream_id;
	struct body *body = stream < STREAMS ? e->body_of[stream] : NULL;
	size_t len = frame->hd.length - frame->data.padlen;
	if (!body || body->unsaid != len)
		abort();
	if (len)
		add_unit(&e->sent, (struct unit){H2_BODY, stream, 0, (uint32_t)e->sent.count, 0, 0},
			 span_of(body->filling + body->sent - len, len));
	body->unsaid = 0;
}

static inline void gave_up(struct end *e, const nghttp2_goaway *goaway)
{
	struct span said = span_of(goaway->opaque_data, goaway->opaque_data_len);
	if (span_is(said, ASKED_FOR) || e->reason[0] || (!goaway->error_code && !e->goes))
		return;
	if (e->goes && !said.len)
		snprintf(e->reason, sizeof(e->reason), ASKED_FOR);
	else if (said.len)
		span_copy(said, e->reason, sizeof(e->reason));
	else
		snprintf(e->reason, sizeof(e->reason), "%s",
			 nghttp2_http2_strerror(goaway->error_code));
}

/* A reset of these errors is the session's own: it did not like what came. */
static inline void resets(struct end *e, const nghttp2_frame *frame)
{
	uint32_t stream = (uint32_t)frame->hd.stream_id, error = frame->rst_stream.error_code;
	if (stream >= STREAMS)
		return;
	if (error == NGHTTP2_PROTOCOL_ERROR || error == NGHTTP2_FLOW_CONTROL_ERROR ||
	    error == NGHTTP2_STREAM_CLOSED || error == NGHTTP2_REFUSED_STREAM)
		e->refused[stream] = true;
	e->state[stream] = e->refused[stream] ? MALFORMED : RESET_HERE;
}

static inline int on_sent(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
	struct end *e = user;
	uint32_t stream = (uint32_t)frame->hd.stream_id, nth = (uint32_t)e->sent.count;
	(void)session;
	switch (frame->hd.type) {
	case NGHTTP2_HEADERS:
		sent_head(e, frame);
		break;
	case NGHTTP2_DATA:
		sent_data(e, frame);
		break;
	case NGHTTP2_RST_STREAM:
		add_bare(&e->sent, H2_RESET, stream, frame->rst_stream.error_code, nth);
		resets(e, frame);
		break;
	case NGHTTP2_GOAWAY:
		add_bare(&e->sent, H2_AWAY, (uint32_t)frame->goaway.last_stream_id,
			 frame->goaway.error_code, nth);
		e->left = true;
		gave_up(e, &frame->goaway);
		break;
	default:
		break;
	}
	add_end(&e->sent, &frame->hd, nth);
	return 0;
}

/* Its last GOAWAY, too, where it had said before that it goes: behind less. */
static inline int on_not_sent(nghttp2_session *session, const nghttp2_frame *frame, int error,
			      void *user)
{
	struct end *e = user;
	(void)session;
	(void)error;
	if (frame->hd.type == NGHTTP2_GOAWAY)
		gave_up(e, &frame->goaway);
	else if (frame->hd.type == NGHTTP2_RST_STREAM)
		resets(e, frame);
	return 0;
}

/* ---- what an end hears ------------------------------------------------------------------------------ */

static inline enum why why_of(const struct end *e, uint32_t stream)
{
	if (!stream || stream >= STREAMS)
		return UNKNOWN;
	if (e->state[stream] != OPEN)
		return (enum why)e->state[stream];
	/* One that only a PRIORITY has named is kept, as an idle one. */
	nghttp2_stream *known = nghttp2_session_find_stream(e->session, (int32_t)stream);
	nghttp2_stream_proto_state state = known ? nghttp2_stream_get_state(known) : 0;
	if (known && state == NGHTTP2_STREAM_STATE_RESERVED_REMOTE && e->left)
		return LEFT;
	if (known && state != NGHTTP2_STREAM_STATE_IDLE)
		return OPEN;
	/* Its promise was refused. */
	if (stream % 2 == 0)
		return UNKNOWN;
	/* RFC 9113 5.1.1: a stream ends all that could have been begun before it. */
	if (stream < e->highest[stream % 2])
		return ENDED;
	return e->left ? LEFT : OPEN;
}

static inline int on_begin_frame(nghttp2_session *session, const nghttp2_frame_hd *hd, void *user)
{
	struct end *e = user;
	(void)session;
	(void)hd;
	e->begun = present_frame(e);
	return 0;
}

static inline int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
	struct end *e = user;
	(void)session;
	(void)frame;
	clear_fields(&e->fields);
	return 0;
}

/* Also of a field that the session leaves out, as its value is none: ours does not judge what is in it. */
static inline int on_field(nghttp2_session *session, const nghttp2_frame *frame,
			   const uint8_t *name, size_t namelen, const uint8_t *value,
			   size_t valuelen, uint8_t flags, void *user)
{
	struct end *e = user;
	(void)session;
	(void)frame;
	(void)flags;
	add_field(&e->fields, span_of(name, namelen), span_of(value, valuelen));
	return 0;
}

static inline int on_body(nghttp2_session *session, uint8_t flags, int32_t stream,
			  const uint8_t *data, size_t len, void *user)
{
	struct end *e = user;
	(void)session;
	(void)flags;
	if (len)
		add_unit(&e->heard,
			 (struct unit){H2_BODY, (uint32_t)stream, 0, present_frame(e), 0, 0},
			 span_of(data, len));
	if (stream < (int32_t)STREAMS)
		e->owed[stream] += (uint32_t)len;
	return 0;
}

static inline int on_heard(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
	struct end *e = user;
	uint32_t stream = (uint32_t)frame->hd.stream_id, nth = present_frame(e);
	(void)session;
	switch (frame->hd.type) {
	case NGHTTP2_HEADERS:
		add_head(&e->heard, &e->fields, stream, nth);
		if (!e->client && frame->headers.cat == NGHTTP2_HCAT_REQUEST && stream < STREAMS)
			e->to_answer[e->answers++ % STREAMS] = stream;
		break;
	case NGHTTP2_RST_STREAM:
		add_bare(&e->heard, H2_RESET, stream, frame->rst_stream.error_code, nth);
		if (stream < STREAMS && e->state[stream] == OPEN)
			e->state[stream] = RESET_THERE;
		break;
	case NGHTTP2_GOAWAY:
		add_bare(&e->heard, H2_AWAY, (uint32_t)frame->goaway.last_stream_id,
			 frame->goaway.error_code, nth);
		e->left = true;
		break;
	default:
		break;
	}
	add_end(&e->heard, &frame->hd, nth);
	return 0;
}

static inline int on_complaint(nghttp2_session *session, const nghttp2_frame *frame, int error,
			       void *user)
{
	struct end *e = user;
	uint32_t stream = (uint32_t)frame->hd.stream_id;
	(void)session;
	e->complained = true;
	e->error = error;
	if (stream < STREAMS && e->whys.len) {
		e->state[stream] = MALFORMED;
		e->whys.at[e->whys.len - 1] = MALFORMED;
	}
	return 0;
}

static inline int on_close(nghttp2_session *session, int32_t stream, uint32_t error, void *user)
{
	struct end *e = user;
	(void)session;
	(void)error;
	if (stream < (int32_t)STREAMS && e->state[stream] == OPEN)
		e->state[stream] = ENDED;
	return 0;
}

/* ---- bodies ----------------------------------------------------------------------------------------- */

static inline ssize_t read_body(nghttp2_session *session, int32_t stream, uint8_t *to, size_t room,
				uint32_t *flags, nghttp2_data_source *source, void *user)
{
	struct end *e = user;
	struct body *b = source->ptr;
	size_t n = b->left < room ? b->left : room;
	if (!e->closing && one_in(e->chance, 8)) {
		b->waits = true;
		return NGHTTP2_ERR_DEFERRED;
	}
	if (b->pieces && n > b->pieces)
		n = 1 + below(e->chance, (unsigned)b->pieces * 2) % (unsigned)n;
	memcpy(to, b->filling + b->sent, n);
	b->sent += (uint32_t)n;
	b->left -= (uint32_t)n;
	b->unsaid = (uint32_t)n;
	if (b->left || (b->ends_apart && n))
		return (ssize_t)n;
	*flags |= NGHTTP2_DATA_FLAG_EOF;
	if (b->trailers) {
		static uint8_t grpc[] = "grpc-status", zero[] = "0";
		nghttp2_nv trailer = {grpc, zero, sizeof(grpc) - 1, 1, 0};
		if (nghttp2_submit_trailer(session, stream, &trailer, 1) == 0)
			*flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
	}
	return (ssize_t)n;
}

static inline ssize_t select_padding(nghttp2_session *session, const nghttp2_frame *frame,
				     size_t most, void *user)
{
	struct end *e = user;
	size_t len = frame->hd.length, room = most - len;
	(void)session;
	if (!room || !one_in(e->chance, 4))
		return (ssize_t)len;
	return (ssize_t)(len + below(e->chance, (unsigned)room + 1));
}

/* ---- bytes between them ----------------------------------------------------------------------------- */

static inline void put_on_wire(struct end *e, const struct frame *f)
{
	struct chance *c = e->chance;
	bool block = f->type == HEADERS || f->type == PUSH_PROMISE;
	if (e->damages && one_in(c, e->damages)) {
		e->damaged = true;
		put_damaged(&e->wire, c, *f);
	} else if (block && e->dressed && one_in(c, e->dressed)) {
		put_split(&e->wire, c, f);
	} else {
		put_frame(&e->wire, f);
		if (e->dressed && (!block || f->flags & END_HEADERS) && f->type != CONTINUATION &&
		    one_in(c, e->dressed * 4u))
			put_unknown(&e->wire, c, f->stream);
	}
}

/* All that the session has to say now. */
static inline void speak_up(struct end *e)
{
	const uint8_t *at;
	ssize_t len;
	while ((len = nghttp2_session_mem_send(e->session, &at)) > 0) {
		struct span said = span_of(at, (size_t)len);
		struct frame f;
		if (e->client && !e->magic) {
			e->magic = true;
			put(&e->wire, at, PREFACE_BYTES);
			span_skip(&said, PREFACE_BYTES);
			if (e->damages && one_in(e->chance, 50u)) {
				e->damaged = true;
				e->wire.at[below(e->chance, PREFACE_BYTES)] ^= 0x20;
			}
		}
		while (next_frame(&said, &f))
			put_on_wire(e, &f);
		if (said.len)
			abort();
	}
	if (len < 0)
		abort();
}

/* The end of the next of its frames, in the other's wire, or of the preface; 0: it is not there yet. */
static inline size_t next_end(const struct end *e)
{
	const struct end *from = e->other;
	size_t at = from->heard_by_other, there = from->wire.len - at, len = FRAME_BYTES;
	if (from->client && !at)
		len = PREFACE_BYTES;
	else if (there >= FRAME_BYTES)
		len += big_endian(from->wire.at + at, 3);
	return there < len ? 0 : at + len;
}

static inline bool begin_frame(struct end *e)
{
	struct end *from = e->other;
	size_t end = next_end(e);
	if (!end)
		return false;
	e->frame_begins = from->heard_by_other;
	e->frame_ends = end;
	if (!from->client || e->frame_begins)
		put_byte(&e->whys, OPEN);
	return true;
}

/* What is known that speaks against the frame, before the session is given more of it. */
static inline void note_why(struct end *e)
{
	const uint8_t *at = e->other->wire.at + e->frame_begins;
	uint32_t stream = big_endian(at + 5, 4) & 0x7fffffff;
	uint8_t *why = e->whys.len ? &e->whys.at[e->whys.len - 1] : NULL;
	if (!why)
		return;
	if (e->unwanted)
		*why = UNWANTED;
	else if (*why == OPEN)
		*why = (uint8_t)why_of(e, stream);
	if (at[3] == HEADERS && stream > e->highest[stream % 2])
		e->highest[stream % 2] = stream;
}

/*
 * Behind a GOAWAY of either side, and while no stream is live, a session drops what it is given: in the middle of a
 * frame, too, and blocks whose fields it would need for the next one. With the next stream that it begins itself it
 * reads again, from wherever it is then. So it is given nothing more, as by a program that goes by this.
 */
static inline bool wants(struct end *e)
{
	if (!e->over && nghttp2_session_want_read(e->session))
		return true;
	if (!e->over && !e->reason[0])
		e->unwanted = true;
	e->over = true;
	return false;
}

/* What the other one has said, up to `until`: by pieces of frames, as the end must know of which frame it is told. */
static inline void listen_to(struct end *e, size_t until)
{
	struct end *from = e->other;
	while (from->heard_by_other < until) {
		if (from->heard_by_other == e->frame_ends && !begin_frame(e))
			return;
		bool wanted = wants(e);
		note_why(e);
		const uint8_t *at = from->wire.at + from->heard_by_other;
		size_t end = e->frame_ends < until ? e->frame_ends : until;
		size_t n = end - from->heard_by_other;
		from->heard_by_other = end;
		if (!wanted)
			continue;
		ssize_t took = nghttp2_session_mem_recv(e->session, at, n);
		if (took == (ssize_t)n)
			continue;
		e->over = true;
		if (!e->reason[0])
			snprintf(e->reason, sizeof(e->reason), "%s",
				 took < 0 ? nghttp2_strerror((int)took) : "paused");
	}
}

static inline void listen_to_all(struct end *e)
{
	listen_to(e, e->other->wire.len);
}

#endif
