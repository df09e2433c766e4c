"""SRV202: remove the memory metric where another resource metric goes on scaling the workload."""

from __future__ import annotations

from servelint.finding import Applicability, Edit, Fix
from servelint.manifests.deployed.subjects import MemoryValue
from servelint.manifests.documents.text import Located, Place
from servelint.manifests.documents.yaml_document import (
    Node,
    Scalar,
    YamlError,
    YamlMapping,
    YamlSequence,
    parse,
    walk,
)
from servelint.manifests.forms import terraform
from servelint.manifests.forms.resources import Autoscaler, Metric
from servelint.project.text.source import Source

_TITLE = "Remove the memory metric"
_ONLY = "it is the only metric: scale on CPU, on requests in flight or on queue length instead"


def drop_metric(autoscaler: Autoscaler, metric: Metric) -> tuple[Fix | None, str]:
    """The fix, or None and why there is none."""
    if autoscaler.items is None or metric.item is None:
        return None, "set the metric to cpu or to concurrency"
    others = [other for other in autoscaler.metrics if other.resource != "memory"]
    if not others:
        return None, _ONLY
    edit = remove_item(autoscaler.items, metric.item) or _removed_from_values(autoscaler, metric)
    if edit is None:
        return None, "a template, a patch or an anchor brings the metric: remove it there"
    replaced = (metric.item.place.span,)
    if any(other.resource for other in others):
        return Fix(Applicability.SAFE, _TITLE, (edit,), replaces=replaced), ""
    reason = "no resource metric remains: make sure that the others cover overload"
    return Fix(Applicability.UNSAFE, _TITLE, (edit,), reason, replaced), ""


def unset_value(subject: MemoryValue) -> tuple[Fix | None, str]:
    """The fix in a values file that turns a memory metric on: no value, where the template asks for one."""
    target = subject.value
    if all(other.resource in ("", "memory") for other in subject.autoscaler.metrics):
        return None, _ONLY
    if subject.asked is None:
        return None, "the template scales on memory whatever the value is: remove the metric there"
    if not subject.asked or not target.verbatim:
        return None, "the template makes a metric of each entry: remove this one"
    reason = "other templates read the value too" if subject.readers > 1 else ""
    if subject.autoscaler.assumed:
        reason = "the chart is not in the project: what it does without the value is not known"
    applicability = Applicability.UNSAFE if reason else Applicability.SAFE
    # Not removed: in a file that is laid on another one, the other's value would come back.
    return Fix(applicability, "Turn the memory metric off", (target.edit("null"),), reason), ""


def remove_item(items: YamlSequence, item: Node) -> Edit | None:
    """The edit that takes one item out of a list, or None where the text around it is not plain YAML."""
    place = items.place
    inside = item.within is items.within and items.start <= item.start < items.end
    if not inside or not place.verbatim or any(node.anchored for node in (items, *walk(item))):
        return None
    source, shift = place.source, place.start - items.start
    if source.path.suffix in terraform.SUFFIXES and not items.flow and items.within.text == source.text:
        return _block(item.place)
    position = next(index for index, other in enumerate(items.items) if other is item)
    if items.flow:
        return _flow(items, position, source, shift)
    start = _line_start(source.text, _dash(source.text, item.start + shift))
    if start is None:
        return None
    start = _with_comments(source.text, start, first=position == 0)
    end = source.text.find("\n", _content_end(item) + shift - 1) + 1 or len(source.text)
    return Place(source, start, end, True).edit("")


def _removed_from_values(autoscaler: Autoscaler, metric: Metric) -> Edit | None:
    """The edit where a chart's template prints a list of metrics that stands whole in a values file."""
    source = metric.token.source
    if source.path == autoscaler.path:
        return None
    try:
        documents = parse(Located.of(source))
    except YamlError:
        return None
    for document in documents:
        for node in walk(document):
            for item in node.items if isinstance(node, YamlSequence) else ():
                name = item.get("resource", "name") if isinstance(item, YamlMapping) else None
                if name is not None and name.start <= metric.token.start < name.end:
                    return remove_item(node, item) if isinstance(node, YamlSequence) else None
    return None


def _flow(items: YamlSequence, position: int, source: Source, shift: int) -> Edit:
    item = items.items[position]
    if position + 1 < len(items.items):
        return Place(source, item.start + shift, items.items[position + 1].start + shift, True).edit("")
    previous = items.items[position - 1]
    return Place(source, previous.end + shift, item.end + shift, True).edit("")


def _block(place: Place) -> Edit | None:
    """The edit that takes out a block of Terraform, where it has its lines to itself."""
    text = place.source.text
    start, end = text.rfind("\n", 0, place.start) + 1, text.find("\n", place.end) + 1 or len(text)
    if text[start : place.start].strip() or text[place.end : end].strip():
        return None
    return Place(place.source, start, end, True).edit("")


def _dash(text: str, position: int) -> int:
    """The `-` before an item."""
    return text.rfind("-", 0, position)


def _line_start(text: str, dash: int) -> int | None:
    start = text.rfind("\n", 0, dash) + 1
    return start if not text[start:dash].strip(" ") else None


def _with_comments(text: str, start: int, *, first: bool) -> int:
    """Where the comments begin that stand above an item, which starts at `start`, and are about it.

    Above the first item a comment may be about the whole list: it stays unless it names the metric.
    """
    indent = text[start : text.index("-", start)]
    begin = start
    while begin:
        above = text.rfind("\n", 0, begin - 1) + 1
        line = text[above:begin]
        if not line.startswith(f"{indent}#"):
            break
        begin = above
    return start if first and "memory" not in text[begin:start].lower() else begin


def _content_end(item: Node) -> int:
    """The end of the last thing written in an item; a block mapping ends where the next token starts."""
    return max(node.end for node in walk(item) if isinstance(node, Scalar) or getattr(node, "flow", False))
