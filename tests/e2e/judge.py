"""Whether the numbers are true: what was exported and logged, beside what the clients got."""

import bisect
from collections import Counter
from typing import Any

import otlp_receiver
from load import ENDPOINT, Outcome
from otlp_receiver import Histogram, OtlpReceiver

PREFIX = otlp_receiver.PREFIX
Labels = frozenset[tuple[str, Any]]


def labels(o: Outcome, provider: str) -> Labels:
    return frozenset(
        {
            "model": o.call.model,
            "provider": provider,
            "endpoint_type": ENDPOINT[o.call.path],
            "stream": o.streams,
        }.items()
    )


def labels_with_status(o: Outcome, provider: str) -> Labels:
    status = {"status": "error", "error_type": o.error} if o.error else {"status": "success"}
    return labels(o, provider) | frozenset(status.items())


NAMES = (
    "requests_total",
    "request_duration_seconds",
    "tokens_per_second",
    "inference_duration_seconds",
    "time_to_first_token_seconds",
)


def recorded(name: str, o: Outcome, provider: str) -> Labels | None:
    """The attribute set under which a call is recorded in a metric, if it is."""
    if not o.call.counted:
        return None
    if name in ("requests_total", "request_duration_seconds"):
        return labels_with_status(o, provider)
    if name == "time_to_first_token_seconds":
        return labels(o, provider) if o.streams and o.content_ns else None
    if o.error or (name == "tokens_per_second" and not o.output_tokens):
        return None
    return labels(o, provider)


def tally(outcomes: list[Outcome], provider: str) -> dict[str, Counter[Labels]]:
    """How often each metric was to be recorded, by attribute set."""
    return {
        name: Counter(found for o in outcomes if (found := recorded(name, o, provider)) is not None)
        for name in NAMES
    }


def counts(receiver: OtlpReceiver, name: str) -> dict[Labels, int]:
    totals = receiver.totals(PREFIX + name)
    return {k: v.count if isinstance(v, Histogram) else v for k, v in totals.items()}


def readable(of: dict[Labels, int]) -> dict[str, int]:
    """By one line of text an attribute set, in order: what a failed comparison is read from."""
    return dict(sorted((" ".join(f"{k}={v}" for k, v in sorted(s, key=str)), n) for s, n in of.items()))


def check_metrics(receiver: OtlpReceiver, outcomes: list[Outcome], provider: str) -> None:
    for name, expected in tally(outcomes, provider).items():
        assert readable(counts(receiver, name)) == readable(expected), name
    concurrent = counts(receiver, "concurrent_requests")
    assert concurrent and not any(concurrent.values()), readable(concurrent)
    assert receiver.violations() == []


def check_call_log(calls: list[dict[str, Any]], outcomes: list[Outcome], provider: str) -> None:
    counted = {len(o.call.body): o for o in outcomes if o.call.counted}
    logged = {line["request_bytes"]: line for line in calls}
    assert len(calls) == len(logged) == len(counted)
    assert sorted(logged) == sorted(counted)
    for size, o in counted.items():
        check_call(logged[size], o, provider)


def check_call(line: dict[str, Any], o: Outcome, provider: str) -> None:
    r = o.response
    where = {"line": line, "call": o.call.body[:200], "left": o.left, "status": r.status}
    expected = {"error_type": None} | dict(labels_with_status(o, provider))
    expected |= {"method": "POST", "path": o.call.path, "http_status": r.status or None, "incomplete": False}
    assert {k: line[k] for k in expected} == expected, where
    if r.headers and not o.left:
        assert line["response_bytes"] == len(r.body), where
    if not o.error:
        if o.output_tokens is not None:
            assert (line["output_tokens"], line["token_source"]) == (o.output_tokens, o.token_source), where
        if o.input_tokens is not None:
            assert (line["input_tokens"], line["cached_tokens"]) == (o.input_tokens, o.cached_tokens), where
        if o.finish_reason:
            assert line["finish_reason"] == o.finish_reason, where
        if o.streams:
            assert line["events"] == len(o.content_ns), where
    check_moments(line, o, where)


def check_moments(line: dict[str, Any], o: Outcome, where: dict[str, Any]) -> None:
    """Every moment lies between what the two ends stamped on the same clock: no tolerance is needed."""
    r = o.response
    assert r.send_ns <= line["arrived_ns"] <= line["received_ns"] <= line["ended_ns"], where
    assert r.sent_ns <= line["received_ns"], where
    if o.content_ns:
        assert line["received_ns"] <= line["first_token_ns"] <= o.content_ns[0], where
        assert line["first_token_ns"] <= line["last_token_ns"] <= line["ended_ns"], where
    if o.content_stamps:
        assert o.content_stamps[0] <= line["first_token_ns"], where
        assert o.content_stamps[-1] <= line["last_token_ns"], where
    if o.content_ns and not o.left:
        assert line["last_token_ns"] <= o.content_ns[-1], where
    if o.left:
        assert r.end_ns <= line["ended_ns"], where
    else:
        assert line["ended_ns"] <= r.end_ns, where


def connections(receiver: OtlpReceiver) -> dict[str, int]:
    """Inbound connections by what became of them, without those that nothing became of."""
    totals = receiver.totals("inferwire.connections")
    return readable({labels: n for labels, n in totals.items() if n})


def check_histograms(receiver: OtlpReceiver, calls: list[dict[str, Any]]) -> None:
    """That the histograms hold exactly the durations that the call log tells, in the right buckets."""

    def seconds(line: dict[str, Any], start: str, end: str) -> float:
        return (line[end] - line[start]) / 1e9

    good = [c for c in calls if c["status"] == "success"]
    values = {
        "request_duration_seconds": [seconds(c, "arrived_ns", "ended_ns") for c in calls],
        "inference_duration_seconds": [seconds(c, "received_ns", "last_token_ns") for c in good],
        "time_to_first_token_seconds": [
            seconds(c, "received_ns", "first_token_ns") for c in calls if c["stream"] and c["first_token_ns"]
        ],
        "tokens_per_second": [
            c["output_tokens"] / seconds(c, "received_ns", "last_token_ns")
            for c in good
            if c["output_tokens"]
        ],
    }
    for name, recorded in values.items():
        bounds = otlp_receiver.INSTRUMENTS[PREFIX + name].bounds
        assert bounds
        expected = [0] * (len(bounds) + 1)
        for v in recorded:
            expected[bisect.bisect_left(bounds, v)] += 1
        points = receiver.totals(PREFIX + name).values()
        buckets = [sum(column) for column in zip(*(p.buckets for p in points))]
        assert buckets == expected, name
        assert abs(sum(p.sum for p in points) - sum(recorded)) < 1e-6 * max(1.0, sum(recorded)), name


def check_all(
    receiver: OtlpReceiver, calls: list[dict[str, Any]], outcomes: list[Outcome], provider: str
) -> None:
    check_metrics(receiver, outcomes, provider)
    check_call_log(calls, outcomes, provider)
    check_histograms(receiver, calls)
