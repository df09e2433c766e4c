"""Small packages as an index has them, for the tests: in an environment, or as a wheel."""

from __future__ import annotations

import io
import tarfile
import zipfile
from pathlib import Path

# What a library of a team looks like: a lazy name, a base class with a stub, another package below it.
ACME = {
    "acme_ml/__init__.py": """\
        from acme_ml.engine import Scorer, load

        _LATER = {"Reader": "acme_ml.reader"}


        def __getattr__(name):
            import importlib

            module = importlib.import_module(_LATER[name])
            return getattr(module, name)
        """,
    "acme_ml/engine.py": """\
        import torch
        from torch import nn


        class Net(nn.Module):
            def forward(self, x):
                return x


        class Scorer:
            def __init__(self, path):
                self.table = {}
                self.net = torch.load(path)
                self.inner = Net()

            def score(self, x):
                return self._run(x)

            def _run(self, x):
                return self.inner(x)

            def name(self):
                return "scorer"

            async def ascore(self, x):
                return x

            def stream(self, xs):
                for x in xs:
                    yield self.score(x)

            @classmethod
            def from_hub(cls, name):
                return REGISTRY[name]()


        def load(path) -> Scorer:
            return Scorer(path)


        def version():
            return "1"
        """,
    "acme_ml/reader.py": """\
        from acme_ml.engine import load


        class Reader:
            def __init__(self):
                self.scorer = load("x")

            def read(self, page):
                return self.scorer.score(page)
        """,
    "acme_ml/native.pyi": """\
        from acme_ml.engine import Scorer

        def scorer() -> Scorer: ...
        """,
    "acme_ml/native.cpython-311-x86_64-linux-gnu.so": "",
}
# One that blocks through another one, in a folder that distributions share, and two that do not.
SHARED = {
    "team/vision/__init__.py": "from team.vision.api import tag\n",
    "team/vision/api.py": """\
        from acme_ml import Scorer


        def tag(image, scorer: Scorer):
            return scorer.score(image)
        """,
}
PLAIN = {
    "plainlib/__init__.py": """\
        def predict(x):
            return slow(x)


        try:
            import torch
        except ImportError:
            torch = None
        """
}


WHEEL = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


def _text(text: str) -> str:
    import textwrap

    return textwrap.dedent(text)


def _info(name: str, version: str, files: dict[str, str], needs: tuple[str, ...]) -> dict[str, str]:
    folder = f"{name.replace('-', '_')}-{version}.dist-info"
    required = "".join(f"Requires-Dist: {need}\n" for need in needs)
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{required}\nRequires-Dist: torch\n"
    record = "".join(f"{file},,\n" for file in (*files, f"{folder}/METADATA", f"{folder}/RECORD"))
    return {f"{folder}/METADATA": metadata, f"{folder}/RECORD": record}


def install(
    folder: Path, name: str, version: str, files: dict[str, str], needs: tuple[str, ...] = ()
) -> None:
    """Put the files of a distribution where an installer would."""
    for path, text in {**files, **_info(name, version, files, needs)}.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(_text(text))


def environment(root: Path, name: str = ".venv") -> Path:
    """A virtual environment without anything in it; where its packages go."""
    folder = root / name / "lib" / "python3.11" / "site-packages"
    folder.mkdir(parents=True)
    (root / name / "pyvenv.cfg").write_text("home = /usr/bin\n")
    return folder


def wheel(folder: Path, name: str, version: str, files: dict[str, str]) -> Path:
    """The distribution as a wheel."""
    path = folder / f"{name.replace('-', '_')}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        about = {f"{name.replace('-', '_')}-{version}.dist-info/WHEEL": WHEEL}
        for inside, text in {**files, **_info(name, version, files, ()), **about}.items():
            archive.writestr(inside, _text(text))
    return path


def sdist(folder: Path, name: str, version: str, files: dict[str, str], *, zipped: bool = False) -> Path:
    """The distribution as a source distribution: `files` by their path below its one folder."""
    root = f"{name.replace('-', '_')}-{version}"
    about = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\nRequires-Dist: torch\n"
    path = folder / f"{root}.{'zip' if zipped else 'tar.gz'}"
    contents = {f"{root}/{inside}": _text(text) for inside, text in {"PKG-INFO": about, **files}.items()}
    if zipped:
        with zipfile.ZipFile(path, "w") as archive:
            for inside, text in contents.items():
                archive.writestr(inside, text)
        return path
    with tarfile.open(path, "w:gz") as packed:
        for inside, text in contents.items():
            entry = tarfile.TarInfo(inside)
            entry.size = len(text.encode())
            packed.addfile(entry, io.BytesIO(text.encode()))
    return path
