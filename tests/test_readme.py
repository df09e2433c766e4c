"""The README shows what really happens; `python tests/test_readme.py` writes it anew."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from servelint.knowledge.pages import codes, page

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"


def servelint(*arguments: str) -> str:
    command = [sys.executable, "-m", "servelint", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout


def rules() -> str:
    rows = (f"| {code} | {page(code).name} | {page(code).why} |" for code in codes())
    return "\n".join(("| rule | name | what |", "|---|---|---|", *rows))


def first_finding() -> str:
    """The first finding of the example that was followed through another file, and the summary."""
    *findings, summary = servelint("check", "examples/bankchurn").rstrip("\n").split("\n\n")
    shown = next(finding for finding in findings if finding.count(":::") >= 2)
    return f"```text\n{shown}\n\n...\n\n{summary}\n```"


def first_change() -> str:
    """The pool of the example and its first endpoint, without the headers that only a machine reads."""
    patch = servelint("fix", "--diff", "examples/bankchurn")
    hunks = re.findall(r"^(@@ .*?)(?=^@@ |^--- |\Z)", patch, re.MULTILINE | re.DOTALL)
    first = next((number for number, hunk in enumerate(hunks) if "run_in_executor" in hunk), 0)
    return f"```diff\n{''.join(hunks[first : first + 2]).rstrip()}\n```"


PARTS = {"output": first_finding, "diff": first_change, "rules": rules}


def written() -> str:
    text = README.read_text()
    for name, content in PARTS.items():
        begin, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
        before, _, rest = text.partition(begin)
        text = f"{before}{begin}{content()}\n{end}{rest.partition(end)[2]}"
    return text


def test_the_readme_is_up_to_date() -> None:
    assert README.read_text() == written(), "run `python tests/test_readme.py`"


if __name__ == "__main__":
    README.write_text(written())
