"""`python -m website [FOLDER]`: build the site into FOLDER (`build/site`); a warning fails it."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

from website import pages


def main(arguments: list[str]) -> int:
    """Assemble the pages in a folder of their own and build them; the exit status of Zensical."""
    target = Path(arguments[0] if arguments else pages.ROOT / "build" / "site").resolve()
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        pages.write(base / "pages")
        settings = {**pages.settings(), "nav": pages.navigation(), "docs_dir": "pages", "site_dir": "site"}
        (base / "mkdocs.yml").write_text(yaml.safe_dump(settings, sort_keys=False), "utf-8")
        command = [sys.executable, "-m", "zensical", "build", "--strict", "--config-file", "mkdocs.yml"]
        status = subprocess.run(command, cwd=base, check=False).returncode
        if status == 0:
            shutil.copytree(base / "site", target, dirs_exist_ok=True)
            print(f"{target} has the site")
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
