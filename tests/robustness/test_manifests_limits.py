"""Each kind of hostile manifest with its answer: what is told, and what is still found in the project."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from manifests.harness import check, written

from servelint import lint
from servelint.knowledge import types as knowledge
from servelint.knowledge.servers import servers
from servelint.manifests.deployed import start
from servelint.manifests.documents import linear_regex
from servelint.manifests.documents.environment import Environment
from servelint.manifests.documents.text import Located
from servelint.manifests.documents.yaml_document import parse
from servelint.manifests.forms import masking
from servelint.manifests.forms.sources import normal
from servelint.manifests.helm import charts, syntax
from servelint.manifests.python import files
from servelint.manifests.shell import arithmetic
from servelint.project.config import Config
from servelint.project.reported import suppress
from servelint.project.text.source import decode

_SECONDS = 10  # of work: each of these takes about one, and took minutes or did not end

_METRIC = """
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: api}
spec:
  scaleTargetRef: {kind: Deployment, name: api}
  metrics: [{type: Resource, resource: {name: memory}}]
"""
_WORKLOAD = """kind: Deployment
metadata: {name: api}
spec:
  template:
    spec:
      containers:
        - name: api
          image: x
          command: [uvicorn, "a:app", --workers, "4"]
"""
_IMAGE = 'FROM x\nCOPY start.sh /\nCMD ["/start.sh"]\n'
_CHART = {
    "c/Chart.yaml": "name: c\n",
    "c/values.yaml": "on: true\nn: 1e999\n",
    "c/templates/good.yaml": f"{{{{ if .Values.on }}}}{_METRIC}{{{{ end }}}}",
}
_START = "uvicorn a:app --workers 4\n"


def _told(root: Path) -> tuple[list[str], list[str]]:
    """What is found, and what is told of files; both as `path:line: ...`."""
    began = time.process_time()
    result = check(root)
    assert time.process_time() - began < _SECONDS
    found = [f"{item.span.path.relative_to(root)}:{item.span.line}: {item.code}" for item in result.findings]
    told = [f"{item.path.relative_to(root)}:{item.line}: {item.message}" for item in result.problems]
    return found, told


def _aliases(levels: int, width: int) -> str:
    lines = [f"x0: &a0 [{', '.join('1' * width)}]"]
    lines += [f"x{n}: &a{n} [{', '.join([f'*a{n - 1}'] * width)}]" for n in range(1, levels)]
    return "\n".join(lines) + "\n"


def _nested(opening: str, closing: str, depth: int = 5_000) -> str:
    return opening * depth + _START + closing * depth


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("A=x\n" + "A=$A$A$A$A\n" * 30, "a word of more than 131,072 characters"),
        ("A=x\n" + "A+=$A$A\n" * 30, "a word of more than 131,072 characters"),
        ("A=(x)\n" + 'A+=("${A[@]}" "${A[@]}")\n' * 40, "more than 5,000,000 characters"),
        ("W=$((" + "7*" * 9_000 + "7))\n", "arithmetic beyond 64 bits"),
        ("W=99999999\n" + "W=$(( $W * $W ))\n" * 20, "arithmetic beyond 64 bits"),
        (_nested("if true; then\n", "fi\n"), "nested more than 200 levels deep"),
        (_nested("( ", " )"), "nested more than 200 levels deep"),
        (_nested("{ ", "}\n"), "nested more than 200 levels deep"),
        ("A=" + '"$(echo ' * 300 + "x" + ')"' * 300 + "\n", "expansions nested more than 50 levels deep"),
        ("f() { f; }\nf\n", "a function that calls itself without end"),
        ("f() { g; }\ng() { f; }\nf\n", "a function that calls itself without end"),
    ],
)
def test_shell_that_goes_past_a_limit_is_told_with_its_line(code: str, told: str, tmp_path: Path) -> None:
    written(tmp_path, {"start.sh": code + _START, "Dockerfile": _IMAGE, "hpa.yaml": _METRIC})
    found, [problem] = _told(tmp_path)
    assert found == ["hpa.yaml:7: SRV202"]
    assert problem.startswith("start.sh:")
    assert not problem.startswith("start.sh:0:")
    assert told in problem


@pytest.mark.parametrize(
    "code",
    [
        'retry() { if ! "$@"; then sleep 1; retry "$@"; fi; }\nretry uvicorn a:app --workers 4\n',
        'again() { "$@" || again "$@"; }\nagain uvicorn a:app --workers 4\n',
        "W=$(( ((((3)))) + 7 % 2 ))\nuvicorn a:app --workers $W\n",
        "W=$(( -" + "(" * 2_000 + "-4" + ")" * 2_000 + " ))\nuvicorn a:app --workers $W\n",
        "env " * 20 + _START,
        "true && " * 3_000 + _START,
        "true || false && " * 3_000 + _START,
        "[ ² -gt 1 ] && true\n" + _START,
        "# \u00e9\n" * 5_000 + _START,
    ],
)
def test_shell_within_the_limits_is_followed(code: str, tmp_path: Path) -> None:
    written(tmp_path, {"start.sh": code, "Dockerfile": _IMAGE})
    found, told = _told(tmp_path)
    assert not told
    assert [item.rpartition(" ")[2] for item in found] == ["SRV201"]


@pytest.mark.parametrize(
    ("text", "line", "told"),
    [
        ("a: &a\n  b: *a\n", 1, "contains itself"),
        ("kind: List\nitems: &i\n  - kind: List\n    items: *i\n  - *i\n", 2, "contains itself"),
        (_aliases(9, 9), 6, "aliases that repeat more than 200,000 values"),
        (
            "x0: &a0 {k: v}\n" + "".join(f"x{n}: &a{n} {{<<: *a{n - 1}, k{n}: v}}\n" for n in range(1, 400)),
            101,
            "more than 100 levels of nesting",
        ),
        ("a: " + "[" * 900 + "]" * 900 + "\n", 1, "more than 100 levels of nesting"),
        ("a: {kind: Deployment, spec: " + "{a: " * 900 + "b" + "}" * 901 + "\n", 1, "more than 100 levels"),
    ],
)
def test_yaml_that_goes_past_a_limit_is_told_once(text: str, line: int, told: str, tmp_path: Path) -> None:
    written(tmp_path, {"d.yaml": f"{text}---\n{_METRIC}---\n{_WORKLOAD}"})
    found, [problem] = _told(tmp_path)
    assert problem.startswith(f"d.yaml:{line}: ")
    assert told in problem
    assert [item.rpartition(" ")[2] for item in found] == ["SRV202", "SRV201"]


@pytest.mark.parametrize("value", ["²", "9" * 5_000, "-1", "1e999", "٣"])
def test_numbers_that_are_none_are_no_problem(value: str, tmp_path: Path) -> None:
    probe = f'          livenessProbe: {{httpGet: {{path: /h}}, periodSeconds: "{value}", timeoutSeconds: {value}}}\n'
    written(tmp_path, {"d.yaml": _WORKLOAD + probe, "c/Chart.yaml": "name: c", "c/values.yaml": f"n: {value}\n",
                       "c/templates/d.yaml": _WORKLOAD + "# {{ int .Values.n }}{{ add .Values.n 1 }}\n"})  # fmt: skip
    assert _told(tmp_path) == (["c/templates/d.yaml:9: SRV201", "d.yaml:9: SRV201"], [])


def test_variables_that_double_each_other_are_told(tmp_path: Path) -> None:
    variables = "".join(
        f"            - {{name: A{n}, value: $(A{n - 1})$(A{n - 1})}}\n" for n in range(1, 40)
    )
    workload = f"{_WORKLOAD}          env:\n            - {{name: A0, value: x}}\n{variables}"
    written(tmp_path, {"d.yaml": f"{workload}---\n{_METRIC}"})
    found, [problem] = _told(tmp_path)
    assert "a word put together from more than 32,768 pieces" in problem
    assert [item.rpartition(" ")[2] for item in found] == ["SRV202"]


def test_services_that_extend_one_another_are_told_once_and_the_last_are_read(tmp_path: Path) -> None:
    chain = "".join(f"  a{n}: {{extends: {{service: a{n + 1}}}}}\n" for n in range(3_000))
    written(tmp_path, {"compose.yaml": f"services:\n{chain}  a3000: {{command: {_START.strip()}}}\n"})
    found, [problem] = _told(tmp_path)
    assert "compose.yaml:2: " in problem
    assert "extend one another more than 50 times" in problem
    assert found == ["compose.yaml:3002: SRV201"]


@pytest.mark.parametrize(
    ("dockerfile", "line", "told"),
    [
        ("FROM x\nENTRYPOINT " + "[" * 50_000 + "\n", 2, "JSON nested more than 100 levels deep"),
        ('FROM x\nCOPY [[{"a":' + "[" * 50_000 + "\n", 2, "JSON nested more than 100 levels deep"),
        ("".join(f"FROM s{n} AS s{n + 1}\nENV A{n}=1\n" for n in range(2_000)), 1001, "more than 500 stages"),
    ],
)
def test_a_dockerfile_that_goes_past_a_limit_is_told(
    dockerfile: str, line: int, told: str, tmp_path: Path
) -> None:
    written(tmp_path, {"a/Dockerfile": dockerfile, "b/Dockerfile": f"FROM x\nCMD {_START}"})
    found, [problem] = _told(tmp_path)
    assert problem.startswith(f"a/Dockerfile:{line}: ")
    assert told in problem
    assert found == ["b/Dockerfile:2: SRV201"]


def _defines(width: int, depth: int) -> str:
    return "".join(
        f'{{{{ define "a{n}" }}}}' + f'{{{{ include "a{n + 1}" . }}}}' * width + "{{ end }}"
        for n in range(depth)
    )


@pytest.mark.parametrize(
    ("action", "told"),
    [
        ('{{ $x := "x" }}' + '{{ $x = printf "%s%s%s%s" $x $x $x $x }}' * 30, "characters of values"),
        ("{{ $l := list 1 }}" + "{{ $l = concat $l $l }}" * 40, "characters of values"),
        ("{{ $d := list 1 }}" + "{{ $d = list $d $d }}" * 60 + "{{ toYaml $d }}", "more than 100,000 parts"),
        ("{{ $d := list 1 }}" + "{{ $d = list $d $d }}" * 60 + "{{ $d }}", "more than 100,000 parts"),
        (
            "{{ $d := list 1 }}{{ $e := list 1 }}"
            + "{{ $d = list $d $d }}{{ $e = list $e $e }}" * 60
            + "{{ eq $d $e }}",
            "more than 100,000 parts",
        ),
        ('{{ $d := dict }}{{ $_ := set $d "a" $d }}{{ toJson $d }}', "a value of more than"),
        ("{{ until 1000000000 }}", "a list of more than 10,000 numbers"),
        ("{{ untilStep 0 1000000000 1 }}", "a list of more than 10,000 numbers"),
        ("{{ seq 1 1000000000 }}", "a list of more than 10,000 numbers"),
        ("{{ range 1000000000 }}x{{ end }}", "a range of more than 10,000 numbers"),
        ('{{ indent 1000000000 "x" }}', "a text of more than 1,000,000 characters"),
        ('{{ repeat 1000000000 "x" }}', "a text of more than 1,000,000 characters"),
        ('{{ printf "%1000000000d" 1 }}', "a text of more than 1,000,000 characters"),
        ('{{ printf "%.999999999f" 1.5 }}', "a text of more than 1,000,000 characters"),
        ('{{ $x := repeat 5000 "a" }}{{ replace "a" $x $x }}', "a text of more than 1,000,000 characters"),
        ("{{ range until 9999 }}{{ range until 9999 }}{{ end }}{{ end }}", "more than 200,000 steps"),
        ("{{ " + "(" * 5_000 + "1" + ")" * 5_000 + " }}", "parentheses nested more than 100 levels deep"),
        ("{{ if 1 }}" * 5_000 + "{{ end }}" * 5_000, "blocks nested more than 100 levels deep"),
        (_defines(10, 12) + '{{ include "a0" . }}', "more than 200,000 steps"),
    ],
)
def test_a_template_that_goes_past_a_limit_leaves_the_others_alone(
    action: str, told: str, tmp_path: Path
) -> None:
    bad = f"# containers: HorizontalPodAutoscaler\n{_WORKLOAD}# {action}\n"
    written(
        tmp_path,
        {**_CHART, "c/templates/bad.yaml": bad, "d/Chart.yaml": "name: d", "d/templates/w.yaml": _WORKLOAD},
    )
    found, [problem] = _told(tmp_path)
    assert problem.startswith("c/templates/bad.yaml:11: ")
    assert told in problem
    assert found == ["c/templates/good.yaml:7: SRV202", "d/templates/w.yaml:9: SRV201"]


@pytest.mark.parametrize(
    "action",
    [
        '{{ regexMatch "^(a+)+$" "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab" }}',
        '{{ regexReplaceAll "(a|a)*b" (repeat 5000 "a") "$1" }}',
        '{{ regexFind "(x{1,500}){1,500}" "x" }}',
        '{{ semverCompare (repeat 900000 " ") "1.2" }}',
        '{{ int "inf" }}{{ int .Values.n }}{{ mul 9999999999 9999999999 9999999999 }}',
        '{{ .Files.Get "a" "b" }}{{ .Files.Glob }}{{ .Capabilities.APIVersions.Has (list) "x" }}',
        "{{ 99999999999999999999999 }}",
    ],
)
def test_what_has_no_answer_is_no_problem(action: str, tmp_path: Path) -> None:
    written(tmp_path, {**_CHART, "c/templates/odd.yaml": f"# containers\n{_WORKLOAD}# {action}\n"})
    found, told = _told(tmp_path)
    assert not told
    assert "c/templates/good.yaml:7: SRV202" in found


def test_many_templates_without_end_do_not_take_all_the_time(tmp_path: Path) -> None:
    endless = f"# containers\n{_WORKLOAD}# {{{{ range until 9999 }}}}{{{{ range until 9999 }}}}{{{{ end }}}}{{{{ end }}}}\n"
    bad = {f"c/templates/bad{n}.yaml": endless for n in range(25)}
    more = {f"c/values-{n}.yaml": "on: true\n" for n in range(20)}
    written(tmp_path, {**_CHART, **bad, **more})
    found, told = _told(tmp_path)
    assert len(told) == len(bad)
    assert found == ["c/templates/good.yaml:7: SRV202"]


def test_bases_that_list_each_other_again_and_again_are_built_once(tmp_path: Path) -> None:
    for level in range(12):
        below = f"  - ../b{level + 1}\n" * 8
        text = f"resources:\n{below}patches: [{{path: p.yaml}}]\n"
        written(tmp_path, {f"b{level}/kustomization.yaml": text, f"b{level}/p.yaml": _WORKLOAD})
    written(tmp_path, {"b12/kustomization.yaml": "resources: [d.yaml]\n", "b12/d.yaml": _WORKLOAD})
    found, told = _told(tmp_path)
    assert not told
    assert found


def test_scripts_that_run_each_other_many_times_are_told(tmp_path: Path) -> None:
    scripts = {f"s{n}.sh": f"./s{n + 1}.sh\n" * 30 for n in range(7)}
    image = 'FROM x\nCOPY *.sh /\nCMD ["/s0.sh"]\n'
    written(tmp_path, {**scripts, "s7.sh": "true\n" * 30, "Dockerfile": image, "hpa.yaml": _METRIC})
    found, told = _told(tmp_path)
    assert all("scripts that run scripts: more than 1,000,000 characters" in item for item in told)
    assert found == ["hpa.yaml:7: SRV202"]


def test_a_configuration_may_have_any_number_of_cases(tmp_path: Path) -> None:
    cases = "".join(f"elif x == {number}:\n    pass\n" for number in range(800))
    command = "gunicorn -c gunicorn.conf.py -k uvicorn.workers.UvicornWorker a:app"
    written(
        tmp_path,
        {
            "gunicorn.conf.py": f"if x == 1000:\n    pass\n{cases}else:\n    workers = 4\n",
            "Dockerfile": f"FROM x\nCOPY gunicorn.conf.py .\nCMD {command}\n",
        },
    )
    found, told = _told(tmp_path)
    assert not told
    assert found == ["gunicorn.conf.py:1604: SRV201"]


def test_numbers_of_a_configuration_are_bounded(tmp_path: Path) -> None:
    written(
        tmp_path,
        {
            "a/gunicorn.conf.py": "w = 9\n" + "w = w * w\n" * 200 + "workers = w\n",
            "b/gunicorn.conf.py": "workers = int(float('inf'))\n",
            "c/gunicorn.conf.py": "workers = float('nan')\n",
            "d/gunicorn.conf.py": f"workers = {'1 + ' * 900}1\n",
        },
    )
    assert _told(tmp_path) == ([], [])


def test_a_rule_that_fails_is_told_and_the_others_are_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from servelint.manifests import analysis

    def broken(deployment: object) -> None:
        raise OverflowError

    monkeypatch.setitem(analysis.RULES, "SRV201", broken)
    written(tmp_path, {"d.yaml": f"{_WORKLOAD}---\n{_METRIC}"})
    result = check(tmp_path)
    assert [item.code for item in result.findings] == ["SRV202"]
    [problem] = result.problems
    assert problem.path == tmp_path
    assert problem.message.startswith("SRV201: OverflowError")


def test_an_image_may_copy_any_number_of_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looked_at: list[Path] = []

    def counted(path: Path) -> Path:
        looked_at.append(path)
        return normal(path)

    monkeypatch.setattr(start, "normal", counted)
    written(
        tmp_path,
        {
            "Dockerfile": f'FROM x\nCOPY start.sh {"sh -c " * 6_000}/\nCMD ["/start.sh"]\n',
            "start.sh": f"#!/bin/sh\n{_START * 200}",
        },
    )
    report = lint.check([], Config(tmp_path))
    assert not report.problems
    assert len(report.findings) == 200
    assert 200 <= len(looked_at) <= 200 * 2 * start._MOST_COPIED


@pytest.mark.parametrize(("name", "found"), [("9" * 5_000, []), ("²", []), ("1", ["start.sh:2: SRV201"])])
def test_parameters_of_a_script_have_any_number(name: str, found: list[str], tmp_path: Path) -> None:
    script = f"#!/bin/sh\nuvicorn a:app --workers ${{{name}:-4}} --port ${name}\n"
    written(tmp_path, {"Dockerfile": _IMAGE, "start.sh": script})
    assert _told(tmp_path) == (found, [])


# -- time: regular expressions and readers on 100 kB of what they like least ---------------------------

_SIZE = 100_000


def _located(text: str, name: str = "x.yaml") -> Located:
    return Located.of(decode(Path("/x") / name, text.encode()))


def _fill(unit: str) -> str:
    return unit * (_SIZE // len(unit))


def _template(text: str) -> None:
    with contextlib.suppress(syntax.TemplateError):
        syntax.parse(_located(text))


def _line(text: str) -> None:
    list(suppress._comments(text))


@pytest.mark.parametrize("unit", ["{{", "{%", "{{ {% {# <%", "{{a}} ", "<%{{", "{{}} "])
@pytest.mark.parametrize("read", [lambda text: masking.masked(_located(text)), _template])
def test_tags_are_found_in_linear_time(unit: str, read: Callable[[str], object]) -> None:
    began = time.process_time()
    read(_fill(unit))
    assert time.process_time() - began < _SECONDS


@pytest.mark.parametrize(
    "text",
    [
        '{{ "a" ' + _fill('"a" '),
        "{{" + " " * _SIZE,
        "{{- /*" + _fill("/*"),
        "{{" + _fill("'"),
        "{{ `" + _fill("`a"),
    ],
)
def test_an_action_without_end_is_none(text: str) -> None:
    with pytest.raises(syntax.TemplateError):
        syntax.parse(_located(text))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("Dockerfile", "FROM x\nENV " + "a" * _SIZE),
        ("Dockerfile", "FROM " + _fill("--a-a")),
        ("Dockerfile", "FROM x\nCOPY " + _fill("--a=")),
        ("Dockerfile", "FROM x\nENV " + _fill('A=\\"')),
        ("Dockerfile", "FROM x\nCMD uvicorn " + _fill("\"'")),
        ("Dockerfile", "FROM x\n" + _fill("RUN <<A\n")),
        ("Procfile", "\n" * _SIZE + "web: uvicorn a:app"),
        ("supervisord.conf", "command=uvicorn\n" + " " * _SIZE + "\n"),
        ("docker-compose.yaml", "services:" + "\n" * _SIZE + "  a: {command: uvicorn}"),
        ("docker-compose.yaml", "services:\n  a:\n    command: uvicorn " + _fill("${A:-{")),
        ("docker-compose.yaml", "services:\n  a:\n    command: uvicorn " + _fill("${A:-{}")),
        ("c/Chart.yaml", "name: c\ndependencies:" + "\n" * _SIZE + " " * _SIZE + "x: 1\n"),
        ("start.sh", "uvicorn " + _fill("${A:-")),
        ("start.sh", "uvicorn " + _fill("$(")),
        ("start.sh", "uvicorn " + _fill("`")),
        ("start.sh", "uvicorn " + _fill("<<A ")),
        ("start.sh", "uvicorn " + _fill("$((")),
        ("gunicorn.conf.toml", _fill("\n ") + "workers = 4"),
    ],
)  # fmt: skip
def test_readers_take_linear_time(name: str, text: str, tmp_path: Path) -> None:
    dockerfile = {} if name == "Dockerfile" else {"Dockerfile": _IMAGE}
    environment = {".env": "A=" + " " * _SIZE + "x\nB=" + "a" * _SIZE}
    _told(written(tmp_path, {**dockerfile, **environment, "c/values.yaml": "a: b", name: text}))


@pytest.mark.parametrize("unit", ["/*", "/* #", "a /* ", " #"])
def test_comments_are_found_in_linear_time(unit: str) -> None:
    began = time.process_time()
    _line(_fill(unit))
    assert time.process_time() - began < _SECONDS


@pytest.mark.parametrize(
    ("text", "comments"),
    [
        ("a: b # x", ["# x"]),
        ("a#b", []),
        ("{{- /* x */ -}} # y", ["/* x */", "# y"]),
        ("/* open # x", ["# x"]),
        ("/* /* x */", ["/* /* x */"]),
    ],
)
def test_comments_of_a_line(text: str, comments: list[str]) -> None:
    assert [text[start:end] for start, end in suppress._comments(text)] == comments


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("1 + 2 * 3", 7),
        ("(1 + 2) * 3", 9),
        ("7 / 2 - -1", 4),
        ("-7 / 2", -3),
        ("-7 % 4", -3),
        ("2 * (3", None),
        ("2 3", None),
        ("1 / 0", None),
        ("", None),
        ("1 << 3", None),
        ("unknown + 1", None),
        ("2 + 010", None),
    ],
)
def test_arithmetic(expression: str, value: int | None) -> None:
    assert arithmetic.evaluate(expression) == value


@pytest.mark.parametrize(
    ("pattern", "text", "spans"),
    [
        ("a+", "xaay", ((1, 3),)),
        ("(a)(b)?", "ab", ((0, 2), (0, 1), (1, 2))),
        ("^x|y$", "zy", ((1, 2),)),
        ("(?i)AB", "xab", ((1, 3),)),
        ("[[:digit:]]{2,3}", "a1234", ((1, 4),)),
        ("a*?b", "aab", ((0, 3),)),
        (r"\bcat\b", "a cat", ((2, 5),)),
        ("(?P<n>x)", "x", ((0, 1), (0, 1))),
        ("q", "x", None),
    ],
)
def test_regular_expressions(pattern: str, text: str, spans: tuple[tuple[int, int], ...] | None) -> None:
    found = linear_regex.search(pattern, text)
    assert (found and found.spans) == spans


@pytest.mark.parametrize(
    "pattern", ["(?=a)", r"(a)\1", "(", "a)", "[", "a**", "*", r"\p{L}", "(" * 99 + ")" * 99]
)
def test_regular_expressions_that_are_not_read(pattern: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        linear_regex.search(pattern, "a")


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|a)*b", "((a*)*)*b", "a*a*a*a*a*b", "(.*)*x"])
def test_regular_expressions_take_linear_time(pattern: str) -> None:
    began = time.process_time()
    assert linear_regex.search(pattern, "a" * 3_000 + "!") is None
    assert time.process_time() - began < _SECONDS


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("{a,b}" * 22, "stands for more than 1,000 names"),
        ("{a,{b,c}}" * 12, "stands for more than 1,000 names"),
        ("a{b", "has a `{` without its `}`"),
        ("a}b", "has a `}` without its `{`"),
        ("*.*.*.*.*", "has more than 4 wildcards"),
        ("x.{a*,b*,c*,d*,e*,f*}.*", ""),
        ("a.**.{b,c}", ""),
    ],
)
def test_patterns_that_ask_for_too_much_are_refused(pattern: str, reason: str) -> None:
    assert knowledge.unfit(pattern) == reason


def test_names_fit_patterns_in_linear_time() -> None:
    began = time.process_time()
    assert not knowledge.matches("**a**a**a**a.*b", "a." * 499)
    assert time.process_time() - began < _SECONDS


def test_a_patterns_wildcards_keep_their_meaning() -> None:
    assert knowledge.matches("a.**.*z", "a.b.c.xyz")
    assert knowledge.matches("*a", "aba")
    assert not knowledge.matches("a.*", "a.b.c")


def test_documents_beyond_a_limit_are_null() -> None:
    told: list[object] = []
    [document] = parse(_located("a: &a [*a]\nb: 1\n"), told.append)
    assert len(told) == 1
    assert document.text("b") == "1"


def test_values_times_templates_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(charts, "_MOST_RENDERINGS", 6)
    values = {f"c/values-{n}.yaml": f"n: {n}\n" for n in range(9)}
    others = {f"c/templates/other{n}.yaml": "kind: ConfigMap\n" for n in range(2)}
    found, told = _told(written(tmp_path, {**_CHART, **values, **others, "w.yaml": _WORKLOAD}))
    assert "c/templates/good.yaml:7: SRV202" in found
    left_out = "more than 6 renderings of templates: the last values are left out"
    assert told == [f"c/Chart.yaml:0: rendering the chart: {left_out}"]


@pytest.mark.parametrize("value", ["9" * 5000, "0x" + "f" * 9000, "[" * 5000, "\xe9 = \n"])
def test_a_configuration_that_tomllib_cannot_read_is_none(value: str, tmp_path: Path) -> None:
    text = f"workers = {value}\n"
    source = decode(tmp_path / "hypercorn.toml", text.encode())
    (server,) = (item for item in servers().servers if item.name == "hypercorn")
    assert files.configuration(source, server, Environment()).workers is None


def test_values_beyond_a_limit_lose_their_fix_and_nothing_else(tmp_path: Path) -> None:
    metrics = "custom:\n  metrics:\n    - type: Resource\n      resource: {name: memory}\n    - type: Resource\n      resource: {name: cpu}\n"
    nested = "".join(f"{' ' * n}a{n}:\n" for n in range(120))
    template = (
        "kind: HorizontalPodAutoscaler\nspec:\n  metrics: {{ toYaml .Values.custom.metrics | nindent 4 }}\n"
    )
    files = {"Chart.yaml": "name: api\n", "templates/hpa.yaml": template, "values.yaml": metrics + nested}
    for name, text in files.items():
        path = tmp_path / "chart" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    report = lint.check([], Config(tmp_path))
    told = {finding.code: finding for finding in report.findings}
    assert set(told) == {"SRV000", "SRV202"}
    assert "100 levels of nesting" in told["SRV202"].unfixable


def test_a_program_whose_name_is_not_utf_8(tmp_path: Path) -> None:
    name = os.fsdecode(b"\xff\xfe.py")
    serving = 'import uvicorn\n\nuvicorn.run("app:app", workers=4)\n'
    compose = "services:\n  api:\n    image: api\n    command: [python, main.py]\n"
    for path, text in ((f"rank/{name}", serving), ("main.py", serving), ("compose.yaml", compose)):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(text)
    found = lint.check([], Config(tmp_path)).findings
    assert ("SRV201", "main.py") in {(finding.code, finding.span.path.name) for finding in found}
