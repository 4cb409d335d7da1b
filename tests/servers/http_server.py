"""The scripted answers (scripted.py) by Python's own http.server, a thread a connection.

    python http_server.py PORT [KEY CERTIFICATE]
"""

import http.server
import ssl
import sys
import time

import scripted


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def read_body(self) -> bytes:
        if self.headers.get("transfer-encoding", "") != "chunked":
            return self.rfile.read(int(self.headers.get("content-length", 0)))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def answer(self) -> None:
        chunked = False
        for step in scripted.answer(self.command, self.path, self.read_body()):
            match step:
                case scripted.Start(status, content_type, length):
                    self.send_response(status)
                    self.send_header("Content-Type", content_type)
                    chunked = length is None
                    if chunked:
                        self.send_header("Transfer-Encoding", "chunked")
                    else:
                        self.send_header("Content-Length", str(length))
                    self.end_headers()
                case scripted.Wait(seconds):
                    time.sleep(seconds)
                case scripted.Part(body):
                    self.wfile.write(b"%x\r\n%s\r\n" % (len(body), body) if chunked else body)
                case scripted.Break():
                    self.close_connection = True
                    return
        if chunked:
            self.wfile.write(b"0\r\n\r\n")

    def handle(self) -> None:
        try:
            super().handle()
        except (ConnectionError, ssl.SSLError):
            pass  # the client left

    do_GET = do_POST = answer

    def log_message(self, *_: object) -> None:
        pass


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 128


def main() -> None:
    server = Server(("127.0.0.1", int(sys.argv[1])), Handler)
    if len(sys.argv) > 2:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(sys.argv[3], sys.argv[2])
        # The handshake is the connection's own thread's: it comes with the first read.
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    server.serve_forever()


if __name__ == "__main__":
    main()
