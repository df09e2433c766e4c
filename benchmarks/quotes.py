"""The measured numbers that pages quote: `python -m benchmarks.quotes` writes them anew from the results.

In a page a quoted number stands between two comments, and the first one names it:

    <!-- measured: severe.unfixed.failed -->37 % (34 to 40)<!-- / -->

A name is `scenario.variant.column` of `incident/results/results.json`; `gil.library.call.one`, or `.batch`,
and a column of `gil/results.json`; or `memory-scaling.pod.policy` and a column of that simulation. It stands
for the median with the range; with `.median`, `.lowest`, `.highest` or `.range` after it for that alone.
`tables()` and `speed_tables()` have whole tables. A test compares all pages with the results.
"""

from __future__ import annotations

import difflib
import re
import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from servelint.code.fixes.pools.sizing import pool_size
from servelint.knowledge import compiled

from .gil import catalogue
from .gil import results as gil
from .incident import record
from .incident.scenarios import SCENARIOS, SWEEP
from .memory_scaling.pods import PODS, POLICIES, days
from .speed import results as speed
from .spread import spread

ROOT = Path(__file__).parents[1]
LIBRARIES = ROOT / "rules" / "libraries"
_QUOTE = re.compile(r"(<!-- measured: ([\w.-]+) -->)(.*?)(<!-- / -->)", re.DOTALL)

Format = Callable[[float], str]


class UnknownQuoteError(ValueError):
    """A page quotes what nobody has measured."""


def percent(share: float) -> str:
    """A share in per cent; below one a decimal, so that little is not nothing."""
    return f"{share * 100:.1f} %" if 0 < share < 0.01 else f"{share * 100:.0f} %"


def duration(milliseconds: float) -> str:
    """Milliseconds, from one second on seconds."""
    if milliseconds >= 1000:
        return f"{milliseconds / 1000:.1f} s"
    return f"{milliseconds:.0f} ms" if milliseconds >= 1 else f"{milliseconds:.2g} ms"


FORMATS: dict[str, Format] = {
    "failed": percent,
    "gave_up": percent,
    "gil_free": percent,
    "disturbed": percent,
    "most_memory": percent,
    "memory": "{:.0f} MB".format,
    "unready_seconds": "{:.0f} s".format,
    "elsewhere": "{:.1f}".format,
    "two_threads": "{:.1f}".format,
    **dict.fromkeys(("p50", "p95", "p99", "health_p50", "health_p95", "health_worst", "loop_lag"), duration),
    **dict.fromkeys(("latency", "ms", "stall_direct", "stall_offloaded"), duration),
}


@dataclass(frozen=True, slots=True)
class Number:
    """Something that was measured several times."""

    values: Sequence[float]
    written: Format

    @classmethod
    def of(cls, column: str, values: Sequence[float | None]) -> Number:
        """The values of a column, written as this column is."""
        return cls([value for value in values if value is not None], FORMATS.get(column, "{:.0f}".format))

    def forms(self, name: str) -> Iterator[tuple[str, str]]:
        """Every way to quote it, with its name."""
        if not self.values:
            return
        low, high = min(self.values), max(self.values)
        yield name, spread(self.values, self.written)
        yield f"{name}.median", self.written(statistics.median(self.values))
        yield f"{name}.lowest", self.written(low)
        yield f"{name}.highest", self.written(high)
        first, last = self.written(low), self.written(high)
        same_unit = first.partition(" ")[2] == last.partition(" ")[2]
        first = first.partition(" ")[0] if same_unit else first
        yield f"{name}.range", last if self.written(low) == last else f"{first} to {last}"


# A quote at the head of a line of a paragraph, with what belongs to it.
_AT_THE_HEAD = re.compile(
    r"(?<=[^\n|])\n( *)(<!-- measured: (?!table\.)\S+ -->[^\n]*?<!-- / -->\S*)(?:\n *| )"
)


