"""The command line itself: help, mistyped commands and options, streams that end or are full."""

import ast
import inspect
import os
import re
import subprocess
import sys
import textwrap

import pytest

from mrcnn_edu import cli
from mrcnn_edu.cli.options import Model
from mrcnn_edu.data import Reading, Shapes
from mrcnn_edu.data.augment import Augmentation
from mrcnn_edu.train.recipes import Training

COMMANDS = [
    "lab", "course", "progress", "demo", "train", "evaluate", "predict", "convert", "check-data",
    "ablate", "doctor",
]  # fmt: skip


@pytest.fixture
def help_of(capsys, monkeypatch):
    def shown(*args, columns=80):
        monkeypatch.setenv("COLUMNS", str(columns))
        with pytest.raises(SystemExit) as end:
            cli.main([*args, "--help"])
        assert end.value.code == 0
        return capsys.readouterr().out

    return shown


@pytest.fixture
def refused(capsys, monkeypatch):
    """The message with which arguments are refused, in one line."""

    def message(*args):
        monkeypatch.setenv("COLUMNS", "400")
        with pytest.raises(SystemExit) as end:
            cli.main(list(args))
        assert end.value.code == 2
        return capsys.readouterr().err

    return message


@pytest.mark.parametrize("columns", [60, 80, 100, 200])
def test_the_list_of_commands_fits_the_terminal(help_of, columns):
    out = help_of(columns=columns)
    assert all(re.search(rf"^  {name} +[A-Z]", out, re.MULTILINE) for name in COMMANDS)
    assert "--version" in out and "--completion bash" in out
    assert max(map(len, out.splitlines())) <= max(columns, 80)


@pytest.mark.parametrize("columns", [80, 100])
@pytest.mark.parametrize("name", COMMANDS)
def test_help_reads_well(help_of, name, columns):
    out = help_of(name, columns=columns)
    assert out.startswith(f"usage: mrcnn-edu {name} ")
    assert max(map(len, out.splitlines())) <= columns
    for unreadable in ("(default: )", "[[", "]]", "33333", "tyro", "\n\n\n"):
        assert unreadable not in out
    assert re.findall(r"(\S+) \{None,", out) in ([], ["--model.head-norm", "--model.mask-head"])
    description = out.partition("\n\n")[2].partition("\n\n")[0]
    for line in description.splitlines()[:-1]:  # filled: the next word would not have fitted
        following = description.partition(line)[2].split()[0]
        assert len(line) + 1 + len(following) > columns


@pytest.mark.parametrize("settings", [Model, Training, Shapes, Augmentation, Reading])
def test_no_option_is_explained_by_the_title_of_a_section(help_of, settings):
    """Titles stand above a blank line, or above fields that have their own explanation."""
    source = textwrap.dedent(inspect.getsource(settings.__mro__[1 if settings is Model else 0]))
    fields = [n for n in ast.parse(source).body[0].body if isinstance(n, ast.AnnAssign)]
    lines = source.splitlines()
    titles = re.findall(r"^    # (.+)\n\n", source, re.MULTILINE)
    for field in fields:
        above = lines[field.lineno - 2].strip()
        if above.startswith("# ") and "  # " in lines[field.lineno - 1]:
            titles.append(above[2:])
    out = " ".join(help_of("train", columns=400).split())
    for title in titles:
        assert title not in out
    assert settings is not Model or "Backbone and feature pyramid" in titles


def test_defaults_are_shown_as_one_would_write_them(help_of):
    out = " ".join(help_of("train", columns=80).replace("│", "").split())
    assert "(default: 0.08333 0.5)" in out and "(default: 0.003)" in out
    assert re.search(r"--augment.short-sides INT \.\.\. [^(]*\(default: none\)", out)


