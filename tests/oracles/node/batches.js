/*
 * Inputs by the batch on descriptor 0, what a reader says of them on 1. All numbers are 4 bytes, little-endian.
 *
 *	batch:   bytes of what follows, then for each input: its bytes, the input
 *	answer:  the same shape, one answer for each input, in their order
 */
'use strict';
const fs = require('node:fs');

/* What is said, put together in one buffer. */
class Said {
	constructor() {
		this.bytes = Buffer.allocUnsafe(1 << 20);
		this.at = 4;
	}
	room(n) {
		if (this.at + n <= this.bytes.length)
			return;
		const larger = Buffer.allocUnsafe((this.at + n) * 2);
		this.bytes.copy(larger, 0, 0, this.at);
		this.bytes = larger;
	}
	byte(b) {
		this.room(1);
		this.bytes[this.at++] = b;
	}
	number(n) {
		this.room(4);
		this.at = this.bytes.writeUInt32LE(n, this.at);
	}
	double(d) {
		this.room(8);
		this.at = this.bytes.writeDoubleLE(d, this.at);
	}
	/* Its bytes in UTF-8, and it; halves of surrogate pairs become U+FFFD. Of more than `most` bytes that many
	 * and a length of 2^32 - 1. */
	text(s, most = 0xfffffffe) {
		this.room(4 + 3 * s.length);
		const len = this.bytes.write(s, this.at + 4);
		this.bytes.writeUInt32LE(len > most ? 0xffffffff : len, this.at);
		this.at += 4 + Math.min(len, most);
	}
	/* What `say` says, behind its length. */
	measured(say) {
		const at = this.at;
		this.number(0);
		say();
		this.bytes.writeUInt32LE(this.at - at - 4, at);
	}
}

/* Null at the end of all. */
function read(len) {
	const bytes = Buffer.allocUnsafe(len);
	for (let at = 0, n; at < len; at += n) {
		n = fs.readSync(0, bytes, at, len - at, null);
		if (n === 0)
			return null;
	}
	return bytes;
}

/* False if nobody reads any more: who asked has ended. */
function write(bytes) {
	try {
		for (let at = 0; at < bytes.length;)
			at += fs.writeSync(1, bytes, at);
	} catch (error) {
		if (error.code === 'EPIPE')
			return false;
		throw error;
	}
	return true;
}

/* answer(input, said) says what there is to say of an input. */
exports.serve = (answer) => {
	const said = new Said();
	for (let head, batch; (head = read(4)) && (batch = read(head.readUInt32LE(0)));) {
		said.at = 4;
		for (let at = 0; at < batch.length;) {
			const end = at + 4 + batch.readUInt32LE(at);
			said.measured(() => answer(batch.subarray(at + 4, end), said));
			at = end;
		}
		said.bytes.writeUInt32LE(said.at - 4, 0);
		if (!write(said.bytes.subarray(0, said.at)))
			return;
	}
};
