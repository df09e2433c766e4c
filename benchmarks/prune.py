"""What a service calls, of what `servelint learn` finds in a distribution."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from servelint.knowledge import compiled

# Modules that are run by hand, or while a model is made.
_BY_HAND = frozenset(
    "__main__ _vendor app apps bench benchmark benchmarking benchmarks cli command commands conf config"  # noqa: SIM905
    " configs conftest console contrib data dataset datasets demo demos dev docs eval evaluate evaluation"
    " example examples experiment experimental experiments export finetune finetuning gradio gui loss losses"
    " metric metrics optim optimizer pretrain recipes routers run_test script scripts serve server streamlit"
    " test testing tests third_party tool tools train trainer trainers training vendor visualization viz"
    " web webui".split()
)
# Functions that are run by hand wherever they stand.
_RUN_BY_HAND = re.compile(r"main|(?:test|plot|export|visuali[sz]e)(?:_\w+)?")
# Methods that a trainer calls, and those that stand for the call of a layer.
_OF_TRAINING = re.compile(
    r"(?:training|validation|test|predict|train|val|eval)_(?:step|epoch_end|loop|dataloader)|on_\w+"
    r"|(?:\w+_)?(?:compute_loss|loss|dataloader)|configure_optimizers|push_to_hub|backward|save\w*|export\w*"
    r"|(?:log|plot|register)_\w+|clone|copy|summary|warm_?up\w*"
)
_LAYERS = frozenset(
    {
        "torch.Module",
        "keras.Layer",
        "tensorflow.keras.Layer",
        "lightning.Module",
        "mlx.Module",
        "torch.Tensor",
    }
)
_RUNS_BY_CALL = frozenset({"forward", "call", "__call__"})
# How deep in a package a layer may stand that somebody else uses.
_DEEPEST_LAYER = 2
_MOST_ALIASES = 4
# What only computes a little where it is not called like inference.
_SMALL = re.compile(r"\((?:SciPy|scikit-learn)\)$")
_INFERS = re.compile(
    r"predict|transform|infer|encode|embed|detect|recogni|classif|forecast|score|generate|sample|rank|search"
)


def pruned(data: dict[str, Any]) -> dict[str, Any] | None:
    """The content of a catalogue file without what no service calls; None where that is all."""
    tops = frozenset(data["modules"])
    types = {name: _type(known) for name, known in data.get("types", {}).items() if _top(name) in tops}
    types = {name: known for name, known in types.items() if known["classes"]}
    functions = {n: e for n, e in _functions(data.get("functions", {})).items() if _top(n.strip("{")) in tops}
    while True:
        kept = _telling(types, functions)
        if kept.keys() == types.keys():
            break
        types = kept
    functions = {
        name: entry
        for name, entry in ((name, _entry(entry, types)) for name, entry in functions.items())
        if _says(entry)
    }
    types = {name: _known_only(known, types) for name, known in types.items()}
    found = {**data, "functions": functions, "types": types}
    return {key: value for key, value in found.items() if value} if functions or types else None


def _top(name: str) -> str:
    return name.partition(".")[0]


def _is_by_hand(name: str) -> bool:
    """Whether a dotted name is below a module that no service imports, or of what is run by hand."""
    *modules, last = name.split(".")
    return bool(_RUN_BY_HAND.fullmatch(last)) or not _BY_HAND.isdisjoint(modules[1:])


def _aliases(names: Iterable[str]) -> list[str]:
    found = sorted({name for name in names if not _is_by_hand(name)}, key=lambda n: (n.count("."), len(n), n))
    return found[:_MOST_ALIASES]


def _functions(functions: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for pattern, entry in functions.items():
        names = _aliases(pattern.strip("{}").split(","))
        if names and not _is_small(names[0], entry):
            found[names[0] if len(names) == 1 else f"{{{','.join(sorted(names))}}}"] = entry
    return found


def _is_small(name: str, entry: Any) -> bool:
    """Whether an entry is about what is done in an instant, or about somebody else's computer."""
    if not isinstance(entry, dict):
        return False
    if entry["role"] == "remote":
        return True
    small = entry["role"] == "inference" and _SMALL.search(entry.get("chain", ("",))[-1])
    return bool(small) and not _INFERS.search(name.rpartition(".")[2])


