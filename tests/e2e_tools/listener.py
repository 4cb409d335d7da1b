"""A server as seen by the shim: it listens, says so, and ends at a signal or after argv[1] seconds."""
import signal
import socket
import sys
import time

signal.signal(signal.SIGTERM, lambda *_: sys.exit(5))
with socket.create_server(("127.0.0.1", 0)):
    print("ready", flush=True)
    time.sleep(float(sys.argv[1]))
