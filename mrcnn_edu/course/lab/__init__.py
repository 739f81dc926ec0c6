"""The ablation lab: a question of the reader's own, its runs, their evidence, in a notebook.

tasks     one thread for everything that takes longer than a callback may
choices   the controls: a preset or two to four settings, the world, steps and seeds
chart     curves, a dot for each seed, and the intervals, drawn by the browser
errors    the kinds of errors among a model's detections
evidence  what the models of finished runs do with the same images
panel     the lab itself
"""

from mrcnn_edu.course.lab.panel import AblationLab, ablation_lab

__all__ = ["AblationLab", "ablation_lab"]
