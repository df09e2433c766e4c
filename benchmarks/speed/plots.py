"""The ratios of CPU time as a plot, as PNG and SVG."""

from __future__ import annotations

import statistics
from pathlib import Path

from matplotlib.figure import Figure

from benchmarks.incident.plots import ANSWERED, FAILED, NEUTRAL, plain, save

from .results import TARGETS, Record, ratios, two_digits


def draw(record: Record, path: Path) -> None:
    """One bar a target that was measured: the median, a line from lowest to highest, a mark at the target."""
    rows = [
        (target, sorted(values))
        for target in TARGETS
        if target["tree"] in record["trees"]
        if (values := ratios(record["trees"][target["tree"]]["rounds"], target["work"], target["against"]))
    ]
    if not rows:
        return
    middles = [statistics.median(values) for _, values in rows]
    wanted = [target["ratio"] for target, _ in rows]
    spread = [
        [middle - values[0] for middle, (_, values) in zip(middles, rows, strict=True)],
        [values[-1] - middle for middle, (_, values) in zip(middles, rows, strict=True)],
    ]
    figure = Figure(figsize=(8, 0.42 * len(rows) + 1.4))
    axes = figure.subplots()
    colors = [FAILED if middle > limit else ANSWERED for middle, limit in zip(middles, wanted, strict=True)]
    axes.barh(range(len(rows)), middles, xerr=spread, color=colors, ecolor=NEUTRAL, capsize=2, height=0.6)
    axes.scatter(wanted, range(len(rows)), marker="|", s=160, color="black", label="target", zorder=3)
    for row, (middle, (_, values)) in enumerate(zip(middles, rows, strict=True)):
        axes.annotate(
            two_digits(middle),
            (max(values[-1], wanted[row]), row),
            xytext=(6, 0),
            textcoords="offset points",
            va="center",
            fontsize=9,
        )
    titles = [f"{target['tree']}: {target['work']} / {target['against']}" for target, _ in rows]
    axes.set_yticks(range(len(rows)), titles, fontsize=8)
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.margins(x=0.15)
    axes.set_xlabel("ratio of CPU time (log scale)")
    axes.set_title("Less is faster; orange misses its target", loc="left", fontsize=11)
    axes.legend(frameon=False, loc="lower right")
    plain(axes)
    save(figure, path)
