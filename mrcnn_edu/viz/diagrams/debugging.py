"""A debugging tree: which question to ask of a bad model first, and what each answer points to."""

from typing import NamedTuple

from mrcnn_edu.viz.diagrams.arrows import arrow
from mrcnn_edu.viz.diagrams.frame import Frame
from mrcnn_edu.viz.diagrams.shapes import MUTED, block, write
from mrcnn_edu.viz.diagrams.sheet import sheet
from mrcnn_edu.viz.picture import Picture
from mrcnn_edu.viz.style import EACH, ONCE, SMALL


class Question(NamedTuple):
    """A question, how to answer it, and what is to be suspected if the answer is no."""

    text: str
    how: str
    causes: str


QUESTIONS = (
    Question(
        "Do the targets lie on the objects?", "check(data), viz.show_ground_truth",
        "x and y swapped, EXIF turn, other units,\nids or class labels shifted",
    ),
    Question(
        "Does the loss fall, and stay down?", "the list that fit returns",
        "learning rate, frozen layers,\nimages that are not within 0..1",
    ),
    Question(
        "Can it learn a single image by heart?", "fit on one item, evaluate on the same",
        "targets that contradict one another,\na bug in the model",
    ),
    Question(
        "Do proposals cover the objects?", "recall at IoU 0.5, lesson 06",
        "anchor sizes, scale of the test images,\nnormalization, domain",
    ),
    Question(
        "In the ground-truth box, is the class right?", "predict_on_boxes, lesson 11",
        "class labels shifted or in another order,\ntoo few examples of a class",
    ),
    Question(
        "In the ground-truth box, is the mask right?", "mask IoU, lesson 08",
        "masks shifted or of another object,\nfine structures, too few steps",
    ),
    Question(
        "Is each object found once?", "kinds of errors, lesson 11",
        "NMS and score thresholds,\nobjects without labels",
    ),
)  # fmt: skip
ROW, HEIGHT = 0.74, 0.5  # from one row to the next, and the height of a block
LEFT, WIDTH = 0.15, 4.2  # of the questions
RIGHT, CAUSES = 5.6, 4.1  # x and width of the causes


def show_debugging_tree() -> Picture:
    """Seven questions about a model that performs badly, in the order in which to ask them.

    Each names what answers it. The first answer that is no points to the causes beside it.
    """
    picture, axes = sheet(9.9, ROW * len(QUESTIONS) + 0.32)
    write(axes, LEFT, 0.14, "ask, from top to bottom", SMALL, ha="left", color=MUTED)
    write(axes, RIGHT, 0.14, "if the answer is no, suspect", SMALL, ha="left", color=MUTED)
    above = None
    for i, question in enumerate(QUESTIONS):
        y = 0.3 + ROW * i
        frame = block(axes, Frame(LEFT, y, WIDTH, HEIGHT), fill=ONCE)
        x, middle = frame.center
        write(axes, x, middle - 0.09, f"{i + 1}. {question.text}", weight="bold")
        write(axes, x, middle + 0.12, question.how, SMALL, color=MUTED)
        causes = block(axes, Frame(RIGHT, y, CAUSES, HEIGHT), question.causes, EACH, fontsize=SMALL)
        arrow(axes, frame.right, causes.left)
        write(axes, (frame.right[0] + causes.x) / 2, middle - 0.1, "no", SMALL)
        if above is not None:
            arrow(axes, above.bottom, frame.top)
            write(axes, above.bottom[0] + 0.17, (above.bottom[1] + y) / 2, "yes", SMALL)
        above = frame
    return picture
