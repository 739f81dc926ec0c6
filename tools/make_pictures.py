"""Draw the pictures of the guides again, after the scenes, the look or the weights have changed.

    python tools/make_pictures.py [FOLDER]

The hero shows what the model that comes with the package detects in a scene it has not seen.
"""

import sys
from io import BytesIO
from pathlib import Path

import torch
from PIL import Image, ImageDraw
from torch import Tensor

from mrcnn_edu import load, viz
from mrcnn_edu.data import Shapes
from mrcnn_edu.detections import Detections, paste_masks
from mrcnn_edu.files import write_file

FOLDER = Path(__file__).parents[1] / "docs" / "pictures"
SEED, SCENE = 1, 511  # of the hero
SCALE = 8  # pixels of the hero for each pixel that the network sees
COLUMNS, ROWS, TILE = 6, 4, 256  # of the contact sheet, and the width of a scene in it
CARD = "#FCFCFA"  # the background, in light and in dark pages
MARGIN, RADIUS = 24, 36  # of a card, in pixels
BOX = torch.tensor([39.0, 28, 117, 90])  # a RoI that each operation reads differently


def main(folder: Path = FOLDER) -> None:
    """Write all pictures into a folder."""
    write_file(folder / "hero.webp", encoded(card(figure(hero())), "webp", quality=88))
    write_file(folder / "scenes.webp", encoded(card(contact_sheet()), "webp", quality=80))
    titles = (
        "RoIAlign: nothing is rounded",
        "RoIWarp: the RoI is rounded",
        "RoIPool: its bins are as well",
    )
    bins = viz.show_bins(BOX, stride=16, titles=titles)
    write_file(folder / "bins.png", encoded(card(figure(bins)), "png", optimize=True))


def hero() -> viz.Picture:
    """A scene, and beside it the model's detections in it."""
    scenes = Shapes(SCENE + 1, seed=SEED)
    crisp = Shapes(SCENE + 1, seed=SEED, render_size=SCALE * scenes.size)
    found = enlarged(detect(scenes[SCENE][0]), SCALE, scenes.size)
    picture, (left, right) = viz.row(2, width=4.8)
    image = crisp[SCENE][0]
    viz.draw_image(left, image, "the image")
    objects = found.boxes, found.labels, found.masks
    viz.draw_instances(
        right, image, *objects, scenes.classes, found.scores, "what Mask R-CNN finds in it"
    )
    return picture


def detect(image: Tensor) -> Detections:
    """The confident detections of the model that comes with the package."""
    (found,) = load("shapes-tiny").eval().detect([image])
    return found[found.scores > 0.5]


def enlarged(d: Detections, scale: int, size: int) -> Detections:
    """The detections in an image of `scale` times the size: the m x m masks are pasted into it."""
    assert d.mask_probs is not None
    boxes, new_size = scale * d.boxes, (scale * size, scale * size)
    masks = paste_masks(d.mask_probs, boxes, new_size)
    return Detections(boxes, d.labels, d.scores, masks, d.mask_probs)


def contact_sheet() -> Image.Image:
    """The first scenes of a seed, in rows."""
    scenes = Shapes(COLUMNS * ROWS, seed=SEED, render_size=384)
    step = TILE + 8
    sheet = Image.new("RGB", (COLUMNS * step - 8, ROWS * step - 8), CARD)
    for i in range(len(scenes)):
        pixels = (255 * scenes[i][0].clamp(0, 1)).byte().permute(1, 2, 0).numpy()
        tile = Image.fromarray(pixels).resize((TILE, TILE), Image.Resampling.LANCZOS)
        sheet.paste(tile, (i % COLUMNS * step, i // COLUMNS * step))
    return sheet


def figure(picture: viz.Picture) -> Image.Image:
    """The pixels of a figure in the color of a card."""
    picture.set_facecolor(CARD)
    return Image.open(BytesIO(picture.png()))


def card(inside: Image.Image) -> Image.Image:
    """A picture on a card with round corners, which can be read on light and on dark pages."""
    size = inside.width + 2 * MARGIN, inside.height + 2 * MARGIN
    pixels = Image.new("RGB", size, CARD)
    pixels.paste(inside, (MARGIN, MARGIN))
    return rounded(pixels)


def rounded(pixels: Image.Image) -> Image.Image:
    """The same picture with round corners, outside of which it is transparent."""
    size = pixels.size
    large = Image.new("L", (4 * size[0], 4 * size[1]))  # reduced afterward, for smooth corners
    edge = 0, 0, large.width - 1, large.height - 1
    ImageDraw.Draw(large).rounded_rectangle(edge, 4 * RADIUS, fill=255)
    cut_out = pixels.copy()
    cut_out.putalpha(large.resize(size, Image.Resampling.LANCZOS))
    return cut_out


def encoded(image: Image.Image, format: str, **options) -> bytes:
    """The bytes of an image file."""
    file = BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
