"""The start of the command: what needs no PyTorch waits for none."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import mrcnn_edu
import mrcnn_edu_start
from mrcnn_edu.cli import command, commands

ROOT = Path(mrcnn_edu_start.__file__).parent


def start(tmp_path, *args, **options):
    """The command, where PyTorch cannot be imported."""
    (tmp_path / "torch.py").write_text("raise ImportError('nobody needs it here')")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])}
    code = [sys.executable, "-m", "mrcnn_edu_start", *args]
    return subprocess.run(code, env=environment, cwd=tmp_path, text=True, **options)


@pytest.mark.parametrize("args", [["--help"], ["-h"], ["--version"], []])
def test_help_and_version_do_not_import_pytorch(tmp_path, args, capsys):
    done = start(tmp_path, *args, capture_output=True)
    try:
        code = command.main(args)
    except SystemExit as end:  # after help
        code = end.code
    inside = capsys.readouterr()
    assert (done.returncode, done.stdout, done.stderr) == (code, inside.out, inside.err)
    assert code == (0 if args else 2)


def test_the_help_names_every_command_that_there_is():
    assert list(command._commands([])) == list(commands.NAMES)
    for name, function in command._commands([]).items():
        whole = " ".join((getattr(function, "func", function).__doc__ or "").split())
        assert whole.startswith(commands.summary_of(name)) and len(commands.summary_of(name)) > 10
    assert commands.version() == mrcnn_edu.__version__


def test_a_reader_that_has_gone_is_no_error(tmp_path):
    with subprocess.Popen(["true"], stdin=subprocess.PIPE) as gone:
        gone.wait()
        done = start(tmp_path, "--help", stdout=gone.stdin, stderr=subprocess.PIPE)
    assert done.returncode in (0, 141) and done.stderr == ""
