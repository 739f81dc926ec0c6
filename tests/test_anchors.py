"""Anchors against numbers worked out by hand and against torchvision's AnchorGenerator."""

import pytest
import torch
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.image_list import ImageList

from mrcnn_edu.anchors import base_anchors, level_anchors, pyramid_anchors
from mrcnn_edu.data.coverage import pyramid_grids

RATIOS = (0.5, 1.0, 2.0)
SIZES = ((32,), (64,), (128,), (256,), (512,))


def test_base_anchors_worked_out_by_hand():
    # 32 * sqrt(1/2) = 22.6 and 32 * sqrt(2) = 45.3, halved and rounded
    expected = [[-23, -11, 23, 11], [-16, -16, 16, 16], [-11, -23, 11, 23]]
    assert base_anchors((32,), RATIOS).tolist() == expected
    two_sizes = base_anchors((2, 4), (1.0,))
    assert two_sizes.tolist() == [[-1, -1, 1, 1], [-2, -2, 2, 2]]


def test_anchors_go_row_by_row_and_cell_by_cell():
    base = torch.tensor([[-1.0, -1, 1, 1], [-2, -1, 2, 1]])
    anchors = level_anchors(base, grid=(2, 3), stride=(10, 100))  # stride (y, x)
    corner = anchors.reshape(2, 3, 2, 4) - base  # without the base only the cell is left
    assert corner[1, 2].tolist() == [[200, 10, 200, 10]] * 2
    assert corner[:, :, 0, 0].tolist() == [[0, 100, 200]] * 2
    assert corner[:, :, 0, 1].tolist() == [[0, 0, 0], [10, 10, 10]]


def _of_torchvision(grids, image_size, sizes, ratios):
    generator = AnchorGenerator(sizes, (ratios,) * len(sizes))
    images = ImageList(torch.zeros(1, 3, *image_size), [image_size])
    return generator(images, [torch.zeros(1, 1, *grid) for grid in grids])[0]


def test_anchors_of_the_papers_image_equal_torchvisions():
    grids = [(200, 272), (100, 136), (50, 68), (25, 34), (13, 17)]
    levels = pyramid_anchors(grids, (800, 1088), SIZES, RATIOS)
    assert [len(level) for level in levels] == [3 * h * w for h, w in grids]
    assert sum(map(len, levels)) == 217_413
    assert levels[4][3 * 17, :2].tolist() == [-362, 61 - 181]  # the second row of P6: stride 61
    assert torch.equal(torch.cat(levels), _of_torchvision(grids, (800, 1088), SIZES, RATIOS))


@pytest.mark.parametrize("seed", range(20))
def test_anchors_of_odd_sizes_equal_torchvisions(seed):
    generator = torch.Generator().manual_seed(seed)
    height, width = torch.randint(65, 300, (2,), generator=generator).tolist()
    strides = (4, 9, 31, 64)
    grids = [(-(-height // s), -(-width // s)) for s in strides]
    sizes = ((12, 17.5), (24, 33), (48, 70), (100, 150))
    ratios = (0.3, 1.0, 1.7)
    levels = pyramid_anchors(grids, (height, width), sizes, ratios)
    assert torch.equal(torch.cat(levels), _of_torchvision(grids, (height, width), sizes, ratios))


def test_sizes_and_levels_must_agree():
    with pytest.raises(ValueError, match="3 tuples of anchor sizes for 2 feature maps"):
        pyramid_anchors([(4, 4), (2, 2)], (16, 16), ((4,), (8,), (16,)), RATIOS)


@pytest.mark.parametrize("size", [(96, 96), (64, 160), (16, 16), (96, 176)])
def test_grids_are_those_of_the_network(tiny_model, size):
    model = tiny_model().eval()
    with torch.no_grad():
        maps = model.neck(model.backbone(torch.rand(1, 3, *size)))
    assert pyramid_grids(size, model.backbone.strides) == [tuple(m.shape[-2:]) for m in maps]
