"""What several tests use: random boxes and targets, a tiny model, and one seed for every test."""

import os

import pytest
import torch

if not torch.cuda.is_available():
    os.environ["TRITON_INTERPRET"] = "1"  # kernels run on the CPU; Triton reads it at its import
os.environ["MRCNN_EDU_SOLVED"] = ""  # exercises that tests solve are noted nowhere

from mrcnn_edu.config import Config
from mrcnn_edu.model import MaskRCNN


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


@pytest.fixture
def one_thread():
    """A sum in another order has other last bits, so runs that are compared use one thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def run(capsys, monkeypatch, tmp_path):
    """Runs a command in an empty folder: (exit code, stdout, stderr)."""
    from mrcnn_edu import cli  # not above: most tests do without it

    monkeypatch.chdir(tmp_path)

    def run(*args):
        code = cli.main([str(arg) for arg in args])
        return code, *capsys.readouterr()

    return run


@pytest.fixture
def random_boxes():
    """A function to boxes [n, 4] in and around an image of that size, some wholly outside it."""

    def boxes(n, size=64, whole=False, dtype=torch.float32):
        corner = torch.rand(n, 2, dtype=dtype) * 1.6 * size - 0.4 * size
        side = torch.rand(n, 2, dtype=dtype) * 0.6 * size + 1
        boxes = torch.cat((corner, corner + side), dim=1)
        return boxes.round() if whole else boxes

    return boxes


@pytest.fixture
def random_targets():
    """A function to an image of that size (height, width) and its target with n objects."""

    def targets(n, size=(48, 64), n_classes=6):
        height, width = size
        corner = torch.rand(n, 2) * 0.5
        boxes = torch.cat((corner, corner + 0.15 + 0.35 * torch.rand(n, 2)), dim=1)
        boxes = boxes * torch.tensor([width, height, width, height])
        masks = torch.zeros(n, height, width, dtype=torch.bool)
        for mask, (x1, y1, x2, y2) in zip(masks, boxes.round().long().tolist(), strict=True):
            mask[y1:y2, x1:x2] = torch.rand(y2 - y1, x2 - x1) > 0.3
        labels = torch.randint(1, n_classes + 1, (n,))
        return torch.rand(3, height, width), {"boxes": boxes, "labels": labels, "masks": masks}

    return targets


@pytest.fixture
def tiny_model():
    """A function to Config.tiny()'s model for small images, with the same weights every time."""

    def model(**changes):
        torch.manual_seed(1)
        numbers = dict(short_side=48, long_side=80, anchor_sizes=((8,), (16,), (32,), (48,)))
        return MaskRCNN(Config.tiny(**numbers | changes))

    return model
