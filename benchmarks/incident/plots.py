"""Plots of the results, each as PNG and SVG."""

from __future__ import annotations

import statistics
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .record import Record, Run, by_variant

# Told apart by people who do not see red and green as different, too.
ANSWERED, FAILED, NEUTRAL = "#0072B2", "#D55E00", "#7F7F7F"


def save(figure: Figure, path: Path) -> None:
    """Write the figure as `path` with the endings .png and .svg."""
    figure.savefig(path.with_suffix(".png"), dpi=120, bbox_inches="tight")
    # Without salt and date, the same results would not give the same file.
    with mpl.rc_context({"svg.hashsalt": path.name}):
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
            labels=["answered", "failed"],
            colors=[ANSWERED, FAILED],
        )
        restarts = f", {run['restarts']} restarts" if run["restarts"] else ""
        axes.set_title(f"{name}: {run['failed']:.0%} failed{restarts}", loc="left", fontsize=10)
        axes.set_ylabel("requests/s")
        plain(axes)
    panels[-1, 0].set_xlabel("seconds since the first answer")
    figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="upper right", ncols=2, frameon=False)
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


def draw(records: dict[str, Record], out: Path) -> None:
    """Write every plot for which there are runs into the folder `out`."""
    if incident := records.get("incident"):
        draw_timeline(incident, "2.5 times the capacity, with probes", out / "timeline")
    if severe := records.get("severe"):
        draw_timeline(severe, "5 times the capacity, with probes", out / "timeline-severe")
    if offloads := records.get("offloads"):
        title = "/health while predictions run, a little above capacity"
        draw_bars(offloads, "health_p95", title, "95th percentile, ms (log scale)", out / "health", log=True)
        title, unit = "Memory of one pod", "MB that no other process shares"
        draw_bars(offloads, "memory", title, unit, out / "memory", log=False)
        title = "Predictions answered by the same CPU"
        draw_bars(offloads, "answered_a_second", title, "a second", out / "throughput", log=False)
