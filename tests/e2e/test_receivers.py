"""A real Collector and a real Prometheus take what is exported, and the origin's queries are right."""

import math
import re
from collections import Counter

import judge
import pytest
from queries import ORIGIN

LABELS = ("model", "provider", "endpoint_type", "stream", "status", "error_type")
SIX = [
    "requests_total",
    "request_duration_seconds_bucket",
    "concurrent_requests",
    "tokens_per_second_bucket",
    "inference_duration_seconds_bucket",
    "time_to_first_token_seconds_bucket",
]


def text(labels: dict[str, object] | frozenset) -> tuple[str, ...]:
    """An attribute set as Prometheus has it: all labels are text."""
    values = {k: str(v).lower() if isinstance(v, bool) else str(v) for k, v in dict(labels).items()}
    return tuple(values.get(name, "") for name in LABELS)


def expected(observed, name: str) -> dict[tuple[str, ...], int]:
    return {text(k): n for k, n in judge.tally(observed.outcomes, "scripted")[name].items()}


@pytest.mark.parametrize(
    "name",
    [
        "requests_total",
        "request_duration_seconds",
        "tokens_per_second",
        "inference_duration_seconds",
        "time_to_first_token_seconds",
    ],
)
def test_counts_by_label(observed, name: str) -> None:
    series = name if name == "requests_total" else name + "_count"
    found = {
        text(labels): value for labels, value in observed.prometheus.query("llama_stack_inference_" + series)
    }
    assert found == expected(observed, name)


def test_series_belong_to_the_server(observed) -> None:
    labels = [labels for labels, _ in observed.prometheus.query("llama_stack_inference_requests_total")]
    assert {s["job"] for s in labels} == {"e2e"}
    assert len({s["instance"] for s in labels}) == 1


@pytest.mark.parametrize("observed", ["collector"], indirect=True)
def test_the_collectors_page_has_the_six_names(observed) -> None:
    names = set(re.findall(r"^(llama_stack_inference_\w+)\{", observed.collector.metrics(), re.MULTILINE))
    histograms = [n for n in SIX if n.endswith("_bucket")]
    derived = {n.removesuffix("_bucket") + s for n in histograms for s in ("_sum", "_count")}
    assert names == {"llama_stack_inference_" + n for n in [*SIX, *derived]}


@pytest.mark.parametrize("query", ORIGIN)
def test_the_origins_queries_have_data(observed, query: str) -> None:
    found = observed.prometheus.query(ORIGIN[query])
    assert found and all(math.isfinite(v) for _, v in found), found


def test_the_origins_queries_are_right(observed) -> None:
    ask = observed.prometheus.query
    assert all(v == 0 for _, v in ask(ORIGIN["concurrent"]))
    # Each of two equal loads: so every series rose after it was first seen.
    assert all(v > 0 for _, v in ask(ORIGIN["request rate"]))
    groups = Counter(tuple(k[i] for i in (0, 2, 4)) for k in expected(observed, "requests_total"))
    assert {(m["model"], m["endpoint_type"], m["status"]) for m, _ in ask(ORIGIN["by status"])} == set(groups)
    # No call of the load takes ten seconds, and none is through in less than a millisecond.
    for query in ("p95 duration", "p99 time to first token"):
        assert all(0.0005 < v < 10 for _, v in ask(ORIGIN[query])), query
    # 8 or so tokens in 2 to 60 ms.
    assert all(1 < v < 100_000 for _, v in ask(ORIGIN["tokens per second"]))