def test_a_mistyped_command_is_recognized(refused):
    for given, meant in [("predit", "predict"), ("checkdata", "check-data"), ("Train", "train")]:
        assert f"there is no command {given}: did you mean {meant}?" in refused(given)
    assert "there is no command banana. mrcnn-edu --help lists" in refused("banana")
    assert "did you mean --version?" in refused("--verson")
    assert "the command comes before --scenes.n" in refused("--scenes.n", "3", "evaluate")
    assert "usage: mrcnn-edu COMMAND" in refused()


def test_a_mistyped_option_or_value_is_explained_by_its_own_command(refused):
    err = refused("train", "--stepz", "3")
    assert "--steps INT" in err and "ablate" not in err and "mrcnn-edu train --help" in err
    for args, words in [
        (["evaluate", "--scenes.n", "-3"], "n is -3"),
        (["evaluate", "--scenes.n", "x"], "--scenes.n: 'x' is not a whole number"),
        (["train", "--steps", "1.5"], "--steps: '1.5' is not a whole number"),
        (["train", "--learning-rate", "fast"], "--learning-rate: 'fast' is not a number"),
        (["ablate", "2a", "--seed", "first"], "first"),
        (["train", "--augment.short-sides", "640", "big"], "'big' is not a whole number"),
        (["train", "--scenes.object-size", "a", "1"], "'a' is not a number"),
    ]:
        err = refused(*args)
        assert words in err and "tyro" not in err and "literal" not in err, err
        assert f"mrcnn-edu {args[0]} --help" in err


def test_numbers_arrive_as_they_were_written(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cli.train, "_config", lambda model, data: given.append(model) or 1 / 0)
    given: list = []
    options = {
        "--model.pixel-mean": (0.1, 0.25, 0.123456789),
        "--model.anchor-ratios": (1.0,),
        "--model.nms-iou": 0.123456789,
    }
    for option, value in options.items():
        texts = [str(v) for v in (value if isinstance(value, tuple) else (value,))]
        with pytest.raises(ZeroDivisionError):
            cli.main(["train", option, *texts])
        assert getattr(given[-1], option[8:].replace("-", "_")) == value


def test_completion_is_a_script_for_the_shell(capsys, refused):
    for option in ("--completion", "--tyro-print-completion"):
        with pytest.raises(SystemExit) as end:
            cli.main([option, "bash"])
        out = capsys.readouterr().out
        assert not end.value.code and "complete -F" in out and "check-data" in out
    assert cli.main(["--completion"]) == 2 and "bash, zsh, fish" in capsys.readouterr().err
    assert cli.main(["--completion", "powershell"]) == 2


# Streams

posix = pytest.mark.skipif(os.name == "nt", reason="Windows has no such streams")
ARGS = [["train", "--help"], ["ablate", "--list"], ["evaluate", "--scenes.n", "1"], ["--help"]]


@posix
@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("args", ARGS, ids=" ".join)
def test_a_reader_that_ends_early_ends_the_command_quietly(args, unbuffered):
    """As `mrcnn-edu train --help | head` does."""
    command = [sys.executable, "-m", "mrcnn_edu", *args]
    environment = os.environ | {"PYTHONUNBUFFERED": unbuffered}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, env=environment, **pipes) as process:
        process.stdout.close()
        err = process.stderr.read()
    assert b"Traceback" not in err and (err == b"" or args[0] == "evaluate")  # which has a bar
    assert process.returncode == 141


@posix
@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="Linux only")
@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("args", [["predict", "--help"], ["ablate", "--list"]], ids=" ".join)
def test_a_full_disk_is_reported_in_one_line(args, unbuffered):
    command = [sys.executable, "-m", "mrcnn_edu", *args]
    environment = os.environ | {"PYTHONUNBUFFERED": unbuffered}
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            command, env=environment, stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert done.returncode == 2
    assert done.stderr == "mrcnn-edu: the output cannot be written: No space left on device\n"


@posix
def test_closed_streams_are_no_error():
    command = [sys.executable, "-m", "mrcnn_edu", "predict", "--help"]
    done = subprocess.run(
        ["sh", "-c", '"$@" >&-', "sh", *command], stderr=subprocess.PIPE, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
