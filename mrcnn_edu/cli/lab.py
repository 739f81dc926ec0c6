"""mrcnn-edu lab: the course in JupyterLab."""

import os
import sys
from importlib.util import find_spec
from pathlib import Path

from mrcnn_edu.cli.options import Positional


def lab(options: Positional[tuple[str, ...]] = ()) -> int:
    """Open the course in JupyterLab, at its first notebook.

    Args:
        options: JupyterLab's own, such as --port 8899 or --no-browser.
    """
    roots = Path(__file__).parents[2], Path.cwd()
    places = [root / "notebooks" / "00_start_here.ipynb" for root in roots]
    notebook = next((place for place in places if place.is_file()), None)
    if notebook is None:
        where = "start this in a checkout of the repository (`make notebooks` builds them there)"
        raise FileNotFoundError(f"there is no notebook {places[0]}: {where}")
    if find_spec("jupyterlab") is None:
        raise FileNotFoundError("JupyterLab is missing: pip install 'mrcnn_edu[notebooks]'")
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        options = ("--allow-root", *options)  # in a container everybody is root
    os.execv(sys.executable, [sys.executable, "-m", "jupyterlab", str(notebook), *options])
