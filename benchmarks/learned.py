"""Learn distributions from their wheels into `rules/learned`: `python -m benchmarks.learned WHEEL...`

One file a top-level module, as compact as it can be: what no service calls is left out (`prune`). So are
modules that `rules/libraries` knows: what people have written wins.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.prune import pruned
from servelint import learning
from servelint.knowledge import compiled, learned
from servelint.store import rules_dir

# A package of which more than that blocks is a framework: somebody should describe it.
LARGEST = 150_000  # bytes
# What projects have themselves, whatever a distribution has put there, and what several distributions share.
ORDINARY = frozenset(
    {"benchmarks", "data", "examples", "llama_index", "model", "model_api", "models", "scripts", "src"}
    | {"test", "tests", "tools", "usage_examples", "utility", "utils"}
)
# Of no use to a service: graphs that are put together by functions which read like inference, and layers that
# change a picture at random.
LEFT_OUT = frozenset({"deepctr", "deepctr_torch", "kornia"})


def main(wheels: Sequence[str], folder: Path) -> None:
    """Write what is learned of each wheel, and say what became of it."""
    folder.mkdir(exist_ok=True)
    known = {module.partition(".")[0] for module in compiled.catalogue().modules}
    with tempfile.TemporaryDirectory() as downloads:
        for wheel in wheels:
            for title, data in learning.of_archives([wheel], Path(downloads)):
                print(f"{title}: {written(data, known, folder)}")


def written(data: dict[str, Any] | None, known: set[str], folder: Path) -> str:
    """Write the files of one distribution, and say which."""
    found = [
        module for module in (data or {}).get("modules", ()) if module not in known | ORDINARY | LEFT_OUT
    ]
    modules = _own(found, data["library"]) if data is not None else []
    if data is None or not modules:
        return "nothing to learn" if data is None else "is in the catalogue"
    data = pruned({**data, "modules": modules})
    if data is None:
        return "nothing that a service calls"
    text = json.dumps(data, separators=(",", ":"), ensure_ascii=False)
    if len(text) > LARGEST:
        return f"{len(text):,} bytes are too much"
    for module in modules:
        (folder / f"{module}.json").write_text(f"{text}\n", "utf-8")
    return f"{', '.join(modules)}: {len(text):,} bytes"


def _own(modules: list[str], distribution: str) -> list[str]:
    """The modules that are called like their distribution; all, if none is."""
    title = _letters(distribution)
    return [name for name in modules if _letters(name) in title or title in _letters(name)] or modules


def _letters(name: str) -> str:
    return "".join(filter(str.isalnum, name)).lower()


if __name__ == "__main__":
    main(sys.argv[1:], rules_dir() / learned.FOLDER)
