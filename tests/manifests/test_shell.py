"""What a script runs, with the values its variables have there."""

from __future__ import annotations

from pathlib import Path

import pytest

from servelint.manifests.documents.environment import Environment
from servelint.manifests.documents.text import Located
from servelint.manifests.shell import script as shell
from servelint.project.text.source import decode


def _commands(script: str, **environment: str) -> list[str]:
    source = decode(Path("/x/start.sh"), script.encode())
    values = {
        name: Located.of(decode(Path("/x/.env"), value.encode())) for name, value in environment.items()
    }
    found = shell.read(Located.of(source), Environment(values), ()).commands
    return [" ".join(word.text for word in command.words) for command in found]


@pytest.mark.parametrize(
    ("script", "last"),
    [
        ("A=1; run $A", "run 1"),
        ("A=1\nA=2\nrun ${A}", "run 2"),
        ("run ${A:-3}", "run 3"),
        ("A=; run ${A:-3} ${A-4}x", "run 3 x"),
        (": ${A:=5}; run $A", "run 5"),
        ("A=x; run ${A:+y}${B:+z}", "run y"),
        ("A='a b'; run $A \"$A\"", "run a b a b"),
        ("A=2; run $((A * 2 + 1)) $(( ${B:-3} / 2 ))", "run 5 1"),
        ('A=$(echo 7); run "$A"', "run 7"),
        ("run $(nproc) $(( $(nproc) * 2 ))", "run \ue0014 \ue0018"),
        ("run $(curl x) ${A%.*}", "run \ue000 \ue000"),
        ('f() { run "$1"; }; f 8', "run 8"),
        ('set -- a b; run "$@" $2', "run a b b"),
        ("set -- a b; shift; run $1", "run b"),
        ('A=(x y); A+=(z); run "${A[@]}"', "run x y z"),
        ('A=1; if [ -z "$B" ]; then A=2; fi; run $A', "run 2"),
        ('A=1; if [ -n "$B" ]; then A=2; else A=3; fi; run $A', "run 3"),
        ('A=1; if [ "$B" = x ]; then A=2; elif [ $A -eq 1 ]; then A=4; else A=3; fi; run $A', "run 4"),
        ("if [ -f x ]; then A=2; else A=3; fi; run $A", "run 2"),
        ("A=1; if test-it; then A=2; fi; run $A", "run 1"),
        ("case $B in a) A=1;; *) A=2;; esac; run $A", "run 1"),
        ("for A in 1 2; do run $A; done", "run \ue000"),
        ("read A; run $A", "run \ue000"),
        ("(A=1); run ${A:-2}", "run 2"),
        ("a && b || run 'x y' | c", "c"),
        ("run a\\\n  b \\$c", "run a b $c"),
        ("run <<EOF\ntext\nEOF", "run"),
        ("A=1 run; run $A", "run"),
        ('A=$(( $(nproc) / 2 )); [ "$A" -lt 1 ] && A=1; run $A', "run \ue0012"),
        ("A=9; [ $A -gt 8 ] && A=8; [ $A = 9 ] || A=$((A - 1)); run $A", "run 7"),
        ("A=1; [ $A = 2 ] && A=3 || A=4; run $A", "run 4"),
        ("A=1; [ $A = 1 ] || A=3 && A=4; run $A", "run 4"),
        ("A=1; [ $B = 1 ] && run later", "run later"),
        ("A=1; test-it && A=2; run $A", "run 2"),
    ],
)
def test_the_last_command(script: str, last: str) -> None:
    assert _commands(script)[-1] == last


def test_every_branch_is_walked() -> None:
    script = 'if [ "$MODE" = a ]; then one; elif [ -f x ]; then two; else three; fi'
    assert _commands(script) == ["one", "two", "three"]


def test_variables_from_outside_win_over_defaults() -> None:
    assert _commands("A=${A:-1}; run $A", A="9") == ["run 9"]


@pytest.mark.parametrize(
    ("script", "value"),
    [
        ("A=4; run", None),
        ("export A=4; run", "4"),
        ("A=4; export A; run", "4"),
        ("set -a; A=4; run", "4"),
        ("A=4 run", "4"),
    ],
)
def test_what_a_command_sees(script: str, value: str | None) -> None:
    source = decode(Path("/x/start.sh"), script.encode())
    last = shell.read(Located.of(source), Environment()).commands[-1]
    found = last.environment.get("A")
    assert (found.text if found else None) == value


def test_a_variable_stands_where_it_is_used_and_knows_where_it_was_set() -> None:
    source = decode(Path("/x/start.sh"), b"W=4\nrun --workers $W\n")
    word = shell.read(Located.of(source), Environment()).commands[-1].words[2]
    assert (word.place.written, word.place.span.line) == ("$W", 2)
    assert word.place.definition is not None
    assert (word.place.definition.place.written, word.place.definition.place.span.line) == ("4", 1)
