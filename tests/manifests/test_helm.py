"""Templates are evaluated as Helm does it, as far as manifests depend on it."""

from __future__ import annotations

from pathlib import Path

import pytest

from servelint.manifests.documents.text import Located
from servelint.manifests.documents.yaml_document import parse
from servelint.manifests.helm import syntax
from servelint.manifests.helm.render import Engine
from servelint.manifests.helm.values import from_node
from servelint.manifests.helm.versions import satisfies
from servelint.project.text.source import decode

from .harness import check, written

_VALUES = """
name: api
count: 4
zero: 0
on: true
"off": false
empty: ""
none: null
words: [b, a]
nested: {a: {b: deep}, list: [{name: x}, {name: z}]}
text: |-
  one
  two
quoted: "4"
template: "{{ .Values.name }}-x"
"""


def _render(template: str) -> str:
    values = from_node(parse(Located.of(decode(Path("/c/values.yaml"), _VALUES.encode())))[0])
    tree = syntax.parse(Located.of(decode(Path("/c/templates/t.yaml"), template.encode())))
    engine = Engine(tree.defines, {"Values": values, "Release": {"Name": "r"}}, frozenset({"/c/values.yaml"}))
    return engine.render(tree, Path("/c/templates/t.yaml")).text


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("a {{ .Values.name }} b", "a api b"),
        ("a {{- .Values.name -}} b", "aapib"),
        ("a {{- /* note */ -}} b", "ab"),
        ('{{ "}}" }}{{ `{{ raw }}` }}', "}}{{ raw }}"),
        ("{{ .Values.missing.deep }}", ""),
        ("{{ if .Values.on }}y{{ else }}n{{ end }}", "y"),
        ("{{ if .Values.off }}y{{ else if .Values.zero }}z{{ else }}n{{ end }}", "n"),
        ("{{ if and .Values.on (not .Values.off) (gt .Values.count 3.0) }}y{{ end }}", "y"),
        ('{{ if eq .Values.name "x" "api" }}y{{ end }}{{ if ne .Values.name "x" }}n{{ end }}', "yn"),
        ("{{ with .Values.nested.a }}{{ .b }}{{ $.Values.name }}{{ end }}", "deepapi"),
        ("{{ with .Values.none }}x{{ else }}y{{ end }}", "y"),
        ("{{ range .Values.words }}{{ . }},{{ end }}", "b,a,"),
        ("{{ range $i, $w := .Values.words }}{{ $i }}{{ $w }}{{ end }}", "0b1a"),
        ("{{ range $k, $v := .Values.nested.a }}{{ $k }}={{ $v }}{{ end }}", "b=deep"),
        ("{{ range .Values.none }}x{{ else }}none{{ end }}", "none"),
        ("{{ range .Values.words }}{{ if eq . `a` }}{{ continue }}{{ end }}{{ . }}{{ end }}", "b"),
        ("{{ range .Values.words }}{{ . }}{{ break }}{{ end }}", "b"),
        ("{{ $x := 1 }}{{ if true }}{{ $x = 2 }}{{ end }}{{ $x }}", "2"),
        ("{{ $x := 1 }}{{ if true }}{{ $x := 2 }}{{ end }}{{ $x }}", "1"),
        ('{{ define "d" }}<{{ . }}>{{ end }}{{ include "d" .Values.name | quote }}', '"<api>"'),
        ('{{ define "d" }}<{{ .n }}>{{ end }}{{ template "d" (dict "n" 3) }}', "<3>"),
        ("{{ tpl .Values.template . }}", "api-x"),
        ("{{ default 5 .Values.zero }}{{ .Values.count | default 5 }}", "54"),
        ("{{ coalesce .Values.none .Values.empty .Values.name }}", "api"),
        ('{{ ternary "a" "b" .Values.on }}{{ .Values.off | ternary "a" "b" }}', "ab"),
        ('{{ printf "%s-%d:%q %v%%" .Values.name 3 "x" true }}', 'api-3:"x" true%'),
        ('{{ .Values.name | upper | trunc 2 | trimSuffix "P" }}', "A"),
        ("x:{{ toYaml .Values.nested.list | nindent 2 }}", "x:\n  - name: x\n  - name: z"),
        ("{{ toYaml .Values.nested }}", "a:\n  b: deep\nlist:\n- name: x\n- name: z"),
        ("{{ toYaml .Values.quoted }} {{ toYaml .Values.count }}", '"4" 4'),
        ("a: {{ toYaml (dict `t` .Values.text) | nindent 2 }}", "a: \n  t: |-\n    one\n    two"),
        ("{{ toJson .Values.words }}{{ .Values.words | join `-` }}", '["b", "a"]b-a'),
        ("{{ (index .Values.words 1) }}{{ first .Values.words }}{{ len .Values.words }}", "ab2"),
        ("{{ (.Values.nested.list | first).name }}", "x"),
        ('{{ hasKey .Values "name" }}{{ dig "a" "z" "d" .Values.nested }}', "trued"),
        ("{{ add 1 2 3 }}{{ mul 2 3 }}{{ div 7 2 }}{{ max 1 5 2 }}{{ int .Values.quoted }}", "66354"),
        ('{{ (fromYaml "a: {b: 1}").a.b }}', "1"),
        ("{{ .Values.text | indent 2 }}", "  one\n  two"),
        ("{{ lookup `v1` `Pod` `a` `b` | empty }}", "true"),
        ('{{ if include "gone" . }}x{{ else }}y{{ end }}', "y"),
        ('{{ required "say so" .Values.name }}{{ regexReplaceAll "(p)" .Values.name "<${1}>" }}', "apia<p>i"),
    ],
)
def test_rendering(template: str, text: str) -> None:
    assert _render(template) == text


