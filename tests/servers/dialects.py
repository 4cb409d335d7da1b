"""What servers of other dialects than OpenAI's answer, by Python's own http.server, a thread a connection.

    python dialects.py PORT
"""

import http.server
import json
import sys
from typing import Any

OLLAMA_END = {"message": {"content": ""}, "done": True, "done_reason": "stop", "prompt_eval_count": 4, "eval_count": 2}
MESSAGES: list[dict[str, Any]] = [
    {"type": "message_start", "message": {"usage": {"input_tokens": 5, "cache_read_input_tokens": 7}}},
    {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "Hi"}},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 3}},
]
STREAMS: dict[str, tuple[str, list[bytes]]] = {
    "/api/chat": (
        "application/x-ndjson",
        [json.dumps(o).encode() + b"\n" for o in ({"message": {"content": "Hi"}, "done": False}, OLLAMA_END)],
    ),
    "/v1/messages": (
        "text/event-stream",
        [f"event: {o['type']}\ndata: {json.dumps(o)}\n\n".encode() for o in MESSAGES],
    ),
}
DOCUMENTS: dict[str, Any] = {
    "/v1/audio/transcriptions": {"text": "Hi", "usage": {"type": "tokens", "input_tokens": 14, "output_tokens": 2}},
    "/my/chat": {"choices": [{"finish_reason": "stop"}], "usage": {"prompt_tokens": 1, "completion_tokens": 9}},
    "/generate": {"generated_text": "x"},
    "/v3/m/gen": {"choices": [{"finish_reason": "length"}]},
}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.document({})

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("content-length", 0)))
        if self.path in STREAMS:
            self.stream(*STREAMS[self.path])
        else:
            self.document(DOCUMENTS[self.path])

    def document(self, document: Any) -> None:
        body = json.dumps(document).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def stream(self, content_type: str, pieces: list[bytes]) -> None:
        self.send_response(200)
        self.send_header("Content-Type", content_type)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for piece in pieces:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        self.wfile.write(b"0\r\n\r\n")

    def log_message(self, format: str, *args: Any) -> None:
        pass


if __name__ == "__main__":
    http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
