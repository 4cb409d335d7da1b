"""The examples are what the tests run: the dashboard's queries in a real Prometheus, the configurations
in the programs that they are for (conftest.py: observed)."""

import json
import math
import subprocess

import pytest
import real

DASHBOARD = json.loads((real.EXAMPLES / "grafana" / "inferwire.json").read_text())
PANELS = {f"{p['title']} {t['refId']}": t["expr"] for p in DASHBOARD["panels"] for t in p["targets"]}
# What Grafana puts in before it asks.
VARIABLES = {"$__rate_interval": "1m", "$__range": "30m", "$model": ".*", "$endpoint_type": ".*"}


def expression(query: str) -> str:
    for name, value in VARIABLES.items():
        query = query.replace(name, value)
    assert "$" not in query, query
    return query


@pytest.mark.parametrize("panel", PANELS)
def test_every_panel_has_data(observed, panel: str) -> None:
    found = observed.prometheus.query(expression(PANELS[panel]))
    assert found and all(math.isfinite(v) for _, v in found), found


def test_panels_ask_the_data_source_that_is_documented() -> None:
    sources = [p["datasource"] for p in DASHBOARD["panels"]] + [
        v["datasource"] for v in DASHBOARD["templating"]["list"]
    ]
    sources += [t["datasource"] for p in DASHBOARD["panels"] for t in p["targets"]]
    assert all(s == {"type": "prometheus", "uid": "prometheus"} for s in sources)


def test_panels_do_not_overlap() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken, panel["title"]
        taken |= cells
    assert len({p["id"] for p in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])


@pytest.mark.parametrize("file", ["prometheus-scrape.yml", "prometheus-otlp.yml"])
def test_promtool_has_nothing_to_say(file: str) -> None:
    if not real.built():
        pytest.skip("no promtool: sh tests/receivers/build.sh")
    command = [str(real.BIN / "promtool"), "check", "config", str(real.EXAMPLES / "prometheus" / file)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0 and "WARNING" not in done.stdout + done.stderr, done.stdout + done.stderr
