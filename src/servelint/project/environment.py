"""Which folder of installed packages belongs to a project, if any.

The first of: `--environment`, `environment` in the configuration, `.venv` and `venv` in the project, and for
the command line the environment that is active in the shell (`VIRTUAL_ENV`). A path only ever leads to files
that are read: nothing in it is imported, run or written. What is found by itself needs the file `pyvenv.cfg`,
by which Python knows an environment.

Packages that are installed to be edited stand elsewhere. Where is in `*.pth` files, one folder a line, or in
the table of a module that finds them: https://setuptools.pypa.io/en/latest/userguide/development_mode.html
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import Path

from servelint.project import disk
from servelint.project.config import Config, ConfigError

NONE = "none"
OPTION, VARIABLE = "environment", "VIRTUAL_ENV"
_BY_ITSELF = (".venv", "venv")
# Where packages are below a prefix: on Linux and macOS, as Debian has it, on Windows.
_PLACES = (
    ("lib", "python3*", "site-packages"),
    ("lib64", "python3*", "site-packages"),
    ("lib", "python3*", "dist-packages"),
    ("Lib", "site-packages"),
)
_MOST_FOLDERS = 4
# How many files are asked where packages stand, and how many folders elsewhere there may be.
_MOST_NOTES = 100
_MOST_EDITED = 40


def discovered(config: Config, variables: Mapping[str, str]) -> Config:
    """The configuration with the environment that is found by itself, unless it says one, or `none`."""
    if OPTION in config.provenance:
        return config
    for name in _BY_ITSELF:
        if _is_environment(config.root / name):
            return config.override(f"found in {config.root}", environment=name)
    active = Path(variables.get(VARIABLE, ""))
    if active.is_absolute() and _is_environment(active):
        return config.override(VARIABLE, environment=str(active))
    return config


def folders(config: Config) -> tuple[str, ...]:
    """The folders with the packages of the environment; raises `ConfigError` where there are none."""
    if config.environment in ("", NONE):
        return ()
    path = config.root / config.environment
    found = _package_folders(path)
    if not found:
        raise ConfigError(
            f"`environment`: there are no packages in {path}, which is to be a virtual environment, a prefix"
            f" or a folder of packages ({config.provenance.get(OPTION, 'set by a program')})"
        )
    return tuple(map(str, [*found, *_elsewhere(found, config.root.resolve())]))


def _elsewhere(found: list[Path], own: Path) -> list[Path]:
    """Where packages stand that are installed to be edited, and are no code of the project itself."""
    folders = dict.fromkeys(folder for here in found for folder in _edited(here) if folder.is_dir())
    outside = (f for f in folders if not own.is_relative_to(f) and not f.is_relative_to(own))
    return [folder for folder in outside if folder not in found][:_MOST_EDITED]


def _edited(folder: Path) -> Iterator[Path]:
    """The folders elsewhere in which packages of the environment stand."""
    for file in [*_fitting(folder, "*.pth"), *_fitting(folder, "__editable__*.py")][:_MOST_NOTES]:
        try:
            text = disk.read(file, disk.SMALL).decode("utf-8", "replace")
        except OSError:
            continue
        for name in _in_table(text) if file.suffix == ".py" else _in_lines(text):
            try:
                yield (folder / name).resolve(strict=True)
            except (OSError, ValueError, RuntimeError):
                continue


def _in_lines(text: str) -> Iterator[str]:
    """The folders that a `.pth` file names; what it would have Python run is left out."""
    for line in text.split("\n"):
        name = line.strip()
        if name and not name.startswith(("#", "import ", "import\t")):
            yield name


def _in_table(text: str) -> Iterator[str]:
    """The folders around the packages in the table `MAPPING` of a module that finds them."""
    import ast

    from servelint.project.text.parsing import parse

    try:
        tree = parse(text)
    except (SyntaxError, ValueError, RecursionError):
        return
    for node in tree.body:
        match node:
            case ast.AnnAssign(target=ast.Name("MAPPING"), value=ast.Dict(keys, values)):
                pairs = zip(keys, values, strict=True)
                yield from (folder for key, value in pairs for folder in _around(key, value))


def _around(module: object, path: object) -> Iterator[str]:
    """The folder around a package that is called there as it is imported."""
    import ast

    match module, path:
        case ast.Constant(str(name)), ast.Constant(str(where)) if Path(where).stem == name:
            yield str(Path(where).parent)


def _is_environment(path: Path) -> bool:
    return (path / "pyvenv.cfg").is_file() and bool(_package_folders(path))


def _package_folders(path: Path) -> list[Path]:
    found: dict[Path, Path] = {}
    for place in _PLACES:
        for folder in _below(path, place):
            found.setdefault(folder.resolve(), folder)
    if not found and path.is_dir():
        return [path]
    return list(found.values())[:_MOST_FOLDERS]


def _below(folder: Path, parts: tuple[str, ...]) -> Iterator[Path]:
    if not parts:
        yield folder
        return
    inner = [folder / parts[0]] if "*" not in parts[0] else _fitting(folder, parts[0])[:_MOST_FOLDERS]
    for path in inner:
        if path.is_dir():
            yield from _below(path, parts[1:])


def _fitting(folder: Path, pattern: str) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if fnmatchcase(path.name, pattern))
    except OSError:
        return []
