"""What a truthful agent would export of the calls of `inferwire verify`, or what a lying one would."""
import struct
import urllib.request

MODEL = "inferwire-verify"


def varint(n):
    out = b""
    while n > 127:
        out, n = out + bytes([n & 127 | 128]), n >> 7
    return out + bytes([n])


def message(number, *parts):
    body = b"".join(parts)
    return varint(number << 3 | 2) + varint(len(body)) + body


def text(number, value):
    return message(number, value.encode())


def fixed(number, value):
    packed = struct.pack("<d" if isinstance(value, float) else "<q", value)
    return varint(number << 3 | 1) + packed


def attributes(number, stream, status):
    pairs = [("model", text(1, MODEL)), ("endpoint_type", text(1, "chat_completion")),
             ("stream", varint(2 << 3) + bytes([stream]))]
    if status:
        pairs.append(("status", text(1, status)))
    return b"".join(message(number, text(1, key), message(2, value)) for key, value in pairs)


def total(name, *points):
    """(stream, status, value): a Sum."""
    data = [message(1, attributes(7, s, status), fixed(6, value)) for s, status, value in points]
    return message(2, text(1, "llama_stack.inference." + name), message(7, *data))


def histogram(name, *points):
    """(stream, status, value): a Histogram with one measurement a point."""
    data = [message(1, attributes(9, s, status), fixed(4, 1), fixed(5, float(value)))
            for s, status, value in points]
    return message(2, text(1, "llama_stack.inference." + name), message(9, *data))


def request(lie):
    ok, bad = "success", "error"
    metrics = [
        total("requests_total", (1, ok, 2 if lie == "requests" else 1), (0, ok, 1), (0, bad, 1)),
        total("concurrent_requests", (1, None, 1 if lie == "concurrent" else 0), (0, None, 0)),
        histogram("request_duration_seconds", (1, ok, .1801), (0, ok, .0501), (0, bad, .0001)),
        histogram("inference_duration_seconds", (1, None, .1800001), (0, None, .0500001)),
        histogram("time_to_first_token_seconds", (1, None, .05 if lie == "first" else .1000001)),
        histogram("tokens_per_second", (1, None, 70 if lie == "rate" else 27.77), (0, None, 139.99)),
    ]
    if lie == "missing":
        metrics.pop()
    return message(1, message(2, *metrics))


def post(endpoint, lie):
    path = "/v1/traces" if lie == "path" else "/v1/metrics"
    kind = "application/json" if lie == "type" else "application/x-protobuf"
    body = b"\x0a\xff\x01" if lie == "garbage" else request(lie)
    wanted = urllib.request.Request(endpoint + path, body, {"Content-Type": kind}, method="POST")
    with urllib.request.urlopen(wanted, timeout=5) as answer:
        answer.read()
