"""The still picture that takes a player's place once its kernel has stopped.

A saved notebook contains only the name of a widget; the widget itself lives in the kernel. Without
that kernel, JupyterLab shows "Error displaying widget: model not found", whatever else the same
output contains. Therefore a player has a second output below its widget: a script that does nothing
as long as there is a widget, and shows the last picture where there is none. GitHub and other pages
that run no scripts show the picture in the first output instead.
"""

import json

NOTE = (
    "The kernel of these sliders has stopped. To move them again, run the cells down to this one."
)
# JupyterLab's icon of a broken link would stand beside each slider.
STYLE = f"""<style>
.mrcnn-player.jupyter-widgets-disconnected::before,
.mrcnn-player .jupyter-widgets-disconnected::before {{ content: none; }}
.mrcnn-player.jupyter-widgets-disconnected::after {{ content: "{NOTE}"; order: -1; }}
</style>"""
# `view` is the output above this one. It has no elements while the widget is not there (yet).
SCRIPT = """<script>(() => {
  const script = document.currentScript;
  const above = script?.closest(".jp-OutputArea-child")?.previousElementSibling;
  const view = above?.querySelector(".jp-OutputArea-output");
  if (!view) return;
  const still = new Image();
  const look = () => {
    if (view.childElementCount) {
      still.remove();
      view.querySelector("img")?.setAttribute("alt", %(alt)s);
      for (const slider of view.querySelectorAll(".widget-slider")) {
        const label = slider.querySelector(".widget-label")?.textContent ?? "";
        slider.querySelector(".noUi-handle")?.setAttribute("aria-label", label);
      }
    } else {
      if (view.textContent.startsWith("Error")) view.textContent = %(note)s;
      if (!still.isConnected) {
        still.src = %(source)s;
        still.alt = %(alt)s;
        still.width = %(width)s;
        script.after(still);
      }
    }
  };
  view.lookout?.disconnect();  // of the picture before this one
  view.lookout = new MutationObserver(look);
  view.lookout.observe(view, {childList: true, subtree: true});
  look();
})()</script>"""


def still_picture(source: str, alt: str, width: int, note: str = NOTE) -> str:
    """HTML that shows a picture if there is no widget in the output above it.

    source: the picture as a data URL. alt: what it shows, in words, which also describes the
    widget's picture. width: of the picture as it is shown, in pixels. note: what to say of the
    widget that is gone.
    """
    values = {"note": note, "source": source, "alt": alt, "width": width}
    # No value may end the script.
    script = {name: json.dumps(value).replace("<", "\\u003c") for name, value in values.items()}
    return STYLE + SCRIPT % script
