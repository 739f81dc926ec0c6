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
# # Glossary
#
# Look up a word here when you meet it. Each entry says in one sentence what the word means, which
# lesson explains it, and what torchvision and detectron2 call it.
#
# torchvision's names are those of `torchvision.models.detection`, or they begin with another of its
# modules, as `ops.box_iou` does; `nn` and `F` are PyTorch's. In detectron2, names in capitals such
# as `MODEL.RPN.NMS_THRESH` are settings of its configuration. Where neither library has a name for
# something, the entry ends after its sentence.
#
# [A](#A) · [B](#B) · [C](#C) · [D](#D) · [E](#E) · [F](#F) · [G](#G) · [H](#H) · [I](#I) · [K](#K)
# · [L](#L) · [M](#M) · [N](#N) · [O](#O) · [P](#P) · [Q](#Q) · [R](#R) · [S](#S) · [T](#T) ·
# [U](#U) · [V](#V) · [W](#W)
#
# ## A
#
# **ablation** · lesson [12](12_ablations.ipynb)
# <br>An ablation changes one part of a system, leaves everything else as it was, and measures how
# much worse or better the result becomes.
#
# **activation** · lesson [04](04_backbone.ipynb)
# <br>An activation is one value that a layer outputs; a feature map has one for each channel at
# each location.
#
# **anchor** (anchor box, reference box) · lesson [05](05_anchors.ipynb)
# <br>Anchors are boxes of fixed sizes and shapes at every location of a feature map; for each of
# them, the RPN predicts whether it lies on an object and how it must change to fit that object.
# <br>torchvision: `AnchorGenerator` · detectron2: `DefaultAnchorGenerator`
#
# **anchor-free detector** · lesson [05](05_anchors.ipynb)
# <br>An anchor-free detector predicts boxes straight from the locations of a feature map, or, like
# DETR, from learned queries, instead of changing boxes that were fixed beforehand.
# <br>torchvision: `FCOS` · detectron2: `FCOS`
#
# **anchor size** (size) · lesson [05](05_anchors.ipynb)
# <br>An anchor's size is the square root of its area, in pixels of the image that the network sees.
# <br>torchvision: `AnchorGenerator(sizes=...)` · detectron2: `MODEL.ANCHOR_GENERATOR.SIZES`
#
# **annotation** · lesson [01](01_data.ipynb)
# <br>An annotation is what somebody has recorded about one object of an image: its class label, its
# box and its outline.
# <br>torchvision: an element of the list that `datasets.CocoDetection` returns · detectron2: an
# element of `annotations` in a dataset dict
#
# **AP50** (AP75) · lesson [11](11_average_precision.ipynb)
# <br>AP50 and AP75 are the average precision at one IoU threshold only, 0.5 or 0.75, as a mean over
# the classes.
# <br>torchvision: none · detectron2: `AP50` and `AP75` of `COCOEvaluator`
#
# **arithmetic intensity** · lesson [16](16_gpu.ipynb)
# <br>The arithmetic intensity of a computation is the number of operations that it does for each
# byte it reads from memory or writes to it.
#
# **aspect ratio** (ratio) · lesson [05](05_anchors.ipynb)
# <br>A box's aspect ratio is its height divided by its width; in some papers it is width divided by
# height.
# <br>torchvision: `AnchorGenerator(aspect_ratios=...)` · detectron2:
# `MODEL.ANCHOR_GENERATOR.ASPECT_RATIOS`
#
# **assembling** (assemble, assembled map) · lesson [13](13_fcis.ipynb)
# <br>Assembling reads a RoI from position-sensitive maps, each of its bins from its own map, and
# needs no weights.
# <br>torchvision: `ops.ps_roi_align`, with a mean for each bin · detectron2: none
#
# **atomic operation** (atomic addition) · lesson [16](16_gpu.ipynb)
# <br>An atomic operation reads a value, changes it and writes it back in one step that no other
# program can interrupt.
#
# **average precision** (AP) · lesson [11](11_average_precision.ipynb)
# <br>Average precision is the area under a class's precision-recall curve; COCO's AP is its mean
# over all classes and over ten IoU thresholds, from 0.5 to 0.95.
# <br>torchvision: none; its training scripts use pycocotools · detectron2: `COCOEvaluator`
#
# **average recall** (AR) · lesson [11](11_average_precision.ipynb)
# <br>Average recall is the fraction of the objects that are found by the best detections of each
# class in each image, as a mean over the classes and over ten IoU thresholds.
# <br>torchvision: none; its training scripts use pycocotools · detectron2: `AR@100` of
# `COCOEvaluator`, for proposals
#
# ## B
#
# **backbone** · lesson [04](04_backbone.ipynb)
# <br>The backbone is the part of the network that turns the image into feature maps, which all
# other parts share.
# <br>torchvision: `backbone` · detectron2: `backbone`, `MODEL.BACKBONE`
#
# **background** · lesson [06](06_rpn.ipynb)
# <br>Background is everything that belongs to no object of the classes a detector knows; the box
# head has a score of its own for it.
# <br>torchvision: label 0 · detectron2: label K, after the K classes 0 to K - 1
#
# **bandwidth** · lesson [16](16_gpu.ipynb)
# <br>The bandwidth of a memory is the number of bytes that it can deliver or take in a second.
#
# **batch normalization** · lesson [04](04_backbone.ipynb)
# <br>Batch normalization shifts and scales each channel so that its values have a mean of 0 and a
# variance of 1 over the batch; detectors, whose batches are small, usually keep the shift and the
# scale fixed.
# <br>torchvision: `ops.FrozenBatchNorm2d` · detectron2: `FrozenBatchNorm2d`, `MODEL.RESNETS.NORM`
#
# **bfloat16** · lesson [16](16_gpu.ipynb)
# <br>A bfloat16 has two bytes; it covers the range of a float32, but with 8 binary digits instead
# of 24.
#
# **bias** · lesson [08](08_heads.ipynb)
# <br>A bias is a learned number that a layer adds to each value of one output channel.
#
# **bilinear interpolation** (bilinear) · lesson [07](07_roi_align.ipynb)
# <br>Bilinear interpolation reads a map at a point between four of its positions: it averages their
# values, giving more weight to the nearer ones.
# <br>torchvision: part of `ops.roi_align` · detectron2: part of `ROIAlign`
#
# **bin** · lesson [07](07_roi_align.ipynb)
# <br>Bins are the equal parts into which a RoI is divided, for example 7 × 7; each of them becomes
# one value per channel, however large the RoI is.
# <br>torchvision: `output_size` of `ops.MultiScaleRoIAlign` · detectron2:
# `MODEL.ROI_BOX_HEAD.POOLER_RESOLUTION`
#
# **binary cross-entropy** (BCE) · lesson [06](06_rpn.ipynb)
# <br>Binary cross-entropy is the loss for a yes-or-no question: minus the logarithm of the
# probability that the network gave to the correct answer.
# <br>torchvision: `F.binary_cross_entropy_with_logits` · detectron2:
# `F.binary_cross_entropy_with_logits`
#
# **bitmap** (binary mask) · lesson [01](01_data.ipynb)
# <br>A bitmap stores a mask as one value for each pixel of the image: 1 inside the object, 0
# outside.
# <br>torchvision: `masks` · detectron2: `BitMasks`
#
# **blobs** (blob) · lesson [00](00_start_here.ipynb)
# <br>Blobs are random outlines in this course's synthetic images that belong to none of the six
# classes.
#
# **bottom-up pathway** · lesson [04](04_backbone.ipynb)
# <br>The bottom-up pathway of an FPN is the backbone itself, whose maps become coarser from stage
# to stage.
# <br>torchvision: `body` of `BackboneWithFPN` · detectron2: `bottom_up` of `FPN`
#
# **bounding box** (box) · lesson [02](02_boxes.ipynb)
# <br>A bounding box is an upright rectangle around an object, written as its left, top, right and
# bottom edge: (x1, y1, x2, y2), in pixels.
# <br>torchvision: `boxes`, format `xyxy` · detectron2: `Boxes`, `BoxMode.XYXY_ABS`
#
# **bounding-box regression** (box regression) · lesson [02](02_boxes.ipynb)
# <br>Bounding-box regression predicts four continuous numbers, the box deltas, that turn a given
# box into one that fits its object better.
# <br>torchvision: `bbox_pred` · detectron2: `bbox_pred`
#
# **box delta** (regression target) · lesson [02](02_boxes.ipynb)
# <br>The four box deltas say how to get from one box to another: two shift the center, in fractions
# of the box's size, and two scale width and height, as logarithms.
# <br>torchvision: `bbox_pred`, `bbox_deltas` · detectron2: `pred_anchor_deltas`,
# `pred_proposal_deltas`
#
# **box encoding** (encode, decode) · lesson [02](02_boxes.ipynb)
# <br>To encode a box is to compute the deltas that lead to it from another box, such as an anchor;
# to decode is to apply deltas to a box and get a new one.
# <br>torchvision: `BoxCoder.encode`, `BoxCoder.decode` · detectron2: `Box2BoxTransform.get_deltas`,
# `apply_deltas`
#
# **box head** · lesson [08](08_heads.ipynb)
# <br>The box head is the small network that predicts, from a RoI's features, a score for each class
# and for background, and the deltas to a better box.
# <br>torchvision: `TwoMLPHead`, `FastRCNNPredictor` · detectron2: `FastRCNNConvFCHead`,
# `FastRCNNOutputLayers`
#
# **box scale** (box weights) · lesson [02](02_boxes.ipynb)
# <br>The box scale, (10, 10, 5, 5) for the box head, multiplies the deltas before the loss compares
# them, so that their standard deviation is about 1.
# <br>torchvision: `bbox_reg_weights` · detectron2: `MODEL.ROI_BOX_HEAD.BBOX_REG_WEIGHTS`
#
# ## C
#
# **C4** · lesson [04](04_backbone.ipynb)
# <br>C4 is the map of stride 16 that a ResNet outputs after its fourth stage; a C4 model reads
# every RoI from this single map, without a pyramid.
# <br>torchvision: none · detectron2: `res4`, which `Res5ROIHeads` reads
#
# **candidate** · lesson [06](06_rpn.ipynb)
# <br>Candidates are the boxes that the RPN decodes from its best-scored anchors, before NMS makes
# proposals of them.
# <br>torchvision: `rpn_pre_nms_top_n_test` of them · detectron2: `MODEL.RPN.PRE_NMS_TOPK_TEST` of
# them
#
# **channel** · lesson [04](04_backbone.ipynb)
# <br>A channel is a grid of values for one feature: an image has three, red, green and blue, and a
# feature map often has 256.
# <br>torchvision: `out_channels` · detectron2: `ShapeSpec.channels`
#
# **class accuracy** · lesson [10](10_training.ipynb)
# <br>Class accuracy is the fraction of ground-truth boxes that the box head, when given exactly
# these boxes, classifies correctly.
# <br>torchvision: none · detectron2: `fast_rcnn/cls_accuracy`, over sampled RoIs
#
# **class-agnostic** · lesson [09](09_mask_loss.ipynb)
# <br>A class-agnostic head predicts one mask, or one box, for a RoI, whatever its class, instead of
# one for each class.
# <br>torchvision: none · detectron2: `MODEL.ROI_MASK_HEAD.CLS_AGNOSTIC_MASK`,
# `MODEL.ROI_BOX_HEAD.CLS_AGNOSTIC_BBOX_REG`
#
# **class label** (label, class) · lesson [01](01_data.ipynb)
# <br>A class label is the number of an object's class, from 1 to K in this course; 0 stands for
# background.
# <br>torchvision: `labels` · detectron2: `gt_classes`, `pred_classes`, from 0 to K - 1
#
# **classification** (image classification) · lesson [01](01_data.ipynb)
# <br>Classification says which class an image, or a region of it, belongs to, but not where in it
# the object lies.
# <br>torchvision: `models.resnet50` and others · detectron2: none; the backbones come from it
#
# **clipping** (clip) · lesson [06](06_rpn.ipynb)
# <br>Clipping moves the edges of a box that lie outside the image to the image's border.
# <br>torchvision: `ops.clip_boxes_to_image` · detectron2: `Boxes.clip`
#
# **coalesced access** (coalesced) · lesson [16](16_gpu.ipynb)
# <br>An access to memory is coalesced if the values that are read together lie next to each other,
# so that no byte of what memory delivers is wasted.
#
# **COCO** (COCO folder) · lesson [01](01_data.ipynb)
# <br>COCO is a large set of photographs of everyday scenes in which people have outlined 80 classes
# of objects; its JSON format and its metrics have become the standard.
# <br>torchvision: `datasets.CocoDetection` · detectron2: `register_coco_instances`
#
# **confidence interval** (95 % interval) · lesson [12](12_ablations.ipynb)
# <br>A 95 % confidence interval is a range computed from a few measurements, by a rule that catches
# the true mean in 95 of 100 such experiments.
#
# **confusion matrix** (class confusion matrix) · lesson [11](11_average_precision.ipynb)
# <br>A confusion matrix counts objects, with a row for what an object is and a column for the class
# that it was detected as.
#
# **connected region** (connected component) · lesson [01](01_data.ipynb)
# <br>A connected region is a set of pixels of one class in which a path through neighboring pixels
# leads from each pixel to every other.
#
# **convolution** · lesson [04](04_backbone.ipynb)
# <br>A convolution slides a small square of weights, its kernel, over a map; at each position it
# multiplies the weights with the values under them and adds up the products.
# <br>torchvision: `nn.Conv2d` · detectron2: `Conv2d`
#
# **correlation** · lesson [12](12_ablations.ipynb)
# <br>The correlation of two series of numbers is 1 if they rise and fall together, 0 if they have
# nothing to do with each other, and −1 if one rises where the other falls.
#
# **coverage** · lesson [05](05_anchors.ipynb)
# <br>Coverage measures how well a set of anchors fits the objects of a data set: for each object,
# the IoU with the anchor that fits it best.
#
# **crowd** · lesson [01](01_data.ipynb)
# <br>A crowd is an annotation that outlines a group of objects as one region, because they could
# not be told apart; it counts neither as a missed object nor, for what lies in it, as a false
# positive.
# <br>torchvision: `iscrowd` · detectron2: `iscrowd`
#
# ## D
#
# **deconvolution** (transposed convolution) · lesson [08](08_heads.ipynb)
# <br>A deconvolution enlarges a map: each input value is multiplied with a learned kernel, and the
# results are added up where they overlap.
# <br>torchvision: `nn.ConvTranspose2d`, `conv5_mask` · detectron2: `ConvTranspose2d`, `deconv`
#
# **decoupling** (decoupled) · lesson [09](09_mask_loss.ipynb)
# <br>Mask R-CNN decouples mask and class: the mask head predicts a mask for every class without
# competition between them, and the box head alone decides which class it is.
#
# **detection** · lesson [11](11_average_precision.ipynb)
# <br>A detection is what a detector returns for one object: a box, a class label, a score, and in
# Mask R-CNN a mask.
# <br>torchvision: one row of `boxes`, `labels`, `scores`, `masks` · detectron2: one element of
# `Instances`
#
# **DETR** (detection transformer) · lesson [05](05_anchors.ipynb)
# <br>DETR is a detector without anchors and without NMS: a transformer predicts a fixed number of
# boxes, and in training each object is matched with exactly one of them.
#
# **domain** · lesson [15](15_photographs.ipynb)
# <br>A domain is what images of one kind have in common, from the camera and the light to what
# counts as an object; a model's scores hold for its own domain alone.
#
# **duplicate** · lesson [11](11_average_precision.ipynb)
# <br>A duplicate is a detection of an object that a detection with a higher score has already
# found; it counts as a false positive.
#
# ## E
#
# **effective receptive field** · lesson [04](04_backbone.ipynb)
# <br>The effective receptive field is the part of the receptive field that really influences a
# value: far smaller than the whole, and strongest in the middle.
#
# **embedding bag** · lesson [16](16_gpu.ipynb)
# <br>An embedding bag looks up rows of a table by their index and returns their weighted sum;
# RoIAlign can be computed as one.
#
# **end-to-end training** (end to end) · lesson [03](03_history.ipynb)
# <br>In end-to-end training all parts of a model learn together, from one loss, instead of one
# after the other.
#
# **entropy** · lesson [10](10_training.ipynb)
# <br>The entropy of some probabilities is the lowest cross-entropy that any prediction of them can
# reach, and it is 0 only where one outcome is certain.
#
# **envelope** · lesson [11](11_average_precision.ipynb)
# <br>The envelope of a precision-recall curve has, at each recall, the best precision that is
# reached there or at any higher recall.
#
# **equivariance** (equivariant) · lesson [08](08_heads.ipynb)
# <br>A function is equivariant under shifts if a shift of its input shifts its output in the same
# way, as with a convolution, and not with a fully connected layer.
#
# **evaluator** · lesson [11](11_average_precision.ipynb)
# <br>The evaluator is the program that compares all detections with the ground truth and computes
# the metric, in our case COCO's.
# <br>torchvision: none; its training scripts use pycocotools · detectron2: `COCOEvaluator`
#
# **exclusive** (exclusive end) · lesson [02](02_boxes.ipynb)
# <br>The right and bottom edges of our boxes are exclusive: they lie just behind the last pixel, so
# that a width is simply x2 - x1.
#
# **EXIF** · lesson [15](15_photographs.ipynb)
# <br>EXIF is the data that cameras store in image files, among it a note on how a picture that lies
# on its side is to be turned.
# <br>torchvision: none · detectron2: `detection_utils.read_image`
#
# ## F
#
# **false negative** (missed object) · lesson [11](11_average_precision.ipynb)
# <br>A false negative is an object that no detection is matched to.
#
# **false positive** · lesson [11](11_average_precision.ipynb)
# <br>A false positive is a detection that is not matched to any object of its class, because it
# lies elsewhere, has the wrong class, or is a duplicate.
#
# **Fast R-CNN** · lesson [03](03_history.ipynb)
# <br>Fast R-CNN sends the whole image through the backbone once, pools each region's features from
# the shared map, and learns class and box together.
# <br>torchvision: part of `FasterRCNN` · detectron2: `MODEL.PROPOSAL_GENERATOR.NAME =
# "PrecomputedProposals"`
#
# **Faster R-CNN** · lesson [03](03_history.ipynb)
# <br>Faster R-CNN is Fast R-CNN with proposals from a region proposal network that reads the same
# feature maps.
# <br>torchvision: `FasterRCNN`, `fasterrcnn_resnet50_fpn` · detectron2: `GeneralizedRCNN` with
# `MODEL.MASK_ON = False`
#
# **FCIS** · lesson [13](13_fcis.ipynb)
# <br>FCIS is a method for instance segmentation that has no heads: it reads masks and classes
# directly from position-sensitive maps.
#
# **feature** (feature vector) · lesson [04](04_backbone.ipynb)
# <br>A feature is a number that describes what the image shows around a location; all channels of a
# location together are its feature vector.
#
# **feature map** · lesson [04](04_backbone.ipynb)
# <br>A feature map is what a convolutional layer outputs: a grid of locations, each with a value in
# every channel.
# <br>torchvision: `features` · detectron2: `features`
#
# **feature pyramid network** (FPN, feature pyramid, pyramid) · lesson [04](04_backbone.ipynb)
# <br>A feature pyramid network turns the backbone's maps into maps of several strides that all
# carry information from the deepest layers: fine maps for small objects, coarse maps for large
# ones.
# <br>torchvision: `ops.FeaturePyramidNetwork` · detectron2: `FPN`
#
# **filled box** · lesson [10](10_training.ipynb)
# <br>The filled box is the simplest mask for a detection, every pixel of its box; a mask head must
# do better than that.
#
# **forest plot** · lesson [12](12_ablations.ipynb)
# <br>A forest plot has a row for each comparison, with the mean difference as a square and its
# confidence interval as a bar, so that one sees at once which intervals contain 0.
#
# **fully connected layer** (fully connected) · lesson [08](08_heads.ipynb)
# <br>In a fully connected layer each output is a weighted sum of all inputs, so that the layer does
# not know which inputs were neighbors.
# <br>torchvision: `nn.Linear` · detectron2: `nn.Linear`
#
# **fully convolutional network** (FCN, fully convolutional) · lesson [08](08_heads.ipynb)
# <br>A fully convolutional network consists of convolutions alone and keeps the spatial layout from
# its input to its output.
# <br>torchvision: `MaskRCNNHeads`, as the mask head · detectron2: `MaskRCNNConvUpsampleHead`, as
# the mask head
#
# **fusion** (fuse) · lesson [16](16_gpu.ipynb)
# <br>Fusion puts the work of several operators into one kernel, so that their intermediate results
# are never written into memory.
#
# ## G
#
# **gradient** · lesson [04](04_backbone.ipynb)
# <br>The gradient of a value says, for each input or weight, how fast the value changes when that
# input or weight changes a little.
#
# **gradient clipping** · lesson [10](10_training.ipynb)
# <br>Gradient clipping shortens a gradient that is too long, so that one strange batch cannot throw
# the weights far away.
# <br>torchvision: `nn.utils.clip_grad_norm_` of PyTorch · detectron2: `SOLVER.CLIP_GRADIENTS`
#
# **grid** · lesson [16](16_gpu.ipynb)
# <br>A kernel's grid is the number of programs that a launch starts, along one axis or several.
#
# **grid cell** · lesson [04](04_backbone.ipynb)
# <br>A grid cell is the square of stride × stride pixels around one location of a feature map.
#
# **ground truth** · lesson [00](00_start_here.ipynb)
# <br>Ground truth is what is known to be correct about an image: the objects' boxes, class labels
# and masks, against which predictions are compared.
# <br>torchvision: `targets` · detectron2: `gt_boxes`, `gt_classes`, `gt_masks`
#
# ## H
#
# **hard negative mining** · lesson [03](03_history.ipynb)
# <br>Hard negative mining trains a classifier again and again on those background examples that it
# still gets wrong.
#
# **head** · lesson [08](08_heads.ipynb)
# <br>A head is a small network at the end of a model that makes one kind of prediction, such as a
# class or a mask, from features.
# <br>torchvision: `RoIHeads` · detectron2: `ROIHeads`
#
# **held-out set** (validation set) · lesson [08](08_heads.ipynb)
# <br>A held-out set consists of images that the network is never trained on, so that a measurement
# on them shows how well it does on new images.
# <br>torchvision: none · detectron2: `DATASETS.TEST`
#
# ## I
#
# **ignored anchor** (ignored, ambiguous anchor) · lesson [05](05_anchors.ipynb)
# <br>An ignored anchor overlaps an object too much to count as background and too little to count
# as object, so training leaves it out.
# <br>torchvision: `BETWEEN_THRESHOLDS` of `Matcher` · detectron2: -1 in `MODEL.RPN.IOU_LABELS`
#
# **image-centric sampling** (image-centric) · lesson [10](10_training.ipynb)
# <br>In image-centric sampling a training step takes many RoIs from a few images, so that the RoIs
# of an image share its features.
# <br>torchvision: `box_batch_size_per_image` · detectron2: `SOLVER.IMS_PER_BATCH`,
# `MODEL.ROI_HEADS.BATCH_SIZE_PER_IMAGE`
#
# **image pyramid** · lesson [04](04_backbone.ipynb)
# <br>An image pyramid is the same image in several sizes; a network that sees all of them finds
# small and large objects, but does all of its work several times.
# <br>torchvision: none · detectron2: `GeneralizedRCNNWithTTA`, at test time
#
# **input gradient** · lesson [15](15_photographs.ipynb)
# <br>An input gradient says for each pixel how much an output would change if that pixel became a
# little brighter.
#
# **inside map** (outside map, inside, outside) · lesson [13](13_fcis.ipynb)
# <br>For each class FCIS predicts two sets of maps: inside, "in a box of this class and on its
# object", and outside, "in a box of this class and beside its object".
#
# **instance** · lesson [01](01_data.ipynb)
# <br>An instance is one object of a class: two cars are two instances.
# <br>torchvision: one row of the target · detectron2: one element of `Instances`
#
# **instance segmentation** · lesson [01](01_data.ipynb)
# <br>Instance segmentation finds every object in an image, says what it is, and marks the pixels of
# each object separately.
# <br>torchvision: `MaskRCNN` · detectron2: `GeneralizedRCNN` with `MODEL.MASK_ON = True`
#
# **intersection over union** (IoU) · lesson [02](02_boxes.ipynb)
# <br>The IoU of two boxes, or of two masks, is the area that they share divided by the area that at
# least one of them covers: 1 if they are equal, 0 if they do not touch.
# <br>torchvision: `ops.box_iou` · detectron2: `pairwise_iou`
#
# ## K
#
# **kernel** · lessons [04](04_backbone.ipynb), [16](16_gpu.ipynb)
# <br>A convolution's kernel is the square of weights that slides over the map; a GPU's kernel is
# something else, the function that it runs many times at once.
# <br>torchvision: `kernel_size` · detectron2: `kernel_size`
#
# ## L
#
# **L1 loss** (absolute error) · lesson [06](06_rpn.ipynb)
# <br>The L1 loss is the absolute value of an error; it grows in proportion to the error, however
# small or large that is.
# <br>torchvision: `F.l1_loss` · detectron2: `MODEL.RPN.SMOOTH_L1_BETA = 0`
#
# **L2 loss** (squared error) · lesson [06](06_rpn.ipynb)
# <br>The L2 loss is the square of an error; a single large error can outweigh all others.
# <br>torchvision: `F.mse_loss` in PyTorch · detectron2: none
#
# **lateral connection** · lesson [04](04_backbone.ipynb)
# <br>A lateral connection in an FPN brings a map of the backbone over to the pyramid, through a 1 ×
# 1 convolution that gives it the pyramid's number of channels.
# <br>torchvision: `inner_blocks` of `ops.FeaturePyramidNetwork` · detectron2: `fpn_lateral2` to
# `fpn_lateral5`
#
# **launch** · lesson [16](16_gpu.ipynb)
# <br>A launch is a call by which Python puts a kernel into the GPU's queue; Python doesn't wait for
# the result.
#
# **leakage** · lesson [15](15_photographs.ipynb)
# <br>Leakage is when images for testing show what images for training have shown, so that a model
# scores well by remembering.
#
# **learning rate** · lesson [10](10_training.ipynb)
# <br>The learning rate decides how far a training step moves the weights against the gradient.
# <br>torchvision: `lr` of PyTorch's optimizers · detectron2: `SOLVER.BASE_LR`
#
# **level** (pyramid level) · lesson [04](04_backbone.ipynb)
# <br>A level is one map of a feature pyramid; level k has a stride of 2 to the power of k.
# <br>torchvision: `featmap_names` of `ops.MultiScaleRoIAlign`, `"0"` to `"3"` · detectron2: `p2` to
# `p6`
#
# **level assignment** (level rule) · lesson [04](04_backbone.ipynb)
# <br>The level assignment decides from a RoI's size which level of the pyramid it is read from: the
# larger the RoI, the coarser the level.
# <br>torchvision: `ops.poolers.LevelMapper` · detectron2: `assign_boxes_to_levels`
#
# **linear scaling rule** · lesson [10](10_training.ipynb)
# <br>The linear scaling rule changes the learning rate in proportion to the number of images in a
# step.
# <br>torchvision: none · detectron2: `SOLVER.REFERENCE_WORLD_SIZE`
#
# **location** (position) · lesson [04](04_backbone.ipynb)
# <br>A location is one point of a feature map's grid, given by its row and its column.
#
# **logit** · lesson [06](06_rpn.ipynb)
# <br>A logit is a score before a sigmoid or a softmax turns it into a probability; it can be any
# number, and a logit of 0 means one half after a sigmoid.
# <br>torchvision: `cls_logits`, `class_logits` · detectron2: `pred_objectness_logits`,
# `pred_class_logits`
#
# **loss** · lesson [06](06_rpn.ipynb)
# <br>A loss is the number that training makes small: it says how far the predictions are from their
# targets.
# <br>torchvision: `loss_classifier`, `loss_box_reg`, `loss_mask`, `loss_objectness`,
# `loss_rpn_box_reg` · detectron2: `loss_cls`, `loss_box_reg`, `loss_mask`, `loss_rpn_cls`,
# `loss_rpn_loc`
#
# **low-quality match** · lesson [05](05_anchors.ipynb)
# <br>A low-quality match makes an object's best anchor positive even if their IoU is low, so that
# no object is left without an anchor.
# <br>torchvision: `allow_low_quality_matches` · detectron2: `allow_low_quality_matches`
#
# ## M
#
# **mask** · lessons [01](01_data.ipynb), [16](16_gpu.ipynb)
# <br>A mask says for each pixel whether it belongs to an object; in GPU code, a mask says instead
# which elements of a block may be read or written.
# <br>torchvision: `masks` · detectron2: `gt_masks`, `pred_masks`
#
# **mask head** (mask branch) · lesson [08](08_heads.ipynb)
# <br>The mask head predicts a small mask for each class from a RoI's features: K masks of m × m
# pixels, which are later stretched over the box.
# <br>torchvision: `MaskRCNNHeads`, `MaskRCNNPredictor` · detectron2: `MaskRCNNConvUpsampleHead`
#
# **mask IoU** · lesson [10](10_training.ipynb)
# <br>Mask IoU is the intersection over union of two masks: the number of pixels in both divided by
# the number of pixels in either.
#
# **mask loss** · lesson [09](09_mask_loss.ipynb)
# <br>The mask loss of a RoI is the binary cross-entropy between the mask of its ground-truth class
# and the target, averaged over the mask's pixels; the other classes' masks get no loss.
# <br>torchvision: `maskrcnn_loss` · detectron2: `mask_rcnn_loss`
#
# **mask merging** (mask voting) · lesson [13](13_fcis.ipynb)
# <br>In mask merging, all RoIs near a detection vote on its mask: the merged mask is the mean of
# theirs, weighted by their scores for the detection's class.
#
# **Mask R-CNN** · lesson [03](03_history.ipynb)
# <br>Mask R-CNN is Faster R-CNN with RoIAlign in place of RoIPool and with a third output, a mask
# for each RoI.
# <br>torchvision: `MaskRCNN`, `maskrcnn_resnet50_fpn` · detectron2: `GeneralizedRCNN` with
# `MODEL.MASK_ON = True`
#
# **matching** · lesson [05](05_anchors.ipynb)
# <br>Matching decides from the IoUs which object each anchor or RoI learns to predict, if any.
# <br>torchvision: `Matcher` · detectron2: `Matcher`
#
# **mini-batch** · lesson [10](10_training.ipynb)
# <br>A mini-batch is what one training step learns from: a few images, and from each of them a
# sample of anchors and of RoIs.
# <br>torchvision: `rpn_batch_size_per_image`, `box_batch_size_per_image` · detectron2:
# `SOLVER.IMS_PER_BATCH`, `MODEL.ROI_HEADS.BATCH_SIZE_PER_IMAGE`
#
# **misalignment** · lesson [07](07_roi_align.ipynb)
# <br>Misalignment is the distance between the place where a feature is read and the place that it
# stands for, in pixels of the image.
#
# **momentum** · lesson [10](10_training.ipynb)
# <br>Momentum adds a part of the optimizer's last movement, usually nine tenths, to the next one,
# so that steps in the same direction add up.
# <br>torchvision: `momentum` of PyTorch's `SGD` · detectron2: `SOLVER.MOMENTUM`
#
# **multi-task loss** · lesson [09](09_mask_loss.ipynb)
# <br>A multi-task loss is a sum of losses, one for each kind of prediction, so that one network
# learns all of them at once.
# <br>torchvision: the sum over the dict of losses · detectron2: the sum over the dict of losses
#
# **multilayer perceptron** (MLP) · lesson [08](08_heads.ipynb)
# <br>A multilayer perceptron is a stack of fully connected layers with an activation function such
# as ReLU between them.
# <br>torchvision: `TwoMLPHead`, as the box head · detectron2: `FastRCNNConvFCHead`, as the box head
#
# **multiply-add** (MAC, FLOP) · lesson [17](17_costs.ipynb)
# <br>A multiply-add is one multiplication and the addition that follows it; the number of
# multiply-adds measures a network's work, and a FLOP count is the same number or twice as large,
# depending on the author.
# <br>torchvision: none · detectron2: `FlopCountAnalysis`
#
# ## N
#
# **negative** (negative anchor) · lesson [05](05_anchors.ipynb)
# <br>A negative is an anchor or a RoI that overlaps every object too little and is trained to be
# background.
# <br>torchvision: `BELOW_LOW_THRESHOLD` of `Matcher` · detectron2: label 0 in
# `MODEL.RPN.IOU_LABELS`
#
# **non-maximum suppression** (NMS) · lesson [02](02_boxes.ipynb)
# <br>Non-maximum suppression goes through the boxes from the highest score to the lowest, and drops
# each one whose IoU with a box it has kept is above a threshold.
# <br>torchvision: `ops.nms`, `ops.batched_nms`; `rpn_nms_thresh`, `box_nms_thresh` · detectron2:
# `batched_nms`; `MODEL.RPN.NMS_THRESH`, `MODEL.ROI_HEADS.NMS_THRESH_TEST`
#
# ## O
#
# **object detection** (detector) · lesson [01](01_data.ipynb)
# <br>Object detection finds every object in an image and gives each a box, a class label and a
# score.
# <br>torchvision: `FasterRCNN` · detectron2: `GeneralizedRCNN`
#
# **objectness score** (objectness) · lesson [06](06_rpn.ipynb)
# <br>The objectness score of an anchor is the RPN's confidence that the anchor lies on an object,
# of whatever class.
# <br>torchvision: `objectness`, `cls_logits` · detectron2: `objectness_logits`
#
# **one-stage detector** (two-stage detector) · lesson [03](03_history.ipynb)
# <br>A one-stage detector such as SSD, YOLO or RetinaNet predicts classes and boxes at every
# location at once; a two-stage detector first selects proposals and then looks at each of them.
# <br>torchvision: `RetinaNet`, `SSD`, `FCOS` · detectron2: `RetinaNet`, `FCOS`
#
# **operator** · lesson [16](16_gpu.ipynb)
# <br>An operator is one call into PyTorch's library, such as a convolution, a sum or a comparison.
#
# **output layer** · lesson [08](08_heads.ipynb)
# <br>An output layer is the last layer of a head, which turns its features into scores, deltas or
# masks.
# <br>torchvision: `box_predictor`, `mask_predictor` · detectron2: `FastRCNNOutputLayers`,
# `predictor`
#
# **overfitting** (overfit) · lesson [10](10_training.ipynb)
# <br>A network is overfitting when it learns its training images by heart, and so does much better
# on them than on others.
#
# ## P
#
# **padding** · lesson [04](04_backbone.ipynb)
# <br>Padding adds a border to a map before a convolution, or to an image so that its sides become
# multiples of 32; the border is usually zeros.
# <br>torchvision: `size_divisible` · detectron2: `size_divisibility`
#
# **paired difference** (pair) · lesson [12](12_ablations.ipynb)
# <br>A paired difference is the score of one setting minus that of another, both from the same
# seed, so that what the two runs have in common cancels.
#
# **panoptic segmentation** · lesson [01](01_data.ipynb)
# <br>Panoptic segmentation gives every pixel of the image a class and, where the class is
# countable, also says which object it belongs to.
# <br>torchvision: none · detectron2: `PanopticFPN`
#
# **parameter** (weight) · lesson [06](06_rpn.ipynb)
# <br>Parameters are the numbers that a network learns: the weights and the biases of its layers.
#
# **polygon** · lesson [01](01_data.ipynb)
# <br>A polygon stores an outline as its corners, x and y in turn; an object in several pieces needs
# several polygons.
# <br>torchvision: none; its training scripts draw them as masks · detectron2: `PolygonMasks`
#
# **pooling** · lesson [07](07_roi_align.ipynb)
# <br>Pooling makes one value out of several, usually their maximum or their mean.
#
# **position-sensitive map** (positional sensitivity) · lesson [13](13_fcis.ipynb)
# <br>A position-sensitive map answers for one part of an object, such as the upper left ninth; a
# region reads each of its parts from a different map.
# <br>torchvision: `ops.ps_roi_pool`, `ops.ps_roi_align` · detectron2: none
#
# **positive** (positive anchor) · lesson [05](05_anchors.ipynb)
# <br>A positive is an anchor or a RoI that overlaps an object enough to learn from it.
# <br>torchvision: `rpn_fg_iou_thresh`, `box_fg_iou_thresh` · detectron2: label 1 in
# `MODEL.RPN.IOU_LABELS`
#
# **precise RoI pooling** · lesson [07](07_roi_align.ipynb)
# <br>Precise RoI pooling is RoIAlign with all points of a bin: the mean of the interpolated map
# over the whole bin, computed as an integral.
#
# **precision** · lesson [11](11_average_precision.ipynb)
# <br>Precision is the fraction of the detections that are correct.
#
# **precision-recall curve** · lesson [11](11_average_precision.ipynb)
# <br>A precision-recall curve shows the precision at each recall as detections are accepted one by
# one, from the highest score to the lowest.
#
# **prediction** · lesson [00](00_start_here.ipynb)
# <br>A prediction is what the network outputs for an image, or for one box in it; unlike the ground
# truth, it may be wrong.
# <br>torchvision: the output in eval mode · detectron2: `pred_` fields of `Instances`
#
# **pretraining** (fine-tuning) · lesson [03](03_history.ipynb)
# <br>A pretrained network has learned another task before, often to classify ImageNet's
# photographs; fine-tuning trains it further on the task at hand.
# <br>torchvision: `weights`, `weights_backbone` · detectron2: `MODEL.WEIGHTS`
#
# **profiler** · lesson [16](16_gpu.ipynb)
# <br>A profiler records when each operator begins and ends, so that one sees what takes the time.
# <br>torchvision: none · detectron2: `TorchProfiler`
#
# **program** · lesson [16](16_gpu.ipynb)
# <br>A Triton kernel runs as many programs at once; each of them computes one block of the result
# and knows its number, its program id.
#
# **proposal** (region proposal) · lesson [06](06_rpn.ipynb)
# <br>A proposal is a box that probably contains an object, of whatever class; the RPN selects about
# a thousand of them, and the heads look at nothing else.
# <br>torchvision: `proposals` · detectron2: `proposal_boxes`
#
# **pycocotools** · lesson [11](11_average_precision.ipynb)
# <br>The program pycocotools computes COCO's metrics from files of annotations and results.
# <br>torchvision: its training scripts use it · detectron2: `COCOEvaluator` uses it
#
# ## Q
#
# **queue** · lesson [16](16_gpu.ipynb)
# <br>A GPU's queue holds the kernels that have been launched and not yet run; the GPU takes them in
# the order in which they came.
#
# ## R
#
# **R-CNN** · lesson [03](03_history.ipynb)
# <br>R-CNN cuts about 2,000 proposals out of the image, scales each to a fixed size, and sends
# every one through a convolutional network by itself.
#
# **ranking** (ranked list) · lesson [11](11_average_precision.ipynb)
# <br>A ranking is the list of all detections of a class, sorted by their scores, best one first.
#
# **recall** · lesson [06](06_rpn.ipynb)
# <br>Recall is the fraction of the objects that are found: by the detections, or by the proposals.
# <br>torchvision: none · detectron2: AR of `COCOEvaluator`, for proposals
#
# **receptive field** · lesson [04](04_backbone.ipynb)
# <br>The receptive field of a value in a feature map is the square of image pixels that can
# influence it.
#
# **region of interest** (RoI, region) · lesson [07](07_roi_align.ipynb)
# <br>A region of interest is a box whose features are read from a feature map and given to the
# heads.
# <br>torchvision: a row of `proposals` · detectron2: a row of `proposal_boxes`
#
# **region proposal network** (RPN) · lesson [06](06_rpn.ipynb)
# <br>The region proposal network is a small network that slides over the feature maps and predicts,
# for each anchor, an objectness score and box deltas.
# <br>torchvision: `RegionProposalNetwork`, `RPNHead` · detectron2: `RPN`, `StandardRPNHead`
#
# **regression** · lesson [02](02_boxes.ipynb)
# <br>Regression is the prediction of continuous values, such as box deltas, in contrast to the
# prediction of a class.
#
# **relative gain** (relative) · lesson [12](12_ablations.ipynb)
# <br>A relative gain is an improvement divided by the old score: from 20 to 25 is 5 points, and a
# relative gain of 25 %.
#
# **ReLU** · lesson [08](08_heads.ipynb)
# <br>ReLU is the function between two layers that sets negative values to 0 and leaves the others
# as they are.
# <br>torchvision: `nn.ReLU` · detectron2: `nn.ReLU`
#
# **res5** (res5 head) · lesson [08](08_heads.ipynb)
# <br>Res5 is the last stage of a ResNet; a C4 model runs it on each RoI, as the first part of its
# heads.
# <br>torchvision: `layer4` of `models.ResNet` · detectron2: `Res5ROIHeads`
#
# **residual block** (residual connection) · lesson [04](04_backbone.ipynb)
# <br>A residual block adds its input to the output of its convolutions, so that these only learn
# the difference, and gradients pass through the sum unchanged.
# <br>torchvision: `models.resnet.BasicBlock`, `models.resnet.Bottleneck` · detectron2:
# `BasicBlock`, `BottleneckBlock`
#
# **ResNet** · lesson [04](04_backbone.ipynb)
# <br>A ResNet is a convolutional network built of residual blocks; ResNet-50 has 50 layers with
# weights.
# <br>torchvision: `models.resnet50`, `resnet_fpn_backbone` · detectron2: `ResNet`,
# `MODEL.RESNETS.DEPTH`
#
# **RoIAlign** · lesson [07](07_roi_align.ipynb)
# <br>RoIAlign reads a RoI's features without any rounding: it takes a few points in each bin, reads
# each by bilinear interpolation, and averages them.
# <br>torchvision: `ops.roi_align`, `ops.MultiScaleRoIAlign` · detectron2: `ROIAlign`, as
# `"ROIAlignV2"` with a shift of half a pixel
#
# **RoIPool** · lesson [07](07_roi_align.ipynb)
# <br>RoIPool rounds a RoI to whole positions of the feature map, divides it into bins, rounds these
# as well, and takes the maximum in each bin.
# <br>torchvision: `ops.roi_pool` · detectron2: `"ROIPool"`
#
# **RoIWarp** · lesson [07](07_roi_align.ipynb)
# <br>RoIWarp rounds a RoI to whole positions, as RoIPool does, but then divides it into equal bins
# and reads them by bilinear interpolation.
#
# **roofline** · lesson [16](16_gpu.ipynb)
# <br>The roofline is the shortest time that a computation can take on a machine: either the time to
# move its bytes or the time to do its operations, whichever is longer.
#
# **run-length encoding** (RLE) · lesson [01](01_data.ipynb)
# <br>Run-length encoding stores a mask as the lengths of its runs of equal pixels; COCO reads down
# the columns and begins with the zeros.
# <br>torchvision: none; its training scripts use pycocotools · detectron2: RLE in `segmentation`,
# `INPUT.MASK_FORMAT = "bitmask"`
#
# ## S
#
# **sample point** · lesson [07](07_roi_align.ipynb)
# <br>The sample points of a bin are the points, between the positions of the map, at which RoIAlign
# reads; each bin returns the mean of what it reads there.
# <br>torchvision: `sampling_ratio` of `ops.roi_align` · detectron2:
# `MODEL.ROI_BOX_HEAD.POOLER_SAMPLING_RATIO`
#
# **sampling** (sample) · lesson [06](06_rpn.ipynb)
# <br>Sampling draws, for each training step, a fixed number of anchors or RoIs with a limited
# fraction of positives, because background would outnumber the objects by far.
# <br>torchvision: `BalancedPositiveNegativeSampler` · detectron2: `subsample_labels`
#
# **score** (confidence) · lesson [11](11_average_precision.ipynb)
# <br>A detection's score, or confidence, is the probability that the network gives to its class;
# detections are ranked by it.
# <br>torchvision: `scores` · detectron2: `scores`
#
# **seed** · lesson [12](12_ablations.ipynb)
# <br>A seed is the number that a random generator starts from; the same seed gives the same initial
# weights and the same order of the images.
# <br>torchvision: `torch.manual_seed` in PyTorch · detectron2: `SEED`
#
# **selective search** · lesson [03](03_history.ipynb)
# <br>Selective search proposes regions without learning: it divides the image into small segments
# and merges neighbors that look alike, step by step.
# <br>torchvision: none · detectron2: none; stored proposals are read from
# `DATASETS.PROPOSAL_FILES_TRAIN`
#
# **semantic map** · lesson [01](01_data.ipynb)
# <br>A semantic map is the output of semantic segmentation: one image with a class label in every
# pixel.
# <br>torchvision: `"out"` of its segmentation models · detectron2: `sem_seg`
#
# **semantic segmentation** · lesson [01](01_data.ipynb)
# <br>Semantic segmentation gives every pixel a class; two objects of a class that touch become one
# region.
# <br>torchvision: `models.segmentation.fcn_resnet50` and others · detectron2: `SemanticSegmentor`
#
# **sigmoid** · lesson [06](06_rpn.ipynb)
# <br>The sigmoid turns a logit into a probability between 0 and 1, independently of all other
# logits.
#
# **smooth L1** (smooth L1 loss) · lesson [06](06_rpn.ipynb)
# <br>The smooth L1 loss grows with the square of a small error and in proportion to a large one, so
# that outliers do not dominate.
# <br>torchvision: `F.smooth_l1_loss(beta=1 / 9)` · detectron2: `MODEL.RPN.SMOOTH_L1_BETA`, 0 by
# default
#
# **soft-NMS** · lesson [02](02_boxes.ipynb)
# <br>Soft-NMS lowers the scores of boxes that overlap a better one, instead of dropping them.
#
# **softmax** · lesson [09](09_mask_loss.ipynb)
# <br>A softmax turns the logits of several classes into probabilities that add up to 1, so that one
# class's gain is the others' loss.
#
# **stage** · lesson [04](04_backbone.ipynb)
# <br>A stage is a group of layers of the backbone whose maps have the same size; between stages the
# maps are halved.
# <br>torchvision: `layer1` to `layer4` of `models.ResNet` · detectron2: `res2` to `res5`
#
# **stride** · lesson [04](04_backbone.ipynb)
# <br>A convolution's stride is the step by which it moves; a feature map's stride is the distance
# between two of its locations, in pixels of the image.
# <br>torchvision: `stride`; for RoIs its inverse, `spatial_scale` · detectron2: `stride`,
# `ShapeSpec.stride`
#
# **support vector machine** (SVM) · lesson [03](03_history.ipynb)
# <br>A support vector machine is a linear classifier that is trained to keep a margin between two
# classes; R-CNN has one for each class of objects.
#
# **synchronization** (synchronization point) · lesson [16](16_gpu.ipynb)
# <br>A synchronization is a moment at which Python waits until the GPU has done all its work, for
# example to read a number.
#
# **synthetic image** · lesson [00](00_start_here.ipynb)
# <br>A synthetic image is rendered by a program, so that its ground truth is known exactly.
#
# ## T
#
# **target** · lesson [10](10_training.ipynb)
# <br>A target is what a prediction should be, and what the loss compares it with.
# <br>torchvision: `targets` · detectron2: the `gt_` fields of `Instances`
#
# **TF32** · lesson [16](16_gpu.ipynb)
# <br>TF32 is a way to multiply float32 matrices on NVIDIA's GPUs, which rounds the inputs to 10
# binary digits behind the point and is the default for convolutions in PyTorch.
#
# **thing** (stuff) · lesson [01](01_data.ipynb)
# <br>Things are objects that can be counted, such as cars; stuff, such as sky or grass, has no
# separate objects.
# <br>torchvision: none · detectron2: `thing_classes`, `stuff_classes`
#
# **threshold** · lesson [15](15_photographs.ipynb)
# <br>A threshold divides values into those above it and those below it, such as bright and dark
# pixels, or scores that count and scores that don't.
#
# **tile** · lesson [15](15_photographs.ipynb)
# <br>A tile is a piece of a large image that goes through a network by itself; tiles overlap, so
# that each object is whole in one of them.
#
# **top-down pathway** · lesson [04](04_backbone.ipynb)
# <br>The top-down pathway of an FPN enlarges the coarser map, step by step, and adds it to the
# finer one, so that information from the deepest layers reaches the finest map.
# <br>torchvision: the loop in `ops.FeaturePyramidNetwork.forward` · detectron2: the loop in
# `FPN.forward`
#
# **training run** · lesson [12](12_ablations.ipynb)
# <br>A training run is one training of a model from its initial weights to its last step.
#
# **true positive** · lesson [11](11_average_precision.ipynb)
# <br>A true positive is a detection that is matched to an object of its class with enough IoU.
#
# ## U
#
# **upper bound** · lesson [08](08_heads.ipynb)
# <br>The upper bound of a mask size is the IoU that a perfect mask head would reach, since even its
# mask is only m × m pixels before it is stretched over the box.
#
# **upsampling** · lesson [04](04_backbone.ipynb)
# <br>Upsampling enlarges a map; an FPN does it in the simplest way and repeats each value in a
# square of 2 × 2.
# <br>torchvision: `F.interpolate` · detectron2: `F.interpolate`
#
# ## V
#
# **vector** (flattened vector) · lesson [08](08_heads.ipynb)
# <br>A flattened vector lists all values of a feature map in one row; which of them were neighbors
# can no longer be seen.
# <br>torchvision: `flatten(start_dim=1)` · detectron2: `nn.Flatten`
#
# ## W
#
# **warm-up** · lesson [10](10_training.ipynb)
# <br>Warm-up raises the learning rate from a small value to its full value over the first steps of
# a training run.
# <br>torchvision: `LinearLR` in its training scripts · detectron2: `SOLVER.WARMUP_ITERS`
#
# **warping** (warp, warps) · lesson [03](03_history.ipynb)
# <br>Warping scales a region of the image to a fixed size, whatever its shape was.
#
# **watershed** · lesson [15](15_photographs.ipynb)
# <br>A watershed floods an image from given seeds, with edges as mountains, and draws borders where
# the floods meet.
#
# **weight decay** · lesson [10](10_training.ipynb)
# <br>Weight decay pulls every weight a little toward 0 at each training step.
# <br>torchvision: `weight_decay` of PyTorch's optimizers · detectron2: `SOLVER.WEIGHT_DECAY`
