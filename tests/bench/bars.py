"""The figures of `make bench`, each with the bar it must stay under and the one it is to reach.

A bench tells its figures as it goes; they are gathered in BUILD/bench/figures.tsv. Run as a program with
the build directory this prints them all as one table.
"""

import os
import random
import statistics
import sys


def interval(ratios: list[float]) -> tuple[float, float]:
    """Of the median, 95 %, by bootstrap."""
    rng = random.Random(1)
    medians = sorted(statistics.median(rng.choices(ratios, k=len(ratios))) for _ in range(2000))
    return medians[50], medians[1949]


def quartile(costs: list[float]) -> float:
    return sorted(costs)[len(costs) // 4]


def quartile_ratios(a: list[float], b: list[float]) -> tuple[float, float, float]:
    """Of two costs of the same rounds the ratio of the lower quartiles, and its 95 % interval by bootstrap
    over the rounds. What else runs on the machine only adds to a cost, in some rounds more than in others:
    the lower quartile is quieter than the median, and no stroke of luck as the least is."""
    rng = random.Random(1)
    rounds = list(zip(a, b))
    drawn = [list(zip(*rng.choices(rounds, k=len(rounds)))) for _ in range(1000)]
    ratios = sorted(quartile(list(x)) / quartile(list(y)) for x, y in drawn)
    return quartile(a) / quartile(b), ratios[25], ratios[974]


class Bars:
    def __init__(self, build: str) -> None:
        os.makedirs(f"{build}/bench", exist_ok=True)
        self.path = f"{build}/bench/figures.tsv"

    def tell(self, figure: str, value: str, bar: str = "", aim: str = "", verdict: str = "") -> None:
        print(f"{figure}: {value}" + (f" (bar {bar}, aim {aim}: {verdict})" if bar else ""), flush=True)
        with open(self.path, "a") as f:
            f.write("\t".join([figure, value, bar, aim, verdict]) + "\n")

    def at_most(self, figure: str, worst: float, bar: float, aim: float, value: str) -> None:
        """`worst` is what is judged: the worse end of the interval, where there is one."""
        verdict = "aim" if worst <= aim else "ok" if worst <= bar else "OVER"
        self.tell(figure, value, f"<= {bar:g}", f"<= {aim:g}", verdict)

    def at_least(self, figure: str, worst: float, bar: float, aim: float, value: str) -> None:
        verdict = "aim" if worst >= aim else "ok" if worst >= bar else "UNDER"
        self.tell(figure, value, f">= {bar:g}", f">= {aim:g}", verdict)

    def ratio(self, figure: str, ratios: list[float], bar: float, aim: float) -> None:
        low, high = interval(ratios)
        value = f"{statistics.median(ratios):.3f} ({low:.3f} to {high:.3f}, {len(ratios)} pairs)"
        self.at_most(figure, high, bar, aim, value)


def main() -> None:
    with open(f"{sys.argv[1]}/bench/figures.tsv") as f:
        rows = [line.rstrip("\n").split("\t") for line in f]
    rows = [["figure", "value", "bar", "aim", ""], *rows]
    widths = [max(len(row[i]) for row in rows) for i in range(5)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())


if __name__ == "__main__":
    main()
