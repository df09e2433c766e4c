"""Plots of the results, each as PNG and SVG."""

from __future__ import annotations

import statistics
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .record import Record, Run, by_variant
from .scenarios import FIXED, FOUR_WORKERS, PLAIN_DEF, UNFIXED
from .sweep import apart, curves

# Told apart by people who do not see red and green as different, too.
ANSWERED, FAILED, NEUTRAL, GAVE_UP = "#0072B2", "#D55E00", "#7F7F7F", "#E69F00"
_LINES = {
    UNFIXED.name: (FAILED, "o", "model on the event loop"),
    FOUR_WORKERS.name: ("#CC79A7", "s", "the same, 4 workers"),
    PLAIN_DEF.name: ("#009E73", "^", "plain def"),
    FIXED.name: (ANSWERED, "D", "after servelint fix"),
}


def save(figure: Figure, path: Path) -> None:
    """Write the figure as `path` with the endings .png and .svg."""
    figure.savefig(path.with_suffix(".png"), dpi=120, bbox_inches="tight")
    # Without salt and date, the same results would not give the same file. Text stays text.
    with mpl.rc_context({"svg.hashsalt": path.name, "svg.fonttype": "none"}):
        figure.savefig(path.with_suffix(".svg"), bbox_inches="tight", metadata={"Date": None})


def plain(axes: Axes) -> None:
    """No frame above and to the right, a light grid behind."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(visible=True, axis="both", color="#E5E5E5", linewidth=0.8)
    axes.set_axisbelow(True)


def typical(runs: list[Run]) -> Run:
    """The run whose share of failures is the median one."""
    return sorted(runs, key=lambda run: run["failed"])[len(runs) // 2]


def draw_timeline(record: Record, title: str, path: Path) -> None:
    """Answers and failures a second over the run, one panel a variant."""
    variants = by_variant(record)
    figure = Figure(figsize=(8, 1.9 * len(variants) + 0.4))
    panels = figure.subplots(len(variants), 1, sharex=True, sharey=True, squeeze=False)
    for axes, (name, same) in zip(panels[:, 0], variants.items(), strict=True):
        run = typical(same)
        axes.stackplot(
            range(len(run["timeline"]["answered"])),
            run["timeline"]["answered"],
            run["timeline"]["failed"],
            run["timeline"].get("gave_up", [0] * len(run["timeline"]["failed"])),
            labels=["answered", "failed", "user gave up"],
            colors=[ANSWERED, FAILED, GAVE_UP],
        )
        for begin, end in run.get("unready", ()):
            axes.axvspan(begin, end, color=NEUTRAL, alpha=0.25, linewidth=0, label="_out of service")
        for moment in run.get("restarted", ()):
            axes.axvline(moment, color="black", linestyle=":", linewidth=1.2)
        restarts = f", {run['restarts']} restarts" if run["restarts"] else ""
        unready = f", {run['unready_seconds']:.0f} s out of service" if run["unready_seconds"] else ""
        axes.set_title(f"{name}: {run['failed']:.0%} failed{unready}{restarts}", loc="left", fontsize=10)
        axes.set_ylabel("requests/s")
        plain(axes)
    panels[-1, 0].set_xlabel("seconds since the load began; grey: out of service, dotted: restarted")
    figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="upper right", ncols=3, frameon=False)
    figure.suptitle(title, x=0.01, ha="left", fontsize=12)
    figure.tight_layout()
    save(figure, path)


def draw_bars(record: Record, key: str, title: str, unit: str, path: Path, *, log: bool) -> None:
    """One bar a variant with the median, a line from the lowest run to the highest."""
    variants = by_variant(record)
    names = list(variants)
    values = {
        name: sorted(run[key] for run in same if run[key] is not None) for name, same in variants.items()
    }
    middles = [statistics.median(values[name]) for name in names]
    spread = [
        [middle - values[name][0] for name, middle in zip(names, middles, strict=True)],
        [values[name][-1] - middle for name, middle in zip(names, middles, strict=True)],
    ]
    figure = Figure(figsize=(8, 0.34 * len(names) + 1.2))
    axes = figure.subplots()
    colors = [FAILED if name.startswith("unfixed") else ANSWERED for name in names]
    axes.barh(names, middles, xerr=spread, color=colors, ecolor=NEUTRAL, capsize=2, height=0.7)
    for row, middle in enumerate(middles):
        axes.annotate(
            f" {middle:,.0f}",
            (values[names[row]][-1], row),
            xytext=(3, 0),
            textcoords="offset points",
            va="center",
            fontsize=9,
        )
    axes.invert_yaxis()
    axes.margins(x=0.12)
    if log:
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.set_xlabel(unit)
    axes.set_title(title, loc="left", fontsize=12)
    plain(axes)
    save(figure, path)


def draw_sweep(records: dict[str, Record], path: Path) -> None:
    """How much fails at which load, one line a variant, each named at its end."""
    drawn = curves(records)
    if not drawn:
        return
    figure = Figure(figsize=(8, 4.4))
    axes = figure.subplots()
    ends = apart([points[-1][1] * 100 for points in drawn.values()], 5.5)
    for (name, points), end in zip(drawn.items(), ends, strict=True):
        color, marker, title = _LINES[name]
        loads, middles, lows, highs = zip(*points, strict=True)
        percents = [[100 * each for each in share] for share in (middles, lows, highs)]
        axes.fill_between(loads, percents[1], percents[2], color=color, alpha=0.2, linewidth=0)
        axes.plot(loads, percents[0], color=color, marker=marker, markersize=5, linewidth=2, clip_on=False)
        axes.annotate(
            f"{title}: {percents[0][-1]:.0f} %",
            (loads[-1], end),
            xytext=(10, 0),
            textcoords="offset points",
            va="center",
            color=color,
            fontweight="bold",
            annotation_clip=False,
        )
    axes.axvline(1, color=NEUTRAL, linestyle="--", linewidth=1)
    axes.annotate(
        "all that the pod can do", (1, 97), xytext=(5, 0), textcoords="offset points", color=NEUTRAL
    )
    axes.set_xlim(0, max(point[0] for points in drawn.values() for point in points))
    axes.set_ylim(0, 100)
    axes.yaxis.set_major_formatter("{x:.0f} %")
    axes.set_xlabel("users, in multiples of the predictions a second that one pod can make")
    axes.set_title(
        "Requests that fail: the same model on the same CPU, served in four ways", loc="left", fontsize=12
    )
    plain(axes)
    save(figure, path)


def draw(records: dict[str, Record], out: Path) -> None:
    """Write every plot for which there are runs into the folder `out`."""
    draw_sweep(records, out / "sweep")
    if incident := records.get("incident"):
        draw_timeline(incident, "2.5 times the capacity, with probes", out / "timeline")
    if severe := records.get("severe"):
        draw_timeline(severe, "7 times the capacity, with probes", out / "timeline-severe")
    if offloads := records.get("offloads"):
        title = "/health while predictions run, a little above capacity"
        draw_bars(offloads, "health_p95", title, "95th percentile, ms (log scale)", out / "health", log=True)
        title, unit = "Memory of one pod", "MB that no other process shares"
        draw_bars(offloads, "memory", title, unit, out / "memory", log=False)
        title = "Predictions answered by the same CPU"
        draw_bars(offloads, "answered_a_second", title, "a second", out / "throughput", log=False)
