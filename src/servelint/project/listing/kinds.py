"""What kind of file a name stands for."""

from __future__ import annotations

import re
from enum import Enum
from functools import cache

from servelint.project import disk


class Kind(Enum):
    """What a file is read as."""

    PYTHON = "python"
    MANIFEST = "manifest"


_TEMPLATE_SUFFIXES = (".j2", ".jinja", ".jinja2", ".gotmpl", ".tmpl", ".template")
_MANIFEST_SUFFIXES = (
    ".yaml",
    ".yml",
    ".tpl",
    ".tftpl",
    ".tf",
    ".tofu",
    ".sh",
    ".bash",
    ".service",
    ".env",
    ".dockerfile",
    ".containerfile",
    "stack.ts",  # of the CDK
    ".nomad",
    ".hcl",
    ".bicep",
    ".container",  # of podman, run by systemd
)
_MANIFEST_NAMES = re.compile(
    r"""
    (?: dockerfile | containerfile | procfile | \.env | hypercorn ) (?: [._-].* )?
    | [^/]+\.procfile | (?: fly | railway ) (?: [._-].* )? \.toml | nixpacks\.toml
    | pyproject\.toml | pixi\.toml | pipfile | (?:gnu)?makefile | \.?justfile
    | \.dockerignore | kustomization | [^/]*supervisor[^/]*\.(?:conf|ini)
    """,
    re.VERBOSE,
)
# JSON is data most often; these names are looked for by platforms, or say what is described.
_JSON_NAMES = re.compile(
    r"""
    railway (?: [._-].* )? \.json
    | (?: .*[._-] )? (?: ecs[._-].* | task[._-]?def(?:inition)?s? (?: [._-].* )? ) \.json
    | (?: .*[._-] )?
      (?: deploy(?:ment)? | hpa | autoscaler | configmap | pod | statefulset | rollout | scaledobject | k8s
        | inferenceservice | application | helmrelease | kubernetes | stack | cloudformation | containerapp
        | azuredeploy )
      s? \.json
    """,
    re.VERBOSE,
)
# What these are for is told by what is in them.
_SETTINGS_SUFFIXES = (".conf", ".ini")
_SETTINGS_SIZE = 8192  # bytes in which supervisord's first section stands
_PROSE_SUFFIXES = (".md", ".rst", ".txt", ".html", ".json", ".js", ".ts", ".png", ".svg", ".lock")


@cache
def kind_of(name: str) -> Kind | None:
    """The kind that a file's name tells; None for files that are not read, or only if they are scripts."""
    if name.endswith((".py", ".pyi")):
        return Kind.PYTHON if name.endswith(".py") else None
    lower = name.lower()
    if lower.endswith(_TEMPLATE_SUFFIXES):
        lower = lower.rsplit(".", 1)[0]
    if lower.endswith(_MANIFEST_SUFFIXES):
        return Kind.MANIFEST
    if lower.endswith(".json") and _JSON_NAMES.fullmatch(lower):
        return Kind.MANIFEST
    if _MANIFEST_NAMES.fullmatch(lower) and not lower.endswith(_PROSE_SUFFIXES):
        return Kind.MANIFEST
    return None


def may_be_read(name: str) -> bool:
    """Whether the name of a file is of a kind that is read, or may be that of a script or a folder."""
    return "." not in name or name.endswith(_SETTINGS_SUFFIXES) or kind_of(name) is not None


def is_manifest(path: str) -> bool:
    """Whether a file of no known name is a shell script or supervisord's configuration, by how it begins.

    A program called `serve` may be in Python: SageMaker starts it by that name.
    """
    settings = path.endswith(_SETTINGS_SUFFIXES)
    try:
        start = disk.beginning(path, _SETTINGS_SIZE if settings else 64)
    except OSError:
        return False
    if settings:
        return re.search(rb"(?m)^\[(?:program:|supervisord\])", start) is not None
    if path.endswith("/serve") and re.match(rb"#!\s*\S*/(?:env\s+)?python", start):
        return True  # what SageMaker starts
    return (
        re.match(rb"#!\s*\S*/(?:(?:env|with-contenv)\s+(?:-\S+\s+)*+)?(?:ba|da|a|k|z)?sh\b", start)
        is not None
    )
