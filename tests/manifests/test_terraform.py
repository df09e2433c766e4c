"""Terraform: what its values mean, what is not known, and what cannot be read."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servelint.boundary import LimitError
from servelint.manifests.documents.text import Located
from servelint.manifests.documents.yaml_document import Node, Scalar, YamlMapping, YamlSequence
from servelint.manifests.forms import hcl
from servelint.manifests.shell.commandline import UNKNOWN
from servelint.project.text.source import decode

from .harness import check, fixed, written


def parsed(text: str) -> hcl.Body:
    return hcl.parse(Located.of(decode(Path("main.tf"), text.encode())), lambda _: [])


def plain(node: Node | None) -> object:
    if isinstance(node, YamlSequence):
        return [plain(item) for item in node.items]
    if isinstance(node, YamlMapping):
        return {key.value: plain(value) for key, value in node.entries}
    return node.value if isinstance(node, Scalar) else None


@pytest.mark.parametrize(
    ("value", "meant"),
    [
        ('"a \\"b\\" $${c}"', 'a "b" ${c}'),
        ("4", "4"),
        ("(true)", "true"),
        ("[]", []),
        ('["a", 2, var.b, null]', ["a", "2", UNKNOWN, "null"]),
        ('{ a = 1, "b" : [2], (var.c) = 3 }', {"a": "1", "b": ["2"]}),
        ('jsonencode({ a = "é" })', {"a": "é"}),
        ('concat(["a"], local.rest)', ["a", UNKNOWN]),
        ("var.a ? 1 : 2", UNKNOWN),
        ("[for a in var.b : a]", UNKNOWN),
        ("max(1, 2)", UNKNOWN),
        ("<<EOT\na: 1\nEOT", "a: 1\n"),
        ("<<-EOT\n  a: ${b}\n  EOT", "  a: ${b}\n"),
    ],
)
def test_a_value_is_what_is_written_out(value: str, meant: object) -> None:
    assert plain(parsed(f"x = {value}\n").get("x")) == meant


@given(st.text(alphabet='ab"{}[]()=<$%\\\n #é.,:', max_size=60))
def test_no_text_is_too_odd(text: str) -> None:
    for found in parsed(f'resource "a" "b" {{\n{text}\n}}\n').blocks:
        assert isinstance(found.body, hcl.Body)


def test_nesting_has_a_limit() -> None:
    deep = sys.getrecursionlimit()
    with pytest.raises(LimitError, match="nested more than"):
        parsed("x = " + "[" * deep + "]" * deep)
    with pytest.raises(LimitError, match="nested more than"):
        parsed("a {\n" * deep + "}\n" * deep)


def test_a_memory_metric_goes_with_its_block(tmp_path: Path) -> None:
    metric = (
        '    metric {\n      type = "Resource"\n      resource {\n        name = "NAME"\n      }\n    }\n'
    )
    head = 'resource "kubernetes_horizontal_pod_autoscaler_v2" "a" {\n  spec {\n'
    cpu, memory = metric.replace("NAME", "cpu"), metric.replace("NAME", "memory")
    root = written(tmp_path, {"main.tf": f"{head}{memory}{cpu}  }}\n}}\n"})
    assert [after.decode() for _, _, after, _ in fixed(root)] == [f"{head}{cpu}  }}\n}}\n"]


@pytest.mark.parametrize(
    "block",
    [
        'dynamic "metric" {\n for_each = var.m\n content {\n  resource {\n   name = "memory"\n  }\n }\n}',
        'metric { resource { name = "memory" } }  /* and */ metric { }',
    ],
)
def test_a_memory_metric_stays_where_its_lines_are_not_its_own(tmp_path: Path, block: str) -> None:
    text = (
        'resource "kubernetes_horizontal_pod_autoscaler_v2" "a" {\n  spec {\n'
        f'{block}\n    metric {{\n      resource {{\n        name = "cpu"\n      }}\n    }}\n  }}\n}}\n'
    )
    root = written(tmp_path, {"main.tf": text})
    assert [finding.code for finding in check(root).findings] == ["SRV202"]
    assert not list(fixed(root))
