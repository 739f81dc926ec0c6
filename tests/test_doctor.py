"""mrcnn-edu doctor: what it finds in this environment, and in broken ones that are imitated."""

import json
import os
import subprocess
import sys
import types
from pathlib import Path

import pytest

import mrcnn_edu_start
from mrcnn_edu.cli import installed
from mrcnn_edu.cli.doctor import doctor, examine
from mrcnn_edu.cli.installed import NOTE, OK, PROBLEM, fits, numbers, requirement

doctor_module = sys.modules["mrcnn_edu.cli.doctor"]
ROOT = Path(mrcnn_edu_start.__file__).parent


def found(what):
    """The findings about one thing."""
    return [finding for finding in examine() if finding.what == what]


@pytest.fixture
def versions(monkeypatch):
    """Imitates installed versions; None is a package that is not installed."""

    def imitate(**changes):
        version_of = installed.version_of
        changes = {name.replace("_widgets", "-widgets"): v for name, v in changes.items()}

        def imitated(name):
            name = name.replace("_", "-")
            return changes[name] if name in changes else version_of(name)

        monkeypatch.setattr(installed, "version_of", imitated)
        monkeypatch.setattr(doctor_module, "version_of", imitated)

    return imitate


def test_this_environment_has_no_problem(run):
    code, out, err = run("doctor")
    assert code == 0 and err == "" and "All that is needed is there." in out
    named = "Python torch torchvision numpy pillow jupyterlab ipywidgets ipykernel anywidget kernel"
    for what in [*named.split(), "GPU", "machine", "disk", "weights", "lessons"]:
        heads = [line.split()[:2] for line in out.splitlines()]
        assert ["OK", what] in heads or ["note", what] in heads


@pytest.mark.parametrize("name", [*installed.NEEDED.values()])
def test_a_needed_package_that_is_missing_is_a_problem(name, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, name, None)
    assert doctor() == 1
    out = capsys.readouterr().out
    lines = [line for line in out.splitlines() if line.startswith("problem")]
    package = next(key for key, module in installed.NEEDED.items() if module == name)
    assert any(line.split()[1] == package for line in lines)
    assert "pip install" in out and "1 problem" in out


@pytest.mark.parametrize("name", [*installed.COURSE, "jupyter_client", "PIL.features"])
def test_what_the_package_can_do_without_is_a_note(name, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, name, None)
    assert doctor() == 0
    out = capsys.readouterr().out
    if name in installed.COURSE:
        assert f"note     course       {name}: not installed" in out
        assert "pip install 'mrcnn_edu[notebooks]'" in out


def test_everything_is_missing(capsys, monkeypatch):
    for name in [*installed.NEEDED.values(), *installed.COURSE, "jupyter_client", "PIL.features"]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setattr(installed, "version_of", lambda name: None)
    monkeypatch.setattr(doctor_module, "version_of", lambda name: None)
    assert doctor() == 1
    out = capsys.readouterr().out
    assert out.count("not installed\n") >= len(installed.NEEDED)
    assert f"{len(installed.NEEDED)} problems" in out


@pytest.mark.parametrize(
    "changes, state, words",
    [
        ({"ipywidgets": "7.7.1", "jupyterlab": "4.4.0"}, PROBLEM, "they may stay empty"),
        ({"ipywidgets": "7.7.1", "jupyterlab": "3.6.0", "jupyterlab_widgets": "1.1.5"}, OK, "7.7"),
        ({"ipywidgets": "8.1.8", "jupyterlab_widgets": "3.0.99"}, OK, "8.1.8"),
        ({"ipywidgets": "8.1.9", "jupyterlab_widgets": "3.0.99"}, NOTE, "VS Code"),
        ({"ipywidgets": "8.1.8", "jupyterlab_widgets": None}, PROBLEM, "without jupyterlab_wid"),
        ({"ipywidgets": "8.1.8", "jupyterlab_widgets": "1.1.5"}, PROBLEM, "wants jupyterlab_wi"),
    ],
)
def test_sliders(versions, monkeypatch, changes, state, words):
    asked = installed.requirement
    old = changes["ipywidgets"].startswith("7")
    wanted = "<3,>=1.0.0" if old else "~=3.0.15"  # what these versions of ipywidgets ask for
    monkeypatch.setattr(
        installed,
        "requirement",
        lambda package, other: wanted if package == "ipywidgets" else asked(package, other),
    )
    versions(**changes)
    (finding,) = found("sliders")
    assert finding.state == state and words in finding.text
    assert bool(finding.advice) == (state != OK)


def test_versions_that_do_not_fit(versions, monkeypatch):
    versions(torchvision="0.1.0")
    (finding,) = found("torchvision")
    assert finding.state == PROBLEM and "0.1.0, where mrcnn_edu wants >=" in finding.text
    monkeypatch.undo()
    asked = {("torchvision", "torch"): "==2.1.0"}
    monkeypatch.setattr(installed, "requirement", lambda *pair: asked.get(pair, ""))
    (finding,) = found("torchvision")
    assert finding.state == PROBLEM and "wants torch ==2.1.0, here is" in finding.text


