"""The one thread that draws for all widgets, so that nobody waits in a callback.

JupyterLab lets the reader move sliders while a cell runs. The callback then runs in a thread of the
kernel which the stop button does not reach, if ipykernel is older than 7.4. Therefore a callback
only says `draw_soon()`, which takes a tenth of a millisecond. The thread draws one widget after the
other, each in the state that it has by then, so of many moves only the last one is drawn. If
drawing fails, the widget says so in a line.

A cell needs no thread: the first picture of a widget is drawn at once (`draw_now`), and before a
cell shows a widget or reads its picture, it is drawn if it is still waiting for the thread
(`wait`). An error is then raised in the cell.
"""

import atexit
from contextvars import Context, copy_context
from threading import Condition, RLock, Thread

END_PATIENCE = 1.0  # seconds that the end of Python waits for a drawing

DRAWING = RLock()  # whoever draws a widget holds it, in the thread or in a cell
_news = Condition()  # guards what follows, and tells the thread of it
_waiting: dict["Drawn", Context] = {}  # the one that has waited longest comes first
_thread: Thread | None = None
_at_the_end = False


class Drawn:
    """What is drawn in the background: the base of players and touchables.

    A subclass draws and shows its current state in `redraw`, and a line of text in `show_error`.
    """

    failure: BaseException | None = None  # of the last drawing

    def redraw(self) -> None:
        """Draw the current state, and show it."""
        raise NotImplementedError

    def show_error(self, text: str) -> None:
        """Show this line in the widget; none if it is empty."""
        raise NotImplementedError

    def draw_soon(self) -> None:
        """Have the thread draw the state that there is by then, and return at once."""
        global _thread
        with _news:
            self._join()
            if not _at_the_end and (_thread is None or not _thread.is_alive()):
                _thread = Thread(target=_draw_all, name="drawing of widgets", daemon=True)
                _thread.start()
            _news.notify_all()

    def draw_now(self) -> None:
        """Draw the current state in this very thread, or raise what drawing it raises."""
        with DRAWING:  # the thread cannot take it meanwhile
            self._join()
            self.wait()

    def wait(self) -> None:
        """Return when the current state is drawn, or raise what drawing it has raised."""
        with DRAWING:
            if self.failure is not None:
                self._join()  # once more, where the error is seen
            _draw_next(self)
            if self.failure is not None:
                raise self.failure

    def _join(self) -> None:
        # The thread sends its messages as the caller would: ipykernel 7.0 and 7.1 find out from the
        # context which cell they belong to, and change no widget without it.
        with _news:
            _waiting[self] = copy_context()


def _draw_all() -> None:
    """What the thread does, until Python ends."""
    while True:
        with _news:
            _news.wait_for(lambda: _waiting or _at_the_end)
            if _at_the_end:
                return
        with DRAWING:
            _draw_next()


def _draw_next(widget: Drawn | None = None) -> None:
    """Draw this widget, or the one that has waited longest, if it still waits. Hold DRAWING."""
    with _news:
        if widget is None:
            widget = next(iter(_waiting), None)
        context = _waiting.pop(widget, None) if widget is not None else None
    if widget is None or context is None:
        return
    try:
        context.run(widget.redraw)
    except BaseException as error:
        widget.failure = error
        context.run(widget.show_error, one_line(error))
        if not isinstance(error, Exception):
            raise  # the stop button, in a cell that waits
    else:
        if widget.failure is not None:
            widget.failure = None
            context.run(widget.show_error, "")


def one_line(error: BaseException) -> str:
    """What a widget says of an error in drawing."""
    return " ".join(f"Not drawn, because of {type(error).__name__}: {error}".split())


@atexit.register
def _end() -> None:
    """End the thread before Python takes apart what it draws with."""
    global _at_the_end
    with _news:
        _at_the_end = True
        _news.notify_all()
    if _thread is not None:
        _thread.join(END_PATIENCE)
