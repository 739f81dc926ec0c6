"""environment.yml says the same as pyproject.toml; conda itself is not needed to see it."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def project():
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


@pytest.fixture(scope="module")
def environment():
    return yaml.safe_load((ROOT / "environment.yml").read_text())


@pytest.fixture(scope="module")
def conda_specs(environment):
    """{name: version specifier} of what conda installs, without what it leaves to pip."""
    specs = [spec for spec in environment["dependencies"] if isinstance(spec, str)]
    requirements = [Requirement(spec) for spec in specs]  # for plain names and >=, conda's syntax
    return {requirement.name: str(requirement.specifier) for requirement in requirements}


def test_keys_and_channel(environment, project):
    assert set(environment) == {"name", "channels", "dependencies"}
    assert environment["name"] == project["name"]
    assert environment["channels"] == ["conda-forge"]


def test_python_is_the_one_that_the_project_requires(conda_specs, project):
    assert conda_specs == {"python": project["requires-python"], "pip": ""}


def test_pip_installs_this_folder_with_extras_that_exist(environment, project):
    (pip,) = [spec for spec in environment["dependencies"] if isinstance(spec, dict)]
    assert set(pip) == {"pip"}
    (line,) = pip["pip"]
    extras = re.fullmatch(r"-e \.\[([\w,-]+)\]", line).group(1).split(",")
    assert set(extras) <= set(project["optional-dependencies"])


def test_ruff_checks_for_the_oldest_python(project):
    ruff = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["ruff"]
    oldest = project["requires-python"].removeprefix(">=")
    assert ruff["target-version"] == "py" + oldest.replace(".", "")
