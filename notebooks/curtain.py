"""What stands before a hidden output, so that JupyterLab's placeholder does not give it away.

In the place of a hidden output, JupyterLab shows the first line of its text, which is often the
answer itself. It takes this line from the cell's first output. Therefore the build puts an output
before the others: a transparent pixel, and a text that no program shows except in that place.
"""

from base64 import b64encode
from io import BytesIO

from nbformat import NotebookNode
from nbformat.v4 import new_output
from PIL import Image

TEXT = "The result is hidden: click here to see it, or run the cell"
OURS = "mrcnn_edu"  # in the metadata of outputs that no cell has made: conftest.py passes them over


def curtain() -> NotebookNode:
    """The output that is put before the others."""
    file = BytesIO()
    Image.new("LA", (1, 1)).save(file, "png")
    pixel = b64encode(file.getvalue()).decode()
    metadata = {OURS: "curtain", "image/png": {"alt": ""}}
    return new_output("display_data", data={"image/png": pixel, "text": TEXT}, metadata=metadata)


def draw_curtains(notebook: NotebookNode) -> None:
    """Put a curtain before every hidden output, and none before others."""
    for cell in notebook.cells:
        if cell.cell_type == "code":
            outputs = [output for output in cell.outputs if OURS not in output.get("metadata", {})]
            is_hidden = "hide-output" in cell.metadata.get("tags", [])
            cell.outputs = [curtain(), *outputs] if is_hidden and outputs else outputs
