// Tiny replies. With BENCH_OTEL set under OpenTelemetry, as its documentation has it: the SDK with the
// instrumentation of http, batched spans and periodic metrics by OTLP.
if (process.env.BENCH_OTEL) {
  const { NodeSDK } = require('@opentelemetry/sdk-node')
  const { HttpInstrumentation } = require('@opentelemetry/instrumentation-http')
  new NodeSDK({ instrumentations: [new HttpInstrumentation()] }).start()
}
const http = require('node:http')
const reply = JSON.stringify({ object: 'list', data: [] })
http
  .createServer((request, response) => {
    request.resume()
    request.on('end', () => {
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': reply.length })
      response.end(reply)
    })
  })
  .listen(Number(process.env.PORT), '127.0.0.1')
process.on('SIGTERM', () => process.exit(0))
