"""Anchor coverage is the best IoU between each object and the anchors that the model would use."""

import torch

from mrcnn_edu.boxes import box_iou
from mrcnn_edu.data import Shapes
from mrcnn_edu.data.coverage import anchor_coverage


def test_coverage_is_that_of_the_models_own_anchors(tiny_model, random_targets):
    model = tiny_model()
    dataset = [random_targets(3, size) for size in ((48, 64), (96, 96), (130, 70))]
    coverage = anchor_coverage(dataset, model.config, model.backbone.strides)
    best_iou, sizes = [], []
    for image, target in dataset:
        batch = model.preprocess([image])
        (objects,) = model.scale_targets([target], batch)
        anchors = torch.cat(model.anchors(model.features(batch), batch))
        best_iou.append(box_iou(objects["boxes"], anchors).amax(dim=1))
        width, height = (objects["boxes"][:, 2:] - objects["boxes"][:, :2]).T
        sizes.append((width * height).sqrt())
    torch.testing.assert_close(coverage.best_iou, torch.cat(best_iou))
    torch.testing.assert_close(coverage.sizes, torch.cat(sizes))


def test_an_object_equal_to_an_anchor_is_covered_perfectly_and_no_object_gives_no_rows(tiny_model):
    config, strides = tiny_model().config, (4, 8, 16)  # anchors of size 8 stand every 4 pixels
    box = torch.tensor([[20.0, 20, 28, 28]])
    image, target = torch.rand(3, 48, 48), {"boxes": box}
    coverage = anchor_coverage([(image, target)], config, strides)
    assert coverage.best_iou.tolist() == [1] and coverage.sizes.tolist() == [8]
    empty = anchor_coverage([(image, {"boxes": box[:0]})], config, strides)
    assert empty.sizes.shape == empty.best_iou.shape == (0,)
    assert len(anchor_coverage([], config, strides).sizes) == 0


def test_only_the_first_n_images_are_used(tiny_model):
    scenes = Shapes(5, seed=3)
    few = anchor_coverage(scenes, tiny_model().config, (4, 8, 16), n=2)
    assert len(few.sizes) == sum(len(scenes[i][1]["boxes"]) for i in range(2))
