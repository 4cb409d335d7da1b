"""llama.cpp's HTTP server, as the xllamacpp package holds it: cpp-httplib in this very process.

It listens before the model is loaded and answers 503 until then: GET /health says when.

    python tests/servers/llama_server.py --model build/tiny.gguf --port 18080 [--slots 4]
"""

import argparse
import signal
import sys

import xllamacpp


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--model", required=True)
    arguments.add_argument("--port", type=int, required=True)
    arguments.add_argument("--slots", type=int, default=4)
    a = arguments.parse_args()

    p = xllamacpp.CommonParams()
    p.model.path = a.model
    p.hostnames = ["127.0.0.1"]
    p.port = a.port
    p.n_ctx = 2048 * a.slots
    p.n_parallel = a.slots
    p.endpoint_metrics = True
    p.cpuparams.n_threads = 1
    p.cpuparams_batch.n_threads = 1
    server = xllamacpp.Server(p)
    print(f"listening {server.listening_address}", flush=True)
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    sys.exit(0)


if __name__ == "__main__":
    # Blocked before the server's threads exist, so that the signal is the waiting thread's.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    main()