def _is_unshown(entry: Any) -> bool:
    """Whether no call shows why an entry infers: it calls what a property gives, which nobody does."""
    said = {"role": entry} if isinstance(entry, str) else entry
    return said["role"] == "inference" and not said.get("chain")


def _type(known: dict[str, Any]) -> dict[str, Any]:
    inherits = set(known.get("inherits", ()))
    methods = {
        name: entry
        for name, entry in known.get("methods", {}).items()
        if not _OF_TRAINING.fullmatch(name)
        and not _is_small(name, entry)
        and not _is_unshown(entry)
        and not (inherits & _LAYERS and name in _RUNS_BY_CALL)
    }
    attributes = {n: t for n, t in known.get("attributes", {}).items() if t not in _LAYERS}
    return {**known, "classes": _aliases(known["classes"]), "methods": methods, "attributes": attributes}


def _telling(types: dict[str, Any], functions: dict[str, Any]) -> dict[str, Any]:
    """The types that block in a way of their own, that are given to others, or that lead to such a type."""
    given = {entry["returns"] for entry in functions.values() if _gives(entry)}
    given |= {entry["returns"] for known in types.values() for entry in _entries(known) if _gives(entry)}
    attributes = {name for known in types.values() for name in known["attributes"].values()}
    return {
        name: known
        for name, known in types.items()
        if any(map(_blocks, _entries(known)))
        or (known.get("inherits") and (_is_near(known) or name in given))
        or (name in given | attributes and any(_is_known(other, types) for other in _leads_to(known)))
    }


def _is_near(known: dict[str, Any]) -> bool:
    return known["classes"][0].count(".") < _DEEPEST_LAYER


def _entries(known: dict[str, Any]) -> Iterator[Any]:
    yield known.get("construct", "cheap")
    yield from known["methods"].values()


def _blocks(entry: Any) -> bool:
    return (entry if isinstance(entry, str) else entry["role"]) not in ("cheap", "coroutine")


def _leads_to(known: dict[str, Any]) -> Iterator[str]:
    yield from known["attributes"].values()
    yield from (entry["returns"] for entry in _entries(known) if _gives(entry))


def _gives(entry: Any) -> bool:
    return isinstance(entry, dict) and "returns" in entry


def _is_known(name: str, types: dict[str, Any]) -> bool:
    """Whether something is known of a type that makes it worth to be named."""
    return name in types or bool(name not in _LAYERS and compiled.catalogue().inference_method(name))


def _entry(entry: Any, types: dict[str, Any]) -> Any:
    """An entry with the first and the last call of its chain, and a result of which something is known."""
    if isinstance(entry, str):
        return entry
    known = {name for name in (entry.get("returns"),) if name == "self" or (name and _is_known(name, types))}
    said = {key: value for key, value in entry.items() if key != "returns" or value in known}
    if "chain" in said:
        said["chain"] = [*said["chain"][:1], *said["chain"][1:][-1:]]
    return said["role"] if len(said) == 1 else said


def _says(entry: Any) -> bool:
    return _blocks(entry) or isinstance(entry, dict)


def _known_only(known: dict[str, Any], types: dict[str, Any]) -> dict[str, Any]:
    entries = ((name, entry, _entry(entry, types)) for name, entry in known["methods"].items())
    methods = {name: said for name, entry, said in entries if said != "cheap" or entry == "cheap"}
    catalogued = compiled.catalogue().types
    said = {
        **known,
        "inherits": [name for name in known.get("inherits", ()) if name in types or name in catalogued],
        "construct": _entry(known.get("construct", "cheap"), types),
        "methods": methods,
        "attributes": {name: other for name, other in known["attributes"].items() if _is_known(other, types)},
    }
    return {key: value for key, value in said.items() if value}
