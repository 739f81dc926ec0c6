"""The course's own training loop, with its usual settings."""

from collections.abc import Iterator

import torch

from mrcnn_edu.config import Config
from mrcnn_edu.data import Shapes
from mrcnn_edu.model import MaskRCNN
from mrcnn_edu.train import Training, steps


def train(seed: int) -> Iterator[MaskRCNN]:
    """Train, and have the model scored before the first step and after every 100."""
    torch.manual_seed(seed)
    model = MaskRCNN(Config.tiny())
    training = Training(steps=3000, seed=seed)
    for losses in steps(model, Shapes(100_000), training):
        if len(losses) % 100 == 0:
            yield model
