"""Exercises: their solutions and checks, a file for each lesson and for each larger task.

Each `check_NAME` runs the reader's function and the solution NAME on the same cases, and prints
"ok" or "not yet" with the first case that differs.

show               values as text, for what a check says
compare            what a reader's function returned, compared with what the solution returns
check              how a reader's function is run and what is reported; what passes is noted
panoptic           lesson 00, larger: one map with the class and the object of each pixel
start_here         lesson 00: counting labels, comparing masks, choosing a score threshold
find_mistakes      lesson 01, larger: what is wrong in a file of annotations
annotations        lesson 01: masks from run-length encodings, their boxes, the semantic map
soft_nms           lesson 02, larger: soft-NMS
boxes              lesson 02: IoU, box encoding, non-maximum suppression
cost               lesson 17: multiply-adds of a layer, when sharing pays, and a whole detector
group_regions      lesson 03, larger: the grouping inside selective search
history            lesson 03: what runs how often, and in which order
top_down           lesson 04, larger: a feature pyramid from given maps and weights
backbone           lesson 04: sizes of maps, receptive fields, the level of a box
anchor_shapes      lesson 05, larger: k-means, which chooses the shapes of anchors
anchors            lesson 05: one anchor, the order of all, their coverage of objects, matching
propose            lesson 06, larger: from the RPN's outputs to proposals
rpn                lesson 06: parameters of the RPN head, candidates, recall
precise_roi        lesson 07, larger: the mean over all points of a bin, by an integral
roi_align          lesson 07: how far and how often RoIPool rounds, RoIAlign along one axis
mask_head          lesson 08, larger: the whole mask head, layer by layer
heads              lesson 08: parameters of the mask head, deconvolution, the m x m mask's limit
loss_and_gradient  lesson 09, larger: the mask loss and its gradient, both ways
mask_loss          lesson 09: the mask loss, predicted masks, the softmax gradient
make_targets       lesson 10, larger: all targets of the RoIs of an image
training           lesson 10: matching RoIs to objects, learning rates, what a blind head can reach
coco_ap            lesson 11, larger: COCO's AP of a class, with crowds, areas and a limit
average_precision  lesson 11: matching, precision and recall, AP, a score for a precision
ablations          lesson 12: paired differences, relative gains, the number of seeds
read_rois          lesson 13, larger: classes, scores and masks from position-sensitive maps
fcis               lesson 13: bins of points, mask logits, merged masks, where two boxes agree
merge_tiles        lesson 15, larger: detections in tiles as those of a whole photograph
photos             lesson 15: what a network sees of a photograph, polygons as masks, a fair split
puzzles            lesson 16: four kernels, from a bias and a ReLU to points between positions
gpu                lesson 16: when a queue of kernels is done, what limits a network's layers
align_kernel       lesson 16, larger: RoIAlign of many boxes as one kernel
"""

# The modules with the exercises of each lesson: the one list, which `course/progress.py` counts.
LESSONS = {
    "00 start here": ("start_here", "panoptic"),
    "01 the data": ("annotations", "find_mistakes"),
    "02 boxes, IoU, NMS": ("boxes", "soft_nms"),
    "03 from R-CNN to Mask R-CNN": ("history", "group_regions"),
    "04 backbone and pyramid": ("backbone", "top_down"),
    "05 anchors": ("anchors", "anchor_shapes"),
    "06 the RPN": ("rpn", "propose"),
    "07 RoIPool and RoIAlign": ("roi_align", "precise_roi"),
    "08 the heads": ("heads", "mask_head"),
    "17 what each part costs": ("cost",),
    "09 the mask loss": ("mask_loss", "loss_and_gradient"),
    "10 training": ("training", "make_targets"),
    "11 average precision": ("average_precision", "coco_ap"),
    "12 ablations": ("ablations",),
    "13 FCIS": ("fcis", "read_rois"),
    "15 real photographs": ("photos", "merge_tiles"),
    "16 the GPU": ("puzzles", "gpu", "align_kernel"),
}
