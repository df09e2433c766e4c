"""Makes one JSON file of the data in `rules/` for the wheel: reading it takes a tenth of the time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml
from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class KnowledgeHook(BuildHookInterface):  # type: ignore[misc]
    """Adds `servelint/rules/knowledge.json` to the wheel; an editable installation reads the YAML files."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Write the file and tell the builder where it goes."""
        if self.target_name != "wheel" or version == "editable":
            return
        rules = Path(self.root) / "rules"
        files = {
            path.relative_to(rules).as_posix(): yaml.safe_load(path.read_text(encoding="utf-8"))
            for path in sorted(rules.rglob("*.yaml"))
        }
        made = Path(self.directory) / "knowledge.json"
        made.parent.mkdir(parents=True, exist_ok=True)
        made.write_text(json.dumps(files, separators=(",", ":")), encoding="utf-8")
        build_data["force_include"][str(made)] = "servelint/rules/knowledge.json"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:  # noqa: ARG002
        """Remove the file: it is in the wheel now."""
        (Path(self.directory) / "knowledge.json").unlink(missing_ok=True)
