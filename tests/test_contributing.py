"""The example in CONTRIBUTING.md: its edits are made on a copy, which then learns."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def _edits() -> dict[str, tuple[str, str, int]]:
    """For each file of the diff: the text to replace, its replacement, and the changed lines."""
    (diff,) = re.findall(r"```diff\n(.*?)```", (ROOT / "CONTRIBUTING.md").read_text(), re.DOTALL)
    edits = {}
    for part in diff.split("--- ")[1:]:
        name, *lines = part.splitlines()
        before = "".join(f"{line[1:]}\n" for line in lines if line[:1] in " -")
        after = "".join(f"{line[1:]}\n" for line in lines if line[:1] in " +")
        edits[name] = before, after, sum(line[:1] in ("+", "-") for line in lines)
    return edits


def test_a_mask_head_is_added_in_two_files_and_few_lines(tmp_path):
    edits = _edits()
    assert len(edits) == 2 and sum(n for _, _, n in edits.values()) <= 30
    ignored = shutil.ignore_patterns("__pycache__", "*.json", "*.pt", "notebooks")
    shutil.copytree(ROOT / "mrcnn_edu", tmp_path / "mrcnn_edu", ignore=ignored)
    for name, (before, after, _) in edits.items():
        text = (tmp_path / name).read_text()
        assert text.count(before) == 1, name
        (tmp_path / name).write_text(text.replace(before, after))
    code = """
import mrcnn_edu, torch
from mrcnn_edu.data import Shapes
from mrcnn_edu.train import Training, fit

torch.manual_seed(0)
model = mrcnn_edu.MaskRCNN(mrcnn_edu.Config.tiny(mask_head="dilated"))
losses = fit(model, Shapes(8), Training(steps=5, batch_size=2), progress=False)
assert len(losses) == 5 and all(loss["loss_mask"] > 0 for loss in losses)
print(mrcnn_edu.__file__, model.detect([Shapes(1)[0][0]])[0].masks.shape)
"""
    run = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert run.stdout.startswith(str(tmp_path)) and "96, 96" in run.stdout
