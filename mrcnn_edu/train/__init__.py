"""Training: image-centric SGD on L = L_cls + L_box + L_mask and the RPN's two losses.

recipes      the settings of training, and those of the paper and of two libraries
distributed  several processes train one model (torchrun)
grouping     batches of images of similar shape, so that less of a batch is padding
batches      which images make up a step, and what is random about each
checkpoints  a run that was stopped or killed resumes from its last checkpoint
memory       bfloat16 and activation checkpointing, for less memory
diagnostics  labels without a class, non-finite losses, divergence, full memory: with advice
metrics      losses and validation scores, on the screen and as CSV files
loop         `fit` and `steps`; a progress bar for those who call `steps`
tensorboard  a run's curves and pictures in TensorBoard
"""

from mrcnn_edu.train.batches import loader, step_indices
from mrcnn_edu.train.checkpoints import CHECKPOINT, Terminated
from mrcnn_edu.train.grouping import grouped_indices
from mrcnn_edu.train.loop import fit, steps, with_progress
from mrcnn_edu.train.recipes import Training, learning_rate, make_optimizer

__all__ = [
    "CHECKPOINT", "Terminated", "Training", "fit", "grouped_indices", "learning_rate", "loader",
    "make_optimizer", "step_indices", "steps", "with_progress",
]  # fmt: skip
