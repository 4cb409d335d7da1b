/*
 * Streams of events by eventsource-parser and by undici. An input is its pieces, each behind its length; the
 * answer is what either parser said, behind its length: C for a comment, E with name and data for an event.
 */
'use strict';
const from = require('node:module').createRequire(`${process.argv[2]}/package.json`);
const { createParser } = from('eventsource-parser');
const { EventSourceStream } = from('undici/lib/web/eventsource/eventsource-stream.js');
const { serve } = require('./batches.js');

/* eventsource-parser makes an Error of each field that it does not know: no stack is wanted of it. */
Error.stackTraceLimit = 0;

const COMMENT = 'C'.charCodeAt(0), EVENT = 'E'.charCodeAt(0);

function piecesOf(input) {
	const pieces = [];
	for (let at = 0; at < input.length;) {
		const end = at + 4 + input.readUInt32LE(at);
		pieces.push(input.subarray(at + 4, end));
		at = end;
	}
	return pieces;
}

function event(said, name, data) {
	said.byte(EVENT);
	said.text(name);
	said.text(data);
}

const decoder = new TextDecoder(), more = { stream: true };

/* As its own stream does it: through a decoder, which takes the byte order mark. */
function byEventsourceParser(pieces, said) {
	const parser = createParser({
		onEvent: (e) => event(said, e.event ?? '', e.data),
		onComment: () => said.byte(COMMENT),
	});
	for (const piece of pieces)
		parser.feed(decoder.decode(piece, more));
	parser.feed(decoder.decode());
}

function done(error) {
	if (error)
		throw error;
}

/* With the names as they were sent: those who listen get "message" for none. */
class Stream extends EventSourceStream {
	processEvent(event) {
		this.sent = event.event ?? '';
		super.processEvent(event);
	}
}

function byUndici(pieces, said) {
	const stream = new Stream({ push: (e) => event(said, stream.sent, e.options.data) });
	for (const piece of pieces)
		stream._transform(piece, null, done);
}

serve((input, said) => {
	const pieces = piecesOf(input);
	said.measured(() => byEventsourceParser(pieces, said));
	said.measured(() => byUndici(pieces, said));
});
