"""Exercises: their solutions and checks, a file for each lesson.

Each `check_NAME` runs the reader's function and the solution NAME on the same cases, and prints
"ok" or "not yet" with the first case that differs.

check              how a reader's function is compared with the solution
start_here         lesson 00: counting labels, comparing masks
annotations        lesson 01: masks from run-length encodings, their boxes, the semantic map
boxes              lesson 02: IoU, box encoding, non-maximum suppression
history            lesson 03: the cost of a layer and of n regions
backbone           lesson 04: sizes of maps, receptive fields, the level of a box
anchors            lesson 05: one anchor, the coverage of objects, matching
rpn                lesson 06: parameters of the RPN head, candidates, recall
roi_align          lesson 07: RoIPool's rounding, RoIAlign along one axis
heads              lesson 08: parameters of the mask head, deconvolution, the m x m mask's limit
mask_loss          lesson 09: the mask loss, predicted masks, the softmax gradient
training           lesson 10: the learning rate, the linear scaling rule, matching RoIs to objects
average_precision  lesson 11: matching detections, precision and recall, average precision
ablations          lesson 12: paired differences, relative gains, the number of seeds
fcis               lesson 13: position-sensitive cells, mask logits, merging masks
gpu                lesson 16: what two small kernels compute, the roofline
"""
