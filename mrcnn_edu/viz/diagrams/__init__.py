"""Diagrams: the ideas of the lessons, drawn by code.

sheet             an empty sheet for a diagram, the boxes on one, and lines that measure them
frame             rectangles on a sheet, with the points at which arrows meet them
arrows            lines and arrows, and where lines are joined or summed
shapes            what diagrams are made of: texts, blocks and feature maps
scene             a small scene of three objects, with anchors, proposals or detections
architecture      the whole of Mask R-CNN, with one stage highlighted
family            R-CNN, Fast R-CNN, Faster R-CNN and Mask R-CNN side by side
timeline          from R-CNN to Mask R-CNN: what was new, how accurate and how fast
trained_together  which parts of the four R-CNNs learn with one loss
residual          residual blocks, and the bottleneck of ResNet-50
pyramids          four ways to find objects of different sizes
fpn               the feature pyramid network, level by level
rpn_window        the RPN at one location: window, anchors and outputs
two_heads         the heads for C4 and for FPN, with the shapes of their tensors
loss_gradients    the five losses, and which parts their gradients reach
assembly          a RoI that is assembled from nine position-sensitive maps
iou               intersection over union as a fraction of two drawings
iou_ladder        pairs of boxes from IoU 0.1 to 0.9
box_deltas        how an anchor is shifted and resized to become a box
matching          matching as a colored matrix of IoUs
smooth_l1         smooth L1 beside L1 and L2, and their derivatives
receptive_field   a receptive field that grows layer by layer
run_lengths       a small mask pixel by pixel, and its run-length encoding
queue             a GPU's queue in time: what is launched, what waits, what is computed
memory_levels     the memories of a GPU, from the registers to the computer's memory
programs          what each program of a kernel reads and writes
nms_steps         non-maximum suppression, one kept box after the other
roi_pool_steps    RoIPool on a small map of whole numbers, step by step
bilinear          bilinear interpolation, with areas as the weights of four values
debugging         a debugging tree: what to ask of a bad model, and what each answer points to
ranking           matches, a ranking, and average precision as the area below its envelope
"""