def slug(text: str) -> str:
    """The text as a part of a name: lower case, with hyphens for all that is neither letter nor digit."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


_NO_NUMBERS = {"scenario", "variant", "failures", "timeline", "unready", "restarted"}


def incident_numbers() -> Iterator[tuple[str, Number]]:
    """What the load harness measured, and what one pod could do before each round."""
    records = record.read()
    for column in ("latency", "rate"):
        values = [each[column] for measured in records.values() for each in measured["capacity"]]
        yield f"incident.capacity.{column}", Number.of(column, values)
    behind_nginx = {f"nginx.{name}": each for name, each in record.read(record.NGINX_RESULTS).items()}
    for scenario, measured in (records | behind_nginx).items():
        yield f"{scenario}.seconds", Number.of("seconds", [measured["seconds"]])
        for variant, runs in record.by_variant(measured).items():
            for column in runs[0].keys() - _NO_NUMBERS:
                name = f"{scenario}.{slug(variant)}.{slug(column)}"
                yield name, Number.of(column, [run[column] for run in runs])


def gil_numbers() -> Iterator[tuple[str, Number]]:
    """Who releases the GIL."""
    for (library, case), result in gil.read().items():
        for size in gil.SIZES:
            for column, values in result[size].items():
                name = f"gil.{slug(library)}.{slug(case)}.{size}.{slug(column)}"
                yield name, Number.of(column, values)


def memory_numbers() -> Iterator[tuple[str, Number]]:
    """What an autoscaler does in the simulation. It is arithmetic: there is one value and no range."""
    for pod, policies in ((pod, days(PODS[pod])) for pod in PODS):
        for policy, day in policies.items():
            name = f"memory-scaling.{slug(pod)}.{slug(policy)}"
            yield f"{name}.night", Number.of("pods", [day.replicas[-1]])
            yield f"{name}.most", Number.of("pods", [max(day.replicas)])
            yield f"{name}.pod-hours", Number.of("hours", [day.pod_hours])
            yield f"{name}.overloaded-hours", Number.of("hours", [day.overloaded_minutes / 60])
            yield f"{name}.most-memory", Number.of("most_memory", [day.most_memory])


def conditions() -> str:
    """When and with what the load harness measured."""
    return "; ".join(
        dict.fromkeys(_conditions(measured["conditions"]) for measured in record.read().values())
    )


def _conditions(given: dict[str, Any]) -> str:
    day = date.fromisoformat(given["date"])
    packages = ("scikit-learn", "uvicorn")
    versions = ", ".join(f"{name} {given['packages'][name]}" for name in packages)
    before = {"nginx": "nginx", "embedded": "the embedded front"}[given["ingress"]]
    return f"{day.day} {day:%B %Y}, {given['cpus']} CPUs, Python {given['python']}, {versions}, {before}"


def rows(head: str, body: Iterator[Sequence[str]]) -> str:
    """A Markdown table with lines around it."""
    lines = [head, "|---" * (head.count("|") - 1) + "|", *(f"| {' | '.join(cells)} |" for cells in body)]
    return "\n" + "\n".join(lines) + "\n"


LOADS = {
    **{point.name: f"{point.load:g} times the capacity" for point in reversed(SWEEP) if point.load > 2},
    "no-probes": "2.5 times, without probes",
    "light": "a fifth of the capacity",
}
OFFLOADS = {
    "unfixed": "unfixed",
    "plain def": "plain `def` (Starlette's 40 threads)",
    "default executor": "default executor (`run_in_executor(None, ...)`)",
    "to_thread": "`asyncio.to_thread`",
    "pool of 1": "pool of 1 thread",
    "pool of 2": "pool of 2",
    "pool of 4": "pool of 4",
    "pool of 8": "pool of 8",
    "pool of 32": "pool of 32",
    "process pool of 1": "process pool of 1",
    "unfixed, 2 workers": "unfixed, 2 workers",
    "unfixed, 4 workers": "unfixed, 4 workers",
}
POOLS = {
    "pool of 1": ("1 thread", "what `fix` makes"),
    "pool of 2": ("2", ""),
    "pool of 4": ("4", ""),
    "pool of 8": ("8", ""),
    "pool of 32": ("32", ""),
    "default executor": ("the default executor", "here six threads: two CPUs plus four"),
    "plain def": ("plain `def`", "up to 40"),
    "unfixed": ("none: on the event loop", ""),
}
# The kinds of model, with the calls that stand for them.
KINDS = {
    "tables, scikit-learn": {
        "scikit-learn.bankchurn-predict-stacking": "the example's stacking model",
        "scikit-learn.columntransformer-logisticregression": "ColumnTransformer, LogisticRegression",
        "scikit-learn.randomforestclassifier-200-predict-proba": "RandomForestClassifier(200)",
        "scikit-learn.gradientboostingclassifier-200-predict-proba": "GradientBoostingClassifier(200)",
        "scikit-learn.svc-rbf-predict": "SVC(rbf)",
    },
    "boosted trees": {
        "xgboost.xgbclassifier-300-predict-proba": "XGBoost XGBClassifier(300)",
        "lightgbm.lgbmclassifier-300-predict-proba": "LightGBM LGBMClassifier(300)",
        "catboost.catboostclassifier-300-predict-proba": "CatBoostClassifier(300)",
    },
    "exported": {"onnxruntime.inferencesession-run-random-forest": "ONNX Runtime, random forest"},
    "neural networks": {
        "torch.mlp-11-512-512-1": "PyTorch MLP",
        "torch.transformerencoder-6-x-384": "PyTorch TransformerEncoder",
    },
    "text": {
        "transformers.pipeline-text-classification-bert-6-x-384": "transformers.pipeline",
        "sentence-transformers.sentencetransformer-encode-bert-6-x-384": "SentenceTransformer.encode",
        "spacy.blank-en-with-sentencizer": "spaCy, sentencizer only",
    },
    "time series": {
        "prophet.prophet-predict": "Prophet.predict",
        "statsmodels.sarimax-forecast": "statsmodels SARIMAX.forecast",
    },
    "explanations": {"shap.treeexplainer-shap-values": "SHAP TreeExplainer"},
}


def tables(quotes: dict[str, str]) -> Iterator[tuple[str, str]]:
    """Whole tables, of numbers that are quoted one by one elsewhere."""
    overload = (
        (
            load if code == "unfixed" else "",
            code,
            *(quotes[f"{scenario}.{code}.{column}"] for column in ("failed", "answered-a-second")),
            quotes[f"{scenario}.{code}.health-worst"],
            quotes[f"{scenario}.{code}.restarts.range"],
        )
        for scenario, load in LOADS.items()
        for code in ("unfixed", "fixed")
        if f"{scenario}.{code}.failed" in quotes
    )
    head = "| load | | predictions failed | answered a second | `/health`, worst | restarts a run |"
    yield "table.overload", rows(head, overload)
    yield "table.sweep", rows(_SWEEP_HEAD, _sweep(quotes))
    columns = ("health-p95", "answered-a-second", "memory.median")
    offloads = (
        (title, *(quotes[f"offloads.{slug(variant)}.{column}"] for column in columns))
        for variant, title in OFFLOADS.items()
    )
    yield "table.offloads", rows("| | `/health` p95 | answered a second | memory |", offloads)
    pools = (
        (
            title,
            quotes[f"offloads.{slug(variant)}.health-p95"],
            quotes[f"offloads.{slug(variant)}.answered-a-second"],
            note,
        )
        for variant, (title, note) in POOLS.items()
    )
    yield "table.pools", rows("| pool | `/health` p95 | answered a second | |", pools)
    calls = (
        (
            kind if not position else "",
            title,
            *(quotes[f"gil.{call}.{column}"] for column in _GIL_COLUMNS),
            workers(call.partition(".")[0]),
        )
        for kind, titles in KINDS.items()
        for position, (call, title) in enumerate(titles.items())
    )
    head = f"| kind | call | {' | '.join(_GIL_COLUMNS.values())} | `max_workers` |"
    yield "table.gil", rows(head, calls)
    policies = (
        (pod if policy == next(iter(POLICIES)) else "", policy, *_day(quotes, pod, policy))
        for pod in PODS
        for policy in POLICIES
    )
    yield "table.memory-scaling", rows(_DAY_HEAD, policies)


_SWEPT = {
    "unfixed": "on the event loop",
    "unfixed, 4 workers": "the same, 4 workers",
    "plain def": "plain `def`",
    "fixed": "after `servelint fix`",
}
_SWEEP_HEAD = (
    "| times the capacity | | predictions failed | gave up | answered a second | `/health` p95 "
    "| out of service | restarts a run |"
)


def _sweep(quotes: dict[str, str]) -> Iterator[Sequence[str]]:
    """A line for each load and variant of the sweep that was measured."""
    columns = ("failed", "gave-up", "answered-a-second", "health-p95", "unready-seconds", "restarts.range")
    for point in SWEEP:
        for variant, title in _SWEPT.items():
            name = f"{point.name}.{slug(variant)}"
            if f"{name}.gave-up" in quotes:
                load = f"{point.load:g}" if variant == "unfixed" else ""
                yield load, title, *(quotes.get(f"{name}.{column}", "none answered") for column in columns)


def workers(library: str) -> str:
    """The size of the pool that a fix makes for one library, by `rules/pool-sizing.yaml`."""
    known = next(each for each in compiled.catalogue().libraries.values() if slug(each.name) == library)
    fewest, most = (pool_size([known], limit).workers for limit in (1, _MANY_CPUS))
    return str(most) if fewest == most else f"CPU limit, at most {most}"


_MANY_CPUS = 64
_GIL_COLUMNS = {
    "one.ms.median": "one row takes",
    "one.gil-free": "GIL free",
    "one.two-threads": "two threads",
    "batch.ms.median": "a batch takes",
    "batch.gil-free": "GIL free",
    "batch.two-threads": "two threads",
}
_DAY_HEAD = (
    "| what fills the memory | target | pods at night | pod-hours | hours overloaded | memory at most |"
)


def _day(quotes: dict[str, str], pod: str, policy: str) -> Iterator[str]:
    for column in ("night", "pod-hours", "overloaded-hours", "most-memory"):
        yield quotes[f"memory-scaling.{slug(pod)}.{slug(policy)}.{column}"]


def speed_tables() -> Iterator[tuple[str, str]]:
    """How fast, next to peers, and when that was measured."""
    record = speed.read()
    if record is None:
        return
    yield "speed.conditions", speed.conditions(record)
    for name, table in speed.TABLES.items():
        yield f"table.speed.{name}", "\n" + "\n".join(table(record)) + "\n"


def quotes() -> dict[str, str]:
    """Everything that can be quoted, by its name."""
    found: dict[str, str] = {}
    for numbers in (incident_numbers, gil_numbers, memory_numbers):
        for name, number in numbers():
            found.update(number.forms(name))
    found.update(tables(found))
    found.update(speed_tables())
    found.update((f"{scenario.name}.load", f"{scenario.load:g}") for scenario in SCENARIOS)
    return found | {"incident.conditions": conditions()}


def written(text: str, known: dict[str, str]) -> str:
    """The page with the numbers of today; raises UnknownQuoteError for a name that stands for nothing."""

    def quoted(found: re.Match[str]) -> str:
        begin, name, _, end = found.groups()
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            raise UnknownQuoteError(f"`{name}` is not measured" + (f"; {near[0]} is" if near else ""))
        return f"{begin}{known[name]}{end}"

    return joined(_QUOTE.sub(quoted, text))


def joined(text: str) -> str:
    """The text with no line that a quote begins, but for tables: such a comment ends a paragraph.

    https://spec.commonmark.org/0.31.2/#html-blocks
    """
    before = ""
    while before != text:
        before, text = text, _AT_THE_HEAD.sub(_to_the_line_above, text)
    return text


def _to_the_line_above(found: re.Match[str]) -> str:
    indent, quote = found.groups()
    is_last = found.string.startswith("\n", found.end())  # of its paragraph
    return f" {quote}\n{'' if is_last else indent}"


def pages() -> list[Path]:
    """The pages that may quote."""
    return [
        ROOT / "README.md",
        *sorted((ROOT / "docs").glob("*.md")),
        *sorted((ROOT / "rules").glob("SRV*.md")),
    ]


def catalogued(library: Path) -> str:
    """The file of a library in the catalogue with what the GIL meter found today."""
    text = library.read_text(encoding="utf-8")
    cases = [case for (name, _), case in gil.read().items() if name == library.stem]
    return catalogue.written(text, cases, gil.measured_on()) if cases else text


def main() -> None:
    known = quotes()
    anew = {page: written(page.read_text(encoding="utf-8"), known) for page in pages()}
    anew |= {library: catalogued(library) for library in sorted(LIBRARIES.glob("*.yaml"))}
    for page, text in anew.items():
        if text != page.read_text(encoding="utf-8"):
            page.write_text(text, encoding="utf-8")
            print(f"{page.relative_to(ROOT)}: written anew")


if __name__ == "__main__":
    main()
