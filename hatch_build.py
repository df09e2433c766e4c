"""Makes one file of the data in `rules/` for the wheel: reading the YAML files takes ten times as long."""

from __future__ import annotations

import pickle
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class KnowledgeHook(BuildHookInterface):  # type: ignore[misc]
    """Adds `servelint/rules/compiled.pickle` to the wheel; an editable installation reads the YAML files."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Write the file and tell the builder where it goes."""
        if self.target_name != "wheel" or version == "editable":
            return
        root = Path(self.root)
        sys.path.insert(0, str(root / "src"))
        from servelint.knowledge import compiled

        self._file.parent.mkdir(parents=True, exist_ok=True)
        self._file.write_bytes(pickle.dumps(compiled.made(root / "rules"), 5))
        build_data["force_include"][str(self._file)] = f"servelint/rules/{compiled.FILE}"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:  # noqa: ARG002
        """Remove the file: it is in the wheel now."""
        self._file.unlink(missing_ok=True)

    @property
    def _file(self) -> Path:
        return Path(self.directory) / "compiled.pickle"
