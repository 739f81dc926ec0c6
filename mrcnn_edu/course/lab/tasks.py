"""One thread for everything that takes longer than a widget's callback may.

JupyterLab's messages to widgets are handled while a cell runs, in some versions of ipykernel by a
thread that the kernel's stop button does not reach. So a callback only says what is wanted. Of
tasks with the same name only the newest is done: nobody waits for pictures of sliders that have
moved on.
"""

import threading
from collections.abc import Callable
from contextvars import Context, copy_context


class Tasks:
    """A thread that does what it is given, and looks around between.

    look: called every `pause` seconds, and after each task. failed: called with the error of a task
    or of a look.
    """

    def __init__(
        self, look: Callable[[], None], failed: Callable[[Exception], None], pause: float = 0.5
    ):
        self.look, self.failed, self.pause = look, failed, pause
        self.waiting: dict[str, tuple[Context, Callable[[], None]]] = {}
        self.changed = threading.Condition()
        self.is_ended = False
        self.is_working = False
        # ipykernel 7.0 sends a widget's changes only from within the context of a message.
        self.context = copy_context()
        self.thread = threading.Thread(target=self._work, daemon=True)
        self.thread.start()

    def submit(self, name: str, task: Callable[[], None]) -> None:
        """Do this soon, instead of an earlier task of that name that has not begun."""
        with self.changed:
            self.waiting.pop(name, None)
            self.waiting[name] = copy_context(), task
            self.changed.notify_all()

    def end(self) -> None:
        """End the thread after what it is doing."""
        with self.changed:
            self.is_ended = True
            self.changed.notify_all()

    def settle(self, seconds: float = 60) -> bool:
        """Wait until nothing is waiting or being done; whether that came true in time."""
        with self.changed:
            return self.changed.wait_for(
                lambda: not self.waiting and not self.is_working, timeout=seconds
            )

    def _work(self) -> None:
        while True:
            with self.changed:
                self.is_working = False
                self.changed.notify_all()
                self.changed.wait_for(lambda: self.waiting or self.is_ended, timeout=self.pause)
                if self.is_ended:
                    return
                self.is_working = True
                context, task = self.context, None
                if self.waiting:
                    context, task = self.waiting.pop(next(iter(self.waiting)))
            for work in (task, self.look):
                if work is not None:
                    try:
                        context.run(work)
                    except Exception as error:  # shown; the thread lives on
                        context.run(self.failed, error)