def test_numpy_that_torch_was_not_built_for(monkeypatch):
    class Tensor:
        def numpy(self):
            raise RuntimeError("Numpy is not available")

    monkeypatch.setitem(sys.modules, "torch", types.SimpleNamespace(zeros=lambda n: Tensor()))
    (finding,) = installed.check_numpy_and_torch()
    assert finding.state == PROBLEM and "Numpy is not available" in finding.text


@pytest.mark.parametrize(
    "version, wanted, is_right",
    [
        ("2.11.0", ">=2.11", True),
        ("2.11.0+cu126", ">=2.11", True),
        ("2.9.1", ">=2.11", False),
        ("8.1.9", ">=8,<9", True),
        ("9.0", ">=8,<9", False),
        ("3.0.17", "~=3.0.15", True),
        ("3.0.9", "~=3.0.15", False),
        ("3.1.0", "~=3.0.15", False),
        ("2.1.0", "==2.1", True),
        ("2.1.1", "==2.1.0", False),
        ("2.1.1", "==2.1.*", True),
        ("1.0rc1", "", True),
        ("1.0", "!=8.3.*, >=5.3.0", False),
        ("unknown", ">=1", False),
    ],
)
def test_version_rules(version, wanted, is_right):
    assert fits(version, wanted) == is_right


def test_versions_and_requirements_are_read():
    assert numbers("2.11.0+cu126") == (2, 11, 0) and numbers("1.0rc1") == (1, 0)
    assert fits(installed.version_of("torch"), requirement("mrcnn_edu", "torch"))
    assert requirement("mrcnn_edu", "nothing") == requirement("nothing", "torch") == ""


def kernel(folder, *argv):
    folder = folder / "kernels" / "python3"
    folder.mkdir(parents=True)
    spec = {"argv": [*argv, "-m", "ipykernel_launcher"], "display_name": "x", "language": "python"}
    (folder / "kernel.json").write_text(json.dumps(spec))


def test_the_kernel_is_another_python(tmp_path, monkeypatch):
    """A kernel in the user's folder hides that of this environment."""
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    (finding,) = found("kernel")
    assert finding.state == OK
    fake = tmp_path / "python"
    fake.write_text("#!/bin/sh\necho '\"/another/environment\"'\n")
    fake.chmod(0o755)
    kernel(tmp_path, str(fake))
    if os.name != "nt":
        (finding,) = found("kernel")
        assert finding.state == PROBLEM and "another Python, in /another" in finding.text
    fake.unlink()
    (finding,) = found("kernel")
    assert finding.state == PROBLEM and "does not start" in finding.text


def test_a_kernel_by_the_common_name_is_this_python(tmp_path, monkeypatch):
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    kernel(tmp_path, "python3")
    (finding,) = found("kernel")
    assert finding.state == OK


def test_weights_and_lessons(tmp_path, monkeypatch):
    monkeypatch.setattr(doctor_module, "PACKAGE", tmp_path)
    monkeypatch.setattr(doctor_module, "LESSONS", (tmp_path / "notebooks",))
    assert found("weights")[0].state == found("lessons")[0].state == PROBLEM
    weights = tmp_path / "weights" / "shipped" / "shapes-tiny.pt"
    weights.parent.mkdir(parents=True)
    weights.write_text("version https://git-lfs.github.com/spec/v1\n")
    assert "not complete" in found("weights")[0].text


@pytest.mark.parametrize("free, state", [(1e8, PROBLEM), (2e9, NOTE), (1e11, OK)])
def test_free_disk(monkeypatch, free, state):
    monkeypatch.setattr(
        doctor_module.shutil, "disk_usage", lambda path: types.SimpleNamespace(free=free)
    )
    (finding,) = found("disk")
    assert finding.state == state and f"{free / 1e9:.1f} GB free in" in finding.text


def test_memory(monkeypatch):
    for bytes, state in [(2e9, NOTE), (16e9, OK), (None, OK)]:
        monkeypatch.setattr(doctor_module, "_memory", lambda bytes=bytes: bytes)
        assert found("machine")[0].state == state


def test_a_check_that_fails_is_a_note(monkeypatch):
    def check_the_weather():
        raise KeyError("rain")

    monkeypatch.setattr(doctor_module, "CHECKS", (check_the_weather,))
    (finding,) = examine()
    assert finding == (NOTE, "the weather", "could not be examined (KeyError: 'rain')", "")


@pytest.mark.parametrize("error", ["ImportError('gone')", "OSError('no DLL')", "KeyError(1)"])
def test_the_doctor_comes_where_the_package_cannot_be_imported(tmp_path, error):
    (tmp_path / "torch.py").write_text(f"raise {error}")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])}
    command = [sys.executable, "-m", "mrcnn_edu_start"]
    done = subprocess.run(
        [*command, "doctor"], env=environment, cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 1 and done.stderr == ""
    assert "problem  torch" in done.stdout and "1 problem:" in done.stdout
    done = subprocess.run(
        [*command, "demo"], env=environment, cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 2 and done.stderr.count("\n") == 2
    assert done.stderr.endswith("mrcnn-edu doctor says what is missing.\n")


def test_the_start_is_the_command(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["mrcnn-edu", "--version"])
    assert mrcnn_edu_start.main() == 0 and capsys.readouterr().out.startswith("mrcnn_edu ")
