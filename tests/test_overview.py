"""Counts, sizes and fitting anchors of a dataset, with and without reading its images."""

from dataclasses import replace

import pytest
import torch
from own_data import make_folder

from mrcnn_edu.config import Config
from mrcnn_edu.data import Augmentation, Augmented, Cached, CocoFolder, Shapes, write_coco
from mrcnn_edu.data.coverage import Coverage, anchor_coverage
from mrcnn_edu.data.overview import (
    coverage_rows,
    images_to_show,
    overview,
    suggest_sizes,
    with_sizes,
)
from mrcnn_edu.viz import show_overview, show_sheet


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    folder = make_folder(tmp_path_factory.mktemp("own") / "photographs", 64)
    return CocoFolder(folder / "images", folder / "annotations.json")


class _Items:
    """The items of a folder as a plain sequence."""

    def __init__(self, data):
        self.classes, self.items = data.classes, [data[i] for i in range(len(data))]

    def __len__(self):
        return len(self.items)

    def __getitem__(self, index):
        return self.items[index]


def test_a_folder_is_described_from_its_json_as_from_its_items(photographs, tmp_path):
    write_coco(Shapes(4, size=48, seed=5), tmp_path)
    for data in (photographs, CocoFolder(tmp_path / "images", tmp_path / "annotations.json")):
        fast = overview(data)
        slow = overview(_Items(data))
        assert fast.image_sizes == slow.image_sizes and fast.n_crowds == slow.n_crowds
        for name in ("boxes", "labels"):
            for a, b in zip(getattr(fast, name), getattr(slow, name), strict=True):
                torch.testing.assert_close(a, b)
    found = overview(photographs)
    assert found.n_crowds == 2 and found.counts().tolist() == [3, 1, 2]  # by category id
    assert [len(labels) for labels in found.labels] == [2, 1, 1, 1, 1, 0]


def test_the_coverage_is_that_of_the_items_at_the_networks_size(photographs):
    config = Config.tiny(3)
    found = overview(photographs)
    items = [
        (image, {"boxes": t["boxes"][~t["iscrowd"]]})
        for image, t in map(photographs.__getitem__, range(6))
    ]
    expected = anchor_coverage(items, config, (4, 8, 16))
    coverage = found.coverage(config)
    torch.testing.assert_close(coverage.best_iou, expected.best_iou)
    torch.testing.assert_close(coverage.sizes, expected.sizes)
    torch.testing.assert_close(found.object_sizes(config), expected.sizes)
    assert len(found.coverage(config, n=2).sizes) < 6


def test_what_cannot_be_used_is_skipped(photographs):
    broken = CocoFolder(photographs.folder, photographs.file)
    one, two, *_ = broken.coco.contents["annotations"]
    one["bbox"], two["category_id"] = [1, 2], 77
    broken.records = [*broken.records, {"id": 99, "file_name": "lost.png"}]
    found = overview(broken)
    assert len(found.image_sizes) == 6 and len(torch.cat(found.labels)) == 4


def test_wrapped_folders_are_described(photographs):
    found = overview(Cached(photographs, 1e6))
    assert found.image_sizes == overview(photographs).image_sizes and found.n_crowds == 2
    flipped = overview(Augmented(photographs, Augmentation(1.0).transform()))
    assert flipped.counts().equal(found.counts()) and flipped.image_sizes == found.image_sizes
    width, boxes = found.image_sizes[0][1], found.boxes[0]
    mirrored = torch.stack((width - boxes[:, 2], boxes[:, 1], width - boxes[:, 0], boxes[:, 3]), 1)
    torch.testing.assert_close(flipped.boxes[0], mirrored)


def test_sizes_are_suggested_where_the_objects_are():
    sizes = torch.tensor([8.0] * 40 + [30.0] * 90 + [150.0] * 10)[torch.randperm(140)]
    assert suggest_sizes(sizes, 3) == [8, 30, 150]
    assert suggest_sizes(sizes * (1 + 0.1 * torch.rand(140)), 3) == [8, 31, 157]
    assert suggest_sizes(torch.full((9,), 20.0), 3) == [20, 24, 29]  # levels always differ
    assert suggest_sizes(torch.zeros(0), 3) == []
    assert suggest_sizes(torch.tensor([0.0]), 2) == [4, 5]


def test_suggested_sizes_fit_better_than_those_for_photographs():
    found = overview(Shapes(80, seed=2))
    config = replace(Config(), short_side=96, long_side=160)
    sizes = suggest_sizes(found.object_sizes(config), 5)
    assert sizes == sorted(set(sizes))
    now, then = (found.coverage(c).best_iou for c in (config, with_sizes(config, sizes)))
    assert then.mean() > now.mean() + 0.05


def test_coverage_is_summarized_by_object_size():
    coverage = Coverage(torch.tensor([9.0, 15, 16, 40]), torch.tensor([0.2, 0.8, 0.7, 0.5]))
    rows = coverage_rows(coverage)
    assert [row[:2] for row in rows] == [
        ("8 to 16", 2),
        ("16 to 32", 1),
        ("32 to 64", 1),
        ("all", 4),
    ]
    assert rows[0][2] == pytest.approx(0.5) and rows[0][3:] == ("50 %", "50 %")
    assert rows[1][3:] == ("100 %", "0 %") and rows[-1][3:] == ("50 %", "25 %")


def test_every_class_is_shown_first(photographs):
    found = overview(photographs)
    shown = images_to_show(found, 3)
    labels = torch.cat([found.labels[i] for i in shown])
    assert len(shown) == 3 and set(labels.tolist()) == {1, 2, 3}
    assert sorted(images_to_show(found, 12)) == list(range(6))
    assert images_to_show(found, 1) == [0]


def test_pictures(photographs):
    found = overview(photographs)
    sizes = found.object_sizes(Config.tiny(3))
    per_image = torch.tensor([len(labels) for labels in found.labels])
    anchors = {"now": [12.0, 24.0], "then": [30.0, 60.0]}
    picture = show_overview(
        found.classes, found.counts(), sizes, found.image_sizes, per_image, anchors
    )
    bars = picture.axes[0].patches
    assert [bar.get_width() for bar in bars] == [3, 2, 1]
    assert sum(bar.get_height() for bar in picture.axes[1].patches) == 6
    assert [bar.get_height() for bar in picture.axes[3].patches] == [1, 4, 1]
    assert len(picture.axes[1].lines) == 4 and picture.png()[:4] == b"\x89PNG"
    sheet = show_sheet({f"{i}": photographs[i] for i in range(5)}, found.classes)
    titles = [axes.get_title() for axes in sheet.axes]
    assert titles[:5] == ["0 (1 crowd)", "1 (1 crowd)", "2", "3", "4"] and sheet.png()
