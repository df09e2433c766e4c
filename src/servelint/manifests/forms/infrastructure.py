"""Programs that describe deployments: Pulumi, CDK8s, the CDK of AWS, in Python; its stacks in TypeScript too.

A call that makes a resource means the document that it would write, as far as literals and names bound to
them go. Everything keeps its place in the file; what is computed is not known.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from servelint.boundary import LimitError
from servelint.manifests.documents.budget import Budget
from servelint.manifests.documents.environment import Environment
from servelint.manifests.documents.text import Located
from servelint.manifests.documents.yaml_document import Node, Scalar, YamlMapping, YamlSequence
from servelint.manifests.forms import kubernetes
from servelint.manifests.forms.autoscalers import on_memory
from servelint.manifests.forms.platforms import TASK_KEYS
from servelint.manifests.forms.resources import Autoscaler, Container, Resources, Workload
from servelint.manifests.python.files import calls_by_scope
from servelint.manifests.python.module import PythonModule, parsed
from servelint.manifests.python.values import last_name
from servelint.manifests.shell.commandline import UNKNOWN
from servelint.project.text.source import Source

# One of the first stands in a file that describes deployments, one of the second in one with an autoscaler.
LIBRARIES = (b"pulumi_kubernetes", b"cdk8s", b"aws_cdk", b"import k8s")
SCALING = (
    *(b"HorizontalPodAutoscaler", b"scale_on_memory_utilization", b"resource_memory"),
    b"metric_memory_utilization",
)
TYPESCRIPT = ".ts"

_MAX_NESTING = 100
_MAX_NODES = 50_000
_STRING, _NUMBER = "tag:yaml.org,2002:str", "tag:yaml.org,2002:int"
# https://www.pulumi.com/registry/packages/kubernetes/api-docs/
_PULUMI = re.compile(r"pulumi_kubernetes\.(?:\w+\.)*v\d\w*\.([A-Z]\w*?)(?<!Args)(?<!Patch)")
# https://cdk8s.io/docs/latest/cli/import/ : classes of `imports.k8s`
_CDK8S = re.compile(r"(?:imports\.)?k8s\.Kube([A-Z]\w*?)(?:V\d(?:(?:Alpha|Beta)\d)?)?")
_SNAKE = re.compile(r"[a-z][a-z0-9]*(?:_[a-z0-9]+)+")
_LETTER = re.compile(r"_([a-z0-9])")
# https://cdk8s.io/docs/latest/plus/deployment/
_PLUS = re.compile(r"cdk8s_plus_\d+\.(Deployment|StatefulSet|DaemonSet)")
# https://docs.aws.amazon.com/cdk/api/v2/python/aws_cdk.aws_ecs/TaskDefinition.html
_CONTAINERS = frozenset(
    ("add_container", "ApplicationLoadBalancedTaskImageOptions", "NetworkLoadBalancedTaskImageOptions")
)
_MEMORY = ("scale_on_memory_utilization", "Metric.resource_memory")
# https://docs.aws.amazon.com/cdk/api/v2/python/aws_cdk.aws_ecs/ScalableTaskCount.html
_TRACKED = ("scale_to_track_custom_metric", "scale_on_metric")
_SCALED = re.compile(r"\.(scaleOnMemoryUtilization)\(|\.(metricMemoryUtilization)\(")
_TOLD = re.compile(r"\b(?:command|entryPoint)\s*+:\s*+\[([^\]]*+)\]")
_QUOTED = re.compile(r"'([^'\n]*+)'|\"([^\"\n]*+)\"")
_TARGETS = ("target_utilization_percent",)


def resources(source: Source) -> Resources:
    """What a program deploys."""
    found = Resources()
    tree = parsed(source)
    if tree is None:
        return found
    module = PythonModule(source, Environment())
    module.run(tree.body)
    within, budget = Located.of(source), Budget(_MAX_NODES, "values in what one program deploys")
    for scope, calls in calls_by_scope(tree):
        likely = [call for call in calls if call.keywords or call.args]
        if not likely:
            continue
        with module.inside(scope):
            reader = _Reader(module, within, budget)
            for call in likely:
                document = reader.document(call)
                if document is not None:
                    found.extend(kubernetes.resources([document], source.path))
                found.autoscalers.extend(reader.memory(call, source.path))
    return found


class _Reader:
    """Reads the expressions of one scope as nodes."""

    def __init__(self, module: PythonModule, within: Located, budget: Budget) -> None:
        self.module = module
        self.within = within
        self.budget = budget
        self.nesting = 0

    def document(self, call: ast.Call) -> YamlMapping | None:
        """The document that a call makes; None where it makes none."""
        name = self.module.qualified(call.func)
        kind = _PULUMI.fullmatch(name) or _CDK8S.fullmatch(name)
        if kind is not None:
            return self.described(kind[1], call, self.entries(call))
        plus = _PLUS.fullmatch(name)
        if plus is not None:
            spec = self.mapping(self.entries(call), call)
            return self.described(plus[1], call, [(self.key("spec", call), spec)])
        return self.container(call, "Task") if last_name(call.func) in _CONTAINERS else None

    def container(self, call: ast.Call, name: str) -> YamlMapping:
        """The workload of one container that a call describes, in words of AWS's CDK or of Kubernetes."""
        entries = self.entries(call)
        if not any(key.value in ("args", "env") for key, _ in entries):
            entries = [(self.key(TASK_KEYS.get(key.value, key.value), call), value) for key, value in entries]
        entries = [
            (key, self.listed(value) if key.value == "env" and isinstance(value, YamlMapping) else value)
            for key, value in entries
        ]
        start, end = self.span(call)
        containers = YamlSequence([self.mapping(entries, call)], start, end, self.within, True)
        spec = self.mapping([(self.key("containers", call), containers)], call)
        return self.described(name, call, [(self.key("spec", call), spec)])

    def listed(self, variables: YamlMapping) -> YamlSequence:
        """Variables written as a mapping, as the list that Kubernetes takes."""
        items: list[Node] = [
            YamlMapping(
                [(self.word("name", key), key), (self.word("value", key), value)],
                key.start,
                value.end,
                self.within,
            )
            for key, value in variables.entries
        ]
        return YamlSequence(items, variables.start, variables.end, self.within, True)

    def described(self, kind: str, call: ast.Call, entries: list[tuple[Scalar, Node]]) -> YamlMapping:
        """A document of a kind, named as the call names it if it does not say itself."""
        entries = [(self.key("kind", call), self.key(kind, call)), *entries]
        name = next((item for item in call.args if isinstance(item, ast.Constant)), None)
        if name is not None and all(key.value != "metadata" for key, _ in entries):
            metadata = self.mapping([(self.key("name", call), self.node(name))], call)
            entries.append((self.key("metadata", call), metadata))
        return self.mapping(entries, call)

    def memory(self, call: ast.Call, path: Path) -> Iterator[Autoscaler]:
        """An autoscaler that is a method call: on memory, that is."""
        if not isinstance(call.func, ast.Attribute):
            return
        name = f"{last_name(call.func.value)}.{call.func.attr}"
        names = (last_name(node) for node in ast.walk(call) if isinstance(node, ast.expr))
        tracked = name.endswith(_TRACKED) and any("metric_memory_utilization" in one for one in names)
        if not (tracked or name.endswith(_MEMORY)):
            return
        end = self.span(call.func)[1]
        token = self.within.place_of(end - len(call.func.attr), end)
        given = [keyword.value for keyword in call.keywords if keyword.arg in _TARGETS]
        value = self.node(given[0]) if given else None
        known = value if isinstance(value, Scalar) and value.value.isdecimal() else None
        yield on_memory("autoscaler", "", path, token, known)

    def node(self, expression: ast.expr) -> Node:
        """An expression as a node; raises `LimitError` for names that lead on without end."""
        self.budget.spend(1)
        self.nesting += 1
        if self.nesting > _MAX_NESTING:
            raise LimitError(f"values nested more than {_MAX_NESTING} levels deep", expression.lineno)
        found = self.read(expression)
        self.nesting -= 1
        return found

    def read(self, expression: ast.expr) -> Node:
        """What `node` reads; what an expression comes to is computed, or not known."""
        start, end = self.span(expression)
        match expression:
            case ast.Call() if expression.keywords:
                return self.mapping(self.entries(expression), expression)
            case ast.Call(args=[ast.Constant() as inner]) if last_name(expression.func) == "from_value":
                return self.node(inner)
            case ast.Dict(keys=keys, values=values):
                entries = [
                    (self.named(key), self.node(value))
                    for key, value in zip(keys, values, strict=True)
                    if isinstance(key, ast.Constant) and isinstance(key.value, str)
                ]
                return self.mapping(entries, expression)
            case ast.List(elts=items) | ast.Tuple(elts=items):
                nodes = [self.node(item) for item in items]
                return YamlSequence(nodes, start, end, self.within, True)
            case ast.Name(id=name) if isinstance(made := self.module.assigned.get(name), _COMPOSITE):
                return self.node(made)
            case ast.Constant(value=str(value)):
                return self.string(value, start, end)
            case ast.Constant(value=bool(value)):
                return Scalar(str(value).lower(), _NUMBER, True, start, end, self.within)
            case ast.Constant(value=int(value)):
                return Scalar(str(value), _NUMBER, True, start, end, self.within)
            case _:
                return self.computed(expression)

    def computed(self, expression: ast.expr) -> Scalar:
        """What an expression comes to, where names and conversions lead to a literal."""
        start, end = self.span(expression)
        found = self.module.value(expression)
        known = found is not None and isinstance(found.data, (str, int)) and not found.per_core
        value = str(found.data) if known and found is not None else UNKNOWN
        text = Located.computed(value, self.within.place_of(start, end))
        return Scalar(value, _STRING, False, start, end, self.within, _text=text)

    def string(self, value: str, start: int, end: int) -> Scalar:
        """A text between quotes."""
        inner = self.within.slice(start + 1, end - 1)
        text = inner if inner.text == value else Located.computed(value, self.within.place_of(start, end))
        return Scalar(value, _STRING, False, start, end, self.within, _text=text)

    def entries(self, call: ast.Call) -> list[tuple[Scalar, Node]]:
        """The keyword arguments of a call, as the keys of a document."""
        found: list[tuple[Scalar, Node]] = []
        for keyword in call.keywords:
            node = self.node(keyword.value)
            if keyword.arg == "env_variables" and isinstance(node, YamlMapping):
                found.append((self.key("env", keyword.value), self.listed(node)))
            elif keyword.arg is not None:
                found.append((self.key(keyword.arg, keyword.value), node))
        return found

    def named(self, key: ast.Constant) -> Scalar:
        """A key of a mapping that is written as one."""
        start, end = self.span(key)
        node = self.string(str(key.value), start, end)
        return self.word(node.value, node) if _SNAKE.fullmatch(node.value) else node

    def key(self, name: str, near: ast.expr) -> Scalar:
        """A key that stands beside an expression, spelled as in documents."""
        start, end = self.span(near)
        return self.word(name, Scalar(name, _STRING, False, start, end, self.within))

    def word(self, name: str, near: Scalar) -> Scalar:
        """A word that the program means, at the place of another node."""
        if _SNAKE.fullmatch(name):
            name = _LETTER.sub(lambda found: found[1].upper(), name)
        text = Located.computed(name, self.within.place_of(near.start, near.end))
        return Scalar(name, _STRING, False, near.start, near.end, self.within, _text=text)

    def mapping(self, entries: list[tuple[Scalar, Node]], near: ast.expr) -> YamlMapping:
        """Entries as the mapping that an expression means."""
        start, end = self.span(near)
        return YamlMapping(entries, start, end, self.within, True)

    def span(self, expression: ast.expr) -> tuple[int, int]:
        """Where an expression stands."""
        place = self.module.place(expression)
        return place.start, place.end


_COMPOSITE = (ast.Call, ast.Dict, ast.List, ast.Tuple)


def typescript(source: Source) -> Resources:
    """What a stack in TypeScript deploys: what scales on memory, and commands that are written as a list.

    https://docs.aws.amazon.com/cdk/api/v2/docs/aws-cdk-lib.aws_ecs.ScalableTaskCount.html
    """
    found = Resources()
    whole = Located.of(source)
    for scaled in _SCALED.finditer(source.text):
        before = source.text[source.text.rfind(";", 0, scaled.start()) + 1 : scaled.start()]
        if scaled[1] or "scaleToTrackCustomMetric" in before or "scaleOnMetric" in before:
            place = whole.place_of(*scaled.span(scaled.lastindex or 0))
            found.autoscalers.append(on_memory("autoscaler", "", source.path, place, None))
    for told in _TOLD.finditer(source.text):
        words = tuple(
            whole.slice(*word.span(word.lastindex or 0))
            for word in _QUOTED.finditer(source.text, *told.span(1))
        )
        if words:
            box = Container("", None, words, None, Environment(), whole.place_of(*told.span()))
            found.workloads.append(Workload("Task", source.path.stem, source.path, (box,)))
    return found
