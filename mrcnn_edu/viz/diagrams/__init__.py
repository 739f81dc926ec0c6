"""Diagrams: the ideas of the lessons, drawn by code.

sheet            an empty sheet for a diagram, and the boxes that are drawn on one
iou              intersection over union as a fraction of two drawings
iou_ladder       pairs of boxes from IoU 0.1 to 0.9
"""
