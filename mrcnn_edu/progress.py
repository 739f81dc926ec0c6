"""Progress bars: tqdm's line of text in a terminal, and plain HTML in a notebook.

A notebook keeps what it shows. tqdm's own bars for notebooks are widgets, which live in the kernel:
once that has stopped, a saved notebook shows an error in the place of each bar.
"""

import sys
from collections.abc import Iterable
from html import escape
from multiprocessing import parent_process
from time import time
from typing import Any

from tqdm import tqdm

# Metadata of the outputs that are for whoever watches: lessons are built and compared without them.
LIVE_OUTPUT = {"mrcnn_edu": "live"}
MIN_INTERVAL = 0.2  # seconds between two states of a bar in a notebook


def progress_bar(
    items: Iterable | None = None, description: str = "", total: int | None = None, **options: Any
) -> tqdm:
    """A bar over `items`, or for `total` calls of its `update`, wherever this program is running.

    The options are those of tqdm, for example `initial`, `leave`, `delay` and `disable`.
    """
    kind = tqdm if notebook_shell() is None else NotebookBar
    return kind(items, description, total, **options)


def notebook_shell() -> Any:
    """IPython's shell, in the kernel of a notebook and in workers that are forked from it."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return shell if hasattr(shell, "kernel") else None


class NotebookBar(tqdm):
    """A bar that is an ordinary output of its cell, and is replaced by its next state.

    If it is interrupted, a line of text remains that says where it stopped.
    """

    monitor_interval = 0  # tqdm's thread would look for bars that skip steps

    def __init__(self, items: Iterable | None, description: str, total: int | None, **options: Any):
        self.shell, self.output, self.last_shown = notebook_shell(), None, float("-inf")
        self.is_watched = False
        options = {"mininterval": MIN_INTERVAL, "miniters": 1, "leave": True} | options
        if not options["leave"]:
            options.setdefault("delay", 2 * MIN_INTERVAL)  # what is quick needs no bar
        if parent_process() is not None:
            options["disable"] = True  # a forked worker has no cell to show it in
        super().__init__(items, description, total, gui=True, **options)
        if not self.disable:
            self.display()

    def display(self, msg: str | None = None, pos: int | None = None) -> None:
        """Show the current state, unless the last one is too recent. tqdm calls this."""
        now = time()
        if now >= self.last_shown + MIN_INTERVAL and now >= self.start_t + self.delay:
            self.last_shown = now
            self._show(*self._running())
            if not self.is_watched:
                self.shell.events.register("post_run_cell", self._cell_has_ended)
                self.is_watched = True

    def close(self) -> None:
        """Show the last state, or nothing any more if the bar is not to be left."""
        if self.disable:
            return
        super().close()
        self._unwatch()
        if self.output is not None:
            self._show(*(self._ended() if self.leave or not self._is_done() else ("", "")))

    def _cell_has_ended(self, _result: Any) -> None:
        """The bar is still open: an error or an interrupt ended the loop, and its frame is kept."""
        self._unwatch()
        self._show(*self._ended())

    def _unwatch(self) -> None:
        if self.is_watched:
            self.shell.events.unregister("post_run_cell", self._cell_has_ended)
            self.is_watched = False

    def _show(self, text: str, html: str) -> None:
        from IPython.display import display

        data = {"text/plain": text, "text/html": html}
        if self.output is None:
            self.output = display(data, raw=True, metadata=LIVE_OUTPUT, display_id=True)
        else:
            self.output.update(data, raw=True, metadata=LIVE_OUTPUT)

    def _running(self) -> tuple[str, str]:
        """The state while the loop runs, as text and as HTML."""
        state = self.format_dict
        n, seconds = state["n"], state["elapsed"]
        words = [self._count(), self.format_interval(seconds)]
        n_new = n - state["initial"]
        if self.total is not None and n_new > 0:
            left = max(0, self.total - n) / (state["rate"] or n_new / max(seconds, 1e-9))
            words[-1] += f", about {self.format_interval(left)} left"
        rest = " · ".join([*words, *filter(None, [state["postfix"]])])
        bar = f'<progress value="{n}" max="{self.total}"></progress> ' if self.total else ""
        html = f"<label>{escape(self._title())} {bar}{escape(rest)}</label>"
        return f"{self._title()} {rest}", html

    def _ended(self) -> tuple[str, str]:
        """The state that remains after the loop, as text and as HTML."""
        state = self.format_dict
        seconds = self.format_interval(state["elapsed"])
        count = f"{self._count()} in {seconds}"
        if not self._is_done():
            count = f"stopped at {self._count()} after {seconds}"
        text = " · ".join([f"{self._title()} {count}", *filter(None, [state["postfix"]])])
        return text, f"<div>{escape(text)}</div>"

    def _title(self) -> str:
        return f"{(self.desc or 'progress').removesuffix(': ')}:"

    def _count(self) -> str:
        return f"{self.n:,}" if self.total is None else f"{self.n:,} of {self.total:,}"

    def _is_done(self) -> bool:
        return self.total is None or self.n >= self.total
