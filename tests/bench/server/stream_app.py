"""The least that an ASGI server of a streamed chat does: reads the request, sends an event a token.

`app` is bare. `otel` and `otel_tuned` are the same under OpenTelemetry's own middleware, set up as its
documentation has it: batched spans and periodic metrics by OTLP; the tuned one leaves the spans of single
sends and receives out.
"""

import json
from collections.abc import Awaitable, Callable
from typing import Any

Message = dict[str, Any]
EVENTS = 100
EVENT = "data: " + json.dumps(
    {
        "id": "chatcmpl-0123456789abcdef0123456789abcdef",
        "object": "chat.completion.chunk",
        "created": 1767225600,
        "model": "m",
        "choices": [{"index": 0, "delta": {"content": " token"}, "logprobs": None, "finish_reason": None}],
    }
)
FIRST = EVENT.replace('"content": " token"', '"role": "assistant", "content": ""') + "\n\n"
LAST = EVENT.replace('{"content": " token"}', "{}").replace('"finish_reason": null', '"finish_reason": "stop"')
LAST += "\n\ndata: [DONE]\n\n"
PARTS = [FIRST.encode(), *[(EVENT + "\n\n").encode()] * EVENTS, LAST.encode()]


async def app(scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]) -> None:
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return
    while (await receive()).get("more_body"):
        pass
    headers = [(b"content-type", b"text/event-stream")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    for part in PARTS:
        await send({"type": "http.response.body", "body": part, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


def under_otel(**options: Any) -> Any:
    from opentelemetry import metrics, trace
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    tracers = TracerProvider()
    tracers.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(tracers)
    metrics.set_meter_provider(MeterProvider([PeriodicExportingMetricReader(OTLPMetricExporter())]))
    return OpenTelemetryMiddleware(app, **options)


def otel() -> Any:
    return under_otel()


def otel_tuned() -> Any:
    return under_otel(exclude_spans=["send", "receive"])
