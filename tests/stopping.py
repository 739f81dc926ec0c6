"""A dataset that stops the run that reads it."""

from mrcnn_edu.data.dataset import Wrapper


class StopAfter(Wrapper):
    """A dataset that returns n_items items and then raises `error`: by default, as Ctrl-C does."""

    def __init__(self, dataset, n_items, error=KeyboardInterrupt):
        super().__init__(dataset)
        self.n_left, self.error = n_items, error

    def __getitem__(self, index):
        self.n_left -= 1
        if self.n_left < 0:
            raise self.error
        return self.dataset[index]
