// node's own TLS, an OpenSSL inside of its executable. usage: node https_server.js PORT KEY CERT
const fs = require("fs");
const [port, key, cert] = process.argv.slice(2);
const options = { key: fs.readFileSync(key), cert: fs.readFileSync(cert) };
const server = require("https").createServer(options, (request, response) => {
	request.resume().on("end", () => response.end("ok"));
});
server.keepAliveTimeout = 120000;
server.listen(Number(port), "127.0.0.1");
