"""Find the code and the manifests that stall a machine-learning service, and fix them.

from servelint import check

def test_nothing_stalls_the_event_loop():
    assert not check(["src", "deploy"]).findings
"""

from servelint.version import __version__

# As in `typing`, whose import takes longer than all else that is done here. Nothing is imported: under
# `python -m` modules are looked for in the working directory first while this runs.
TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from servelint.lint import Report
    from servelint.project.config import Config

__all__ = ["__version__", "check"]


def check(paths: "Sequence[str | os.PathLike[str]]" = (".",), config: "Config | None" = None) -> "Report":
    """Check files and folders as `servelint check` does, its baseline included, and return what was found.

    `config` is used instead of the configuration files of the project. Raises `config.ConfigError`,
    `baseline.BaselineError`, and `FileNotFoundError` for a path that does not exist.
    """
    from servelint import run

    return run.check(paths, config)
