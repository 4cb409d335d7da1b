/*
 * Documents by JSON.parse. An input is a document; the answer is empty if it is none, else what is wanted of it:
 * the members of `wanted` in this order and the elements of arrays in theirs, each behind a byte, its id. A
 * value is
 *	s LENGTH BYTES      a string, as Said.text says it
 *	n DOUBLE WHOLE      a number; 1 if it is a whole one from 0 to 2^53
 *	t, f, z             true, false, null
 *	{ members } EMPTY   an object; 1 if nothing is in it
 *	[ elements ] EMPTY  an array
 */
'use strict';
const { serve } = require('./batches.js');

/* Of this many bytes a text is told. */
const TEXT_BYTES = Number(process.argv[3]);

/* id, key, members, elements */
function want(id, key, members = [], elements = null) {
	return { id, key, members, elements };
}
const TOP = 1, TOP_MODEL = 2, MODEL = 3, N = 4, USAGE = 5, TOTAL = 6, CHOICES = 7, CHOICE = 8, TEXT = 9, DELTA = 10, CONTENT = 11,
	SCORES = 12, SCORE = 13;
const wanted = want(0, '', [
	want(MODEL, 'model'),
	want(N, 'n'),
	want(USAGE, 'usage', [want(TOTAL, 'total')]),
	want(CHOICES, 'choices', [],
	     want(CHOICE, '', [want(TEXT, 'text'), want(DELTA, 'delta', [want(CONTENT, 'content')])])),
	want(SCORES, 'scores', [], want(SCORE, '')),
], want(TOP, '', [want(TOP_MODEL, 'model')]));

const code = (letter) => letter.charCodeAt(0);
const LETTERS = { string: code('s'), number: code('n'), true: code('t'), false: code('f'), null: code('z') };

function tellInside(value, node, said) {
	if (Array.isArray(value)) {
		for (const element of node.elements ? value : [])
			tell(element, node.elements, said);
		return value.length === 0;
	}
	for (const member of node.members) {
		if (Object.hasOwn(value, member.key))
			tell(value[member.key], member, said);
	}
	for (const key in value)
		return false;
	return true;
}

function tell(value, node, said) {
	said.byte(node.id);
	if (typeof value === 'string') {
		said.byte(LETTERS.string);
		said.text(value, TEXT_BYTES);
	} else if (typeof value === 'number') {
		said.byte(LETTERS.number);
		said.double(value);
		said.byte(Number.isInteger(value) && value >= 0 && value <= 2 ** 53 ? 1 : 0);
	} else if (value === null || typeof value === 'boolean') {
		said.byte(LETTERS[String(value)]);
	} else {
		const array = Array.isArray(value);
		said.byte(code(array ? '[' : '{'));
		const empty = tellInside(value, node, said);
		said.byte(code(array ? ']' : '}'));
		said.byte(empty ? 1 : 0);
	}
}

serve((input, said) => {
	let value;
	try {
		value = JSON.parse(input.toString('utf8'));
	} catch {
		return;
	}
	said.byte(0);
	if (value !== null && typeof value === 'object')
		tellInside(value, wanted, said);
});
