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
        "Do targets lie on the objects?", "draw them, check(data)", "x and y swapped, EXIF, ids"
    ),
    Question("Does the loss fall?", "what fit returns", "learning rate, pixels not in 0..1"),
    Question("Is one image learned by heart?", "fit on one item", "targets that contradict, a bug"),
    Question("Do proposals cover objects?", "recall at IoU 0.5", "scale, anchors, domain"),
    Question(
        "In the right box: right class?", "predict_on_boxes", "labels shifted, too few examples"
    ),
    Question("In the right box: right mask?", "mask IoU", "masks shifted, fine structures"),
    Question("Is each object found once?", "kinds of errors", "NMS, objects without labels"),
)
ROW, HEIGHT = 0.68, 0.44  # from one row to the next, and the height of a block
LEFT, WIDTH = 0.15, 3.4  # of the questions
RIGHT, CAUSES = 4.6, 3.1  # x and width of the causes


def show_debugging_tree() -> Picture:
    """Seven questions about a model that performs badly, in the order in which to ask them.

    Each names what answers it. The first answer that is no points to the causes beside it.
    """
    picture, axes = sheet(7.9, ROW * (len(QUESTIONS) - 1) + HEIGHT + 0.4)
    write(axes, LEFT, 0.14, "ask", SMALL, ha="left", color=MUTED)
    write(axes, RIGHT, 0.14, "if not, suspect", SMALL, ha="left", color=MUTED)
    above = None
    for i, question in enumerate(QUESTIONS):
        y = 0.3 + ROW * i
        frame = block(axes, Frame(LEFT, y, WIDTH, HEIGHT), fill=ONCE)
        x, middle = frame.center
        write(axes, x, middle - 0.09, f"{i + 1}. {question.text}")
        write(axes, x, middle + 0.12, question.how, SMALL, color=MUTED)
        causes = block(axes, Frame(RIGHT, y, CAUSES, HEIGHT), question.causes, EACH)
        arrow(axes, frame.right, causes.left)
        write(axes, (frame.right[0] + causes.x) / 2, middle - 0.1, "no", SMALL)
        if above is not None:
            arrow(axes, above.bottom, frame.top)
            write(axes, above.bottom[0] + 0.17, (above.bottom[1] + y) / 2, "yes", SMALL)
        above = frame
    return picture
