"""What readers like least, by kind of file: pieces of text, ways to nest, names, line ends, numbers."""

from __future__ import annotations

from typing import TypeVar

_T = TypeVar("_T")

_PYTHON = (
    *(
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        ":",
        ",",
        ".",
        "=",
        "*",
        "**",
        "@",
        "->",
        ":=",
        "\\",
        "\\\n",
        "'",
        '"""',
        "#",
    ),
    *(
        "f'{",
        "async ",
        "await ",
        "lambda: ",
        "yield ",
        "not ",
        "if 1: ",
        "elif ",
        "else:\n",
        "with ",
        "try:\n",
    ),
    *(
        "for x in x: ",
        "import *",
        "global x\n",
        "class A(A): ",
        "del ",
        "return ",
        "match x:\n case ",
        "type X = ",
    ),
    *(
        "from . import *\n",
        "from .. import x\n",
        "import app\n",
        "nonlocal x\n",
        "except* E:\n",
        "0x",
        "1e400",
        "1_0",
    ),
    *(
        "# servelint: ignore\n",
        "# servelint: ignore[SRV101] -- x\n",
        "# type: ignore\n",
        "# noqa\n",
        "# coding: cp932\n",
        "# -*- coding: utf-7 -*-\n",
        "print(model)\n",
    ),
)
_YAML = (
    *(
        "&a ",
        "*a",
        "<<: *a\n",
        "- ",
        ": ",
        "? ",
        "|\n",
        ">-\n",
        "---\n",
        "...\n",
        "\t",
        "!!binary ",
        "!!python/name:os ",
    ),
    *(
        "[",
        "]",
        "{",
        "}",
        '"',
        "'",
        "%YAML 1.1\n",
        "@",
        "`",
        "!<",
        "~",
        "null",
        "workers: 4\n",
        "--workers 4 ",
    ),
    *(
        "{{",
        "}}",
        "{{-",
        "-}}",
        "{%",
        "%}",
        "{{ end }}",
        "{{ else }}",
        '{{ include "a" . }}',
        "{{ range until 9 }}",
    ),
    *(
        '{{ define "a" }}{{ include "a" . }}{{ end }}',
        "{{/*",
        "*/}}",
        "{{ $x := . }}",
        "{{ .Values.x | quote }}",
    ),
    *("${A:-4}", "$${A}", "${{ x }}", "[[ x ]]", "<% x %>", "@@", "%%"),
)
_SHELL = (
    *(
        "FROM x AS y\n",
        "CMD [",
        'CMD ["a"]\n',
        "ENV A=",
        "ARG A\n",
        "RUN <<EOF\n",
        "EOF\n",
        "# escape=`\n",
        "ONBUILD ",
    ),
    *(
        "`",
        "\\",
        "\\\n",
        "$",
        "${A:-",
        "${A:?}",
        "$((",
        "$(",
        "<<EOF\n",
        ";",
        "&&",
        "||",
        "|",
        "&",
        "if [ a ]; then\n",
    ),
    *(
        "fi\n",
        "case $1 in\n",
        "esac\n",
        "while :; do\n",
        "done\n",
        "exec ",
        "eval ",
        "set -- a b\n",
        '"',
        "'",
        "#",
    ),
)
_ANY = (
    *(
        "\r",
        "\r\n",
        "\n",
        "\x00",
        "\x0b",
        "\x0c",
        "\x1b[31m",
        "\x85",
        "\u2028",
        "\u2029",
        "\ufeff",
        "²",
        "é",
        "😀",
    ),
    *(
        "\u202e",
        "٣",
        "ª",
        "\ud800",
        "99999999999999999999",
        "1e999",
        "-1",
        "0x",
        ".inf",
        "nan",
        " ",
        "\t",
        "::error::",
    ),
)
LINE_ENDS = (
    "\r\n",
    "\r",
    "\n\r",
    "\x0b\n",
    "\x0c\n",
    "\x85\n",
    "\u2028\n",
    "\u2028",
    "\x0c",
    "\x1c\n",
    "\x1e\n",
)
BOMS = (
    b"\xef\xbb\xbf",
    b"\xff\xfe",
    b"\xfe\xff",
    b"\xff\xfe\x00\x00",
    b"+/v8-",
    b"\xef\xbb",
    b"\xef\xbb\xbf" * 2,
)
ENCODINGS = ("utf-8-sig", "utf-16", "utf-16-le", "utf-32", "latin-1", "cp932", "utf-7", "gb18030", "cp037")
NUMBERS = (
    "9" * 30,
    "9" * 5000,
    "1" + "_0" * 40,
    "0" * 20 + "4",
    "1e400",
    "-0",
    "0x" + "f" * 400,
    "²",
    "٤",
    "1j",
    "4.0",
)
DEPTHS = (10, 60, 150, 400, 1500, 6000)
# (before, in the middle, after): repeated before and after, with the middle between.
_NEST_PYTHON = (
    ("(", "1", ")"), ("[", "1", "]"), ("{1:", "1", "}"), ("f(", "1", ")"), ("not ", "1", ""), ("-", "1", ""),
    ("lambda: ", "1", ""), ("1 + ", "1", ""), ("a.", "b", ""), ("", "a", "[0]"), ("", "f", "()"),
    ("", "a", ".b()"), ("1 if 1 else ", "1", ""), ("x = ", "1", ""), ("1 < ", "1", ""), ("'a' ", "'b'", ""),
    ("(yield ", "1", ")"), ("(x := ", "1", ")"), ("await ", "x", ""), ("f'{", "1", "}'"),
)  # fmt: skip
_NEST_YAML = (
    ("[", "1", "]"), ("{a: ", "1", "}"), ("- ", "1", ""), ("{{ if a }}", "1", "{{ end }}"), ("? ", "a", ""),
    ("{{ range . }}", "1", "{{ end }}"), ("{{ (", "1", ") }}"), ("{{ ", "a", " }}"), ("&a ", "1", ""),
    ('{{ with "', "a", '" }}'), ("${A:-", "1", "}"), ("{% if a %}", "1", "{% endif %}"),
)  # fmt: skip
_NEST_SHELL = (
    ("$(", "a", ")"), ("(", "a", ")"), ("${A:-", "a", "}"), ("$((", "1", "))"), ("{ ", "a", "; }"),
    ("! ", "a", ""), ("if a; then ", "b", "; fi"), ("a | ", "b", ""), ("a && ", "b", ""), ("`", "a", "`"),
    ("sh -c '", "a", "'"), ("$((1 + ", "1", "))"), ("exec ", "a", ""), ("env A=1 ", "a", ""),
)  # fmt: skip
NAMES = (
    *(
        "a\nb",
        "a\tb",
        'a"b',
        "a'b",
        "-rf",
        "--help",
        "::error file=x::y",
        "##[group]x",
        "a b",
        "%00",
        "%2e%2e",
    ),
    *(
        "\udcff\udcfe",
        "é" * 60,
        "n" * 250,
        "\u202ecod",
        "\x1b[31mred",
        "a\\b",
        "a:1:2",
        "{{ name }}",
        "${NAME}",
    ),
    *(
        "*",
        "[a]",
        "!a",
        "#a",
        "~",
        "a\r",
        "CON",
        "a.py",
        "Dockerfile",
        "tests",
        "node_modules",
        "\u2028",
        "😀",
    ),
    *("$(touch x)", "`x`", "@x", "a|b", "<b>"),
)
GLOBS = (
    "**/",
    "*",
    "?*",
    "[",
    "[!a]",
    "[a-",
    "{a,b}",
    "\\",
    "!",
    "/",
    "a/**/b",
    " ",
    "#",
    "[[:alpha:]]",
    "é",
    "\udcff",
)


def pieces_for(ending: str) -> tuple[str, ...]:
    """Pieces for a kind of file."""
    return _by_kind(ending, _PYTHON, _YAML, (*_SHELL, *_YAML[-10:])) + _ANY


def nests_for(ending: str) -> tuple[tuple[str, str, str], ...]:
    """Ways to nest in a kind of file."""
    return _by_kind(ending, _NEST_PYTHON, _NEST_YAML, _NEST_SHELL)


def _by_kind(ending: str, python: _T, yaml: _T, shell: _T) -> _T:
    if ending == ".py":
        return python
    return yaml if ending in {".yaml", ".yml", ".tpl", ".j2", ".json", ".toml"} else shell
