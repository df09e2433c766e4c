"""Replicas over a day for autoscalers that look at CPU, at memory, and at both.

python -m benchmarks.memory_scaling       # arithmetic only: a second, no load, the same result everywhere
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from .autoscaler import SYNC_SECONDS
from .pods import PODS, days
from .simulate import Day

HERE = Path(__file__).parent

COLORS = {"CPU 70 %": "#0072B2", "memory 80 %": "#D55E00", "both": "#009E73"}
STYLES = {"CPU 70 %": "-", "memory 80 %": "--", "both": ":"}


def table(results: dict[str, dict[str, Day]]) -> Iterator[str]:
    """Markdown, a line at a time."""
    yield "| pod | autoscaler | pods at night | most pods | pod-hours | minutes overloaded | most memory |"
    yield "|---|---|---|---|---|---|---|"
    for pod, policies in results.items():
        for policy, day in policies.items():
            # The night after the peaks: what it has come down to.
            yield (
                f"| {pod} | {policy} | {day.replicas[-1]} | {max(day.replicas)} | {day.pod_hours:.0f} "
                f"| {day.overloaded_minutes:.0f} | {day.most_memory:.0%} |"
            )


def draw(results: dict[str, dict[str, Day]], path: Path) -> None:
    """One panel a pod, one line a policy."""
    figure = Figure(figsize=(8, 2.0 * len(results)))
    panels = figure.subplots(len(results), 1, sharex=True, sharey=True)
    for axes, (pod, policies) in zip(panels, results.items(), strict=True):
        for policy, day in policies.items():
            hours = [step * SYNC_SECONDS / 3600 for step in range(len(day.replicas))]
            axes.step(hours, day.replicas, STYLES[policy], color=COLORS[policy], label=policy, linewidth=1.8)
        axes.set_title(pod, loc="left", fontsize=10)
        axes.set_ylabel("pods")
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(visible=True, color="#E5E5E5", linewidth=0.8)
    panels[0].set(xlim=(0, 24), xticks=range(0, 25, 3), ylim=(0, 13))
    panels[-1].set_xlabel("hour of the day")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="upper right", ncols=3, frameon=False)
    figure.suptitle("Simulated: the same day with each pod", x=0.01, ha="left", fontsize=12)
    figure.tight_layout()
    figure.savefig(path.with_suffix(".png"), dpi=120)
    # Without salt and date, the same results would not give the same file.
    with mpl.rc_context({"svg.hashsalt": path.name}):
        figure.savefig(path.with_suffix(".svg"), metadata={"Date": None})


def main() -> None:
    results = {name: days(pod) for name, pod in PODS.items()}
    out = HERE / "results"
    out.mkdir(exist_ok=True)
    lines = "\n".join(table(results))
    (out / "results.md").write_text(lines + "\n", encoding="utf-8")
    draw(results, out / "replicas")
    print(lines)


if __name__ == "__main__":
    main()