@pytest.mark.parametrize(
    "template", ["{{ if }}", "{{ end }}", "{{ if .a }}", "{{ .a | }}", "{{ (.a }}", "{{ ? }}"]
)
def test_what_is_no_template_is_refused(template: str) -> None:
    with pytest.raises(syntax.TemplateError):
        syntax.parse(Located.of(decode(Path("/c/t.yaml"), template.encode())))


@pytest.mark.parametrize(
    ("constraint", "version", "holds"),
    [
        (">=1.23-0", "v1.31.0", True),
        ("<1.21", "v1.31.0", False),
        (">= 1.19.0 < 1.40", "1.31.2", True),
        ("^1.2 || ~2.0", "2.0.9", True),
        ("~1.2.3", "1.3.0", False),
        ("1.31", "1.31.4", True),
    ],
)
def test_versions(constraint: str, version: str, holds: bool) -> None:
    assert satisfies(constraint, version) is holds


_SUBCHART = {
    "c/Chart.yaml": "name: c\ndependencies:\n  - {name: sub, condition: sub.enabled}\n",
    "c/charts/sub/Chart.yaml": "name: sub\n",
    "c/charts/sub/values.yaml": "workers: 1\n",
    "c/charts/sub/templates/d.yaml": (
        "kind: Deployment\nmetadata: {name: d}\nspec: {containers: "
        '[{name: a, command: [uvicorn, "a:a", --workers, "{{ .Values.workers }}"]}]}\n'
    ),
}


@pytest.mark.parametrize(("enabled", "lines"), [("true", [2]), ("false", [])])
def test_a_chart_sets_values_of_its_subcharts(enabled: str, lines: list[int], tmp_path: Path) -> None:
    root = written(tmp_path, {**_SUBCHART, "c/values.yaml": f"sub: {{enabled: {enabled},\n  workers: 3}}\n"})
    found = check(root).findings
    assert [(finding.span.path, finding.span.line) for finding in found] == [
        (root / "c/values.yaml", line) for line in lines
    ]
