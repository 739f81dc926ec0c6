# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # The ablation lab
#
# Does it matter how a mask is pooled? Would a wider head help, or a third seed, or twice the steps?
# Papers answer such questions with a table. Here you can ask your own, and have an answer in a few
# minutes on a laptop.
#
# 1. **Choose.** Take one of the paper's tables, or describe two to four settings of your own: A is
#    the model that the others are compared with. A dash leaves a switch as it is in the base model.
#    The lab says at once what the comparison costs, and what of it you have measured before.
# 2. **Run.** The training runs happen in processes of their own, so that the notebook stays free:
#    move sliders, read a lesson, plan the next question. You can pause and resume. Each result is
#    written down as soon as it exists, and will be there tomorrow.
# 3. **Watch.** Each finished seed becomes a dot. The thick bars are 95 % confidence intervals of
#    the differences from A, seed by seed; the thin ones forget which seeds belong together. As
#    long as 0 lies inside, you do not know who is better, and the lab says about how many more
#    seeds might decide it.
# 4. **Look inside.** Compare what the models detect in any scene, where their masks are wrong, and
#    which errors they make. Click a dot to look at the model of another seed.
# 5. **Keep it.** The report is one HTML file, with the numbers beside it as CSV, and the commands
#    that repeat everything.
#
# How such a comparison is planned and read is the subject of lesson [12](12_ablations.ipynb).

# %%
from mrcnn_edu.course.lab import ablation_lab

# %%
lab = ablation_lab()
lab

# %% [markdown]
# ## Questions to start with
#
# - Set `roi op` of B to `pool`, and run two seeds of 100 steps. Which of the curves tells them
#   apart first, the losses or the score? Then look at *masks in the ground-truth boxes*: where are
#   the wrong pixels?
# - Choose the world `small`, where every object is small, and ask the same again. Does rounding
#   cost more now, as the paper's argument suggests?
# - Write `rpn_positive_iou=0.5` into the last line of B. The RPN then learns from more anchors.
#   What do you expect, and what happens?
# - Add a third setting, with `learning_rate=0.01`. A comparison is only fair if both sides could be
#   at their best: which learning rate does each of your settings like?
#
# A table with few seeds proves little, and one with many costs an evening. Before you run anything,
# write down what you expect, and how large a difference would matter to you.
#
# ## The same from a terminal
#
# ```
# mrcnn-edu ablate --a --b roi_op=pool --seeds 2 --steps 100 --report my-report
# ```
#
# The command keeps its results in the folder `runs/ablations`, where you start it. The lab keeps
# them in the same place beneath this notebook. To share them, give the lab that folder:
# `ablation_lab("../runs/ablations")`.
