// Plays the answers of a playbook (playbook.py) by node's own http, or https.
//   node play.js PORT PLAYBOOK [KEY CERTIFICATE]
'use strict';
const fs = require('node:fs');
const path = require('node:path');

const [port, playbook, key, certificate] = process.argv.slice(2);

// The lines and pieces of one answer.
function* read(file) {
	const bytes = fs.readFileSync(file);
	for (let at = 0; at < bytes.length;) {
		const end = bytes.indexOf('\n', at);
		const words = bytes.toString('latin1', at, end).split(' ');
		const n = at && Number(words[1]) || 0;
		at = end + 1 + n;
		yield { words, piece: bytes.subarray(end + 1, at) };
	}
}

function wait(ms) {
	return new Promise((resolve) => setTimeout(resolve, Number(ms)));
}

async function play(file, response) {
	const answer = read(file);
	const [ms, status, length, ...type] = answer.next().value.words;
	await wait(ms);
	response.statusCode = Number(status);
	response.setHeader('content-type', type.join(' '));
	if (length !== '-1')
		response.setHeader('content-length', length);
	response.flushHeaders();
	for (const { words, piece } of answer) {
		await wait(words[0]);
		if (response.destroyed)
			return;
		if (words[1] === 'end')
			return response.end();
		if (words[1] === 'break')
			return response.destroy();
		response.write(piece);
	}
}

function listener(request, response) {
	let length = 0;
	request.on('data', (bytes) => { length += bytes.length; });
	request.on('end', () => {
		if (request.method === 'GET')
			response.end('{"status": "ok"}');
		else
			play(path.join(playbook, String(length)), response);
	});
	request.on('error', () => {});
}

const server = key
	? require('node:https').createServer({ key: fs.readFileSync(key), cert: fs.readFileSync(certificate) }, listener)
	: require('node:http').createServer(listener);
server.listen(Number(port), '127.0.0.1');
process.on('SIGTERM', () => process.exit(0));
