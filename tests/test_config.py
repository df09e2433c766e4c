"""The configuration: what is read, and what is refused with its place."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import servelint
from servelint.finding import Confidence, Severity
from servelint.project.config import Config, ConfigError, find, load, option_names
from servelint.project.listing.files import project_root

SCHEMA = json.loads((Path(servelint.__file__).parent / "schemas" / "config.schema.json").read_text())

EVERYTHING = """\
select = ["SRV1", "SRV202"]
ignore = ["SRV102"]
extend-select = ["SRV203"]
exclude = ["vendor"]
extend-exclude = ["*.gen.py"]
fail-on = "error"
min-confidence = "high"
blocking-calls = ["acme.models.**.score"]
offloads = ["acme.threads.run"]
loop-bound = ["acme.hooks.*"]
startup = ["acme.boot"]
report-unused = true
max-file-size = 100_000
baseline = "ci/baseline.json"
libraries = ["servelint-libraries/*.yaml"]
environment = ".venv"

[per-file-ignores]
"tests/**" = ["SRV101"]

[severity]
SRV202 = "error"

[fix]
max-workers = 4
offload = "project:acme.threads.run"
"""


def test_every_option_is_read_and_knows_where_it_came_from(tmp_path: Path) -> None:
    path = tmp_path / "servelint.toml"
    path.write_text(EVERYTHING)
    config = load(path)
    assert config.root == tmp_path
    assert config.select == ("SRV1", "SRV202")
    assert config.per_file_ignores == {"tests/**": ("SRV101",)}
    assert config.severity == {"SRV202": Severity.ERROR}
    assert config.fail_on is Severity.ERROR
    assert config.min_confidence is Confidence.HIGH
    assert config.fix.max_workers == 4
    assert config.fix.offload == "project:acme.threads.run"
    assert set(config.provenance) == set(option_names())
    lines = {name: int(place.rpartition(":")[2]) for name, place in config.provenance.items()}
    text = EVERYTHING.splitlines()
    for name, line in lines.items():
        assert name.removeprefix("fix.") in text[line - 1], name


def test_the_schema_knows_the_same_options() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    properties = SCHEMA["properties"]
    nested = {f"fix.{name}" for name in properties["fix"]["properties"]}
    assert set(properties) - {"fix"} | nested == set(option_names())
    jsonschema.validate(tomllib.loads(EVERYTHING), SCHEMA)


REFUSED = [
    ('selct = ["SRV1"]', 1, "unknown key `selct`; did you mean `select`?"),
    ("\n[fix]\nmax_workers = 2", 3, "unknown key `fix.max_workers`; did you mean `fix.max-workers`?"),
    ("colour = true", 1, "unknown key `colour`"),
    ('select = "SRV1"', 1, "`select` must be a list of strings"),
    ('fail-on = "fatal"', 1, "`fail-on` must be one of info, warning, error"),
    ("report-unused = 1", 1, "`report-unused` must be true or false"),
    ("[fix]\nmax-workers = 0", 2, "`fix.max-workers` must be a whole number of at least 1"),
    ("[fix]\nmax-workers = true", 2, "`fix.max-workers` must be a whole number of at least 1"),
    ('[fix]\noffload = "thread"', 2, "`fix.offload` must be one of auto, "),
    ("fix = 3", 1, "`fix` must be a table"),
    ('[severity]\nSRV101 = "bad"', 1, "`severity` must be one of info, warning, error"),
    ('baseline = ""', 1, "`baseline` must be a string that is not empty"),
    ("[per-file-ignores]\na = 1", 1, "`per-file-ignores` must be a list of strings"),
]


@pytest.mark.parametrize(("text", "line", "message"), REFUSED)
def test_what_does_not_fit_is_refused_with_its_line(
    text: str, line: int, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "servelint.toml"
    path.write_text(text)
    with pytest.raises(ConfigError) as refused:
        load(path)
    assert str(refused.value).startswith(f"{path}:{line}: {message}")
    assert list(jsonschema.Draft202012Validator(SCHEMA).iter_errors(tomllib.loads(text))), "the schema agrees"


def test_an_unknown_rule_is_refused_with_the_nearest(tmp_path: Path) -> None:
    path = tmp_path / "pyproject.toml"
    path.write_text('[project]\nname = "x"\n\n[tool.servelint]\nignore = ["SRV00O"]\n')
    with pytest.raises(
        ConfigError, match=r"pyproject.toml:5: `ignore` unknown rule `SRV00O`; did you mean SRV00"
    ):
        load(path)


@pytest.mark.parametrize(
    ("text", "line"), [("select = [", 1), ("a = 1\nb = = 2\n", 2), ("x = 1\nx = 2\n", 2)]
)
def test_broken_toml_is_refused_with_its_line(text: str, line: int, tmp_path: Path) -> None:
    path = tmp_path / "servelint.toml"
    path.write_text(text)
    with pytest.raises(ConfigError) as refused:
        find(tmp_path)
    assert refused.value.path == path
    assert refused.value.line in (line, line + 1)


def test_the_nearest_configuration_counts_and_a_repository_ends_the_search(tmp_path: Path) -> None:
    (tmp_path / "servelint.toml").write_text("")
    service = tmp_path / "service"
    (service / "app").mkdir(parents=True)
    (service / "pyproject.toml").write_text("[project]\nname = 'no table of ours'\n")
    assert project_root(service / "app") == (tmp_path, tmp_path / "servelint.toml")
    (service / "pyproject.toml").write_text("[tool.servelint]\n")
    assert project_root(service / "app") == (service, service / "pyproject.toml")
    repository = tmp_path / "repository"
    (repository / ".git").mkdir(parents=True)
    assert project_root(repository) == (repository, None)


@pytest.mark.parametrize(
    ("settings", "chosen"),
    [
        ({}, True),
        ({"select": ("SRV2",)}, False),
        ({"select": ("SRV2",), "extend_select": ("SRV101",)}, True),
        ({"ignore": ("SRV1",)}, False),
        ({"select": ("SRV101",), "ignore": ("SRV1",)}, True),
        ({"select": ("SRV101",), "ignore": ("SRV101",)}, False),
    ],
)
def test_the_longest_prefix_decides(settings: dict[str, Any], chosen: bool, tmp_path: Path) -> None:
    assert Config(tmp_path, **settings).selects("SRV101") is chosen


def test_the_most_exact_severity_counts(tmp_path: Path) -> None:
    config = Config(tmp_path, severity={"SRV1": Severity.INFO, "SRV101": Severity.ERROR})
    assert config.severity_of("SRV101", Severity.WARNING) is Severity.ERROR
    assert config.severity_of("SRV102", Severity.WARNING) is Severity.INFO
    assert config.severity_of("SRV201", Severity.WARNING) is Severity.WARNING
