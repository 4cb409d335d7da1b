"""llama.cpp's HTTP server, as the xllamacpp package holds it: cpp-httplib in this very process.

It listens before the model is loaded and answers 503 until then: GET /health says when.

    python tests/servers/llama_server.py --model build/tiny.gguf --port 18080 [--slots 4] [--embeddings]
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
    arguments.add_argument("--embeddings", action="store_true", help="and nothing else")
    a = arguments.parse_args()

    p = xllamacpp.CommonParams()
    p.model.path = a.model
    p.hostnames = ["127.0.0.1"]
    p.port = a.port
    p.n_ctx = 2048 * a.slots
    p.n_parallel = a.slots
    p.endpoint_metrics = True
    if a.embeddings:
        p.embedding = True
        p.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
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
