"""Counts the signals it gets and prints them at its end: argv[1] seconds after "ready"."""
import collections
import signal
import sys
import time

seen = collections.Counter()


def count(number, _frame):
    seen[signal.Signals(number).name] += 1


for name in sys.argv[2:]:
    signal.signal(getattr(signal, name), count)
print("ready", flush=True)
end = time.monotonic() + float(sys.argv[1])
while time.monotonic() < end:
    time.sleep(0.02)
print(*(f"{name}={n}" for name, n in sorted(seen.items())), flush=True)
