"""A data set that stops the run which reads it."""


class Stops:
    """The scenes, of which n_items are given before the run is stopped, as Ctrl-C does by default.

    with_what: what is raised.
    """

    def __init__(self, scenes, n_items, with_what=KeyboardInterrupt):
        self.scenes, self.classes = scenes, scenes.classes
        self.fingerprint = scenes.fingerprint
        self.left, self.with_what = n_items, with_what

    def __len__(self):
        return len(self.scenes)

    def __getitem__(self, index):
        self.left -= 1
        if self.left < 0:
            raise self.with_what
        return self.scenes[index]
