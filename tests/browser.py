"""A JupyterLab and a browser without a window, to use a notebook as a student would.

with jupyterlab(folder) as lab, open_notebook(lab, "00_start_here.ipynb") as page:
    run_all_cells(page)
    milliseconds = move_first_slider(page)
    page.screenshot(path="picture.png")
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from playwright.sync_api import Locator, Page, TimeoutError, sync_playwright
from ports import free_port

TOKEN = "a-test"  # the server listens on this machine only, while a test runs
PATIENCE = 60_000  # milliseconds that a step of the browser may take
RUN_PATIENCE = 900  # seconds that all cells together may take

# The toolbar says "idle" before the connection stands, and cells run then give no output.
KERNEL_IS_READY = """() => {
    const context = jupyterapp.shell.currentWidget?.sessionContext;
    const kernel = context?.session?.kernel;
    return context?.isReady && kernel?.status === "idle" && kernel.connectionStatus === "connected";
}"""
RUN_ALL_CELLS = """() => {
    window.cellsHaveRun = false;
    jupyterapp.commands.execute("notebook:run-all-cells").then(() => window.cellsHaveRun = true);
}"""
READ_CODE_CELLS = """() => jupyterapp.shell.currentWidget.content.widgets
    .map(cell => cell.model)
    .filter(cell => cell.type === "code" && cell.sharedModel.source.trim())
    .map(cell => ({
        id: cell.id,
        count: cell.executionCount,
        errors: cell.outputs.toJSON()
            .filter(output => output.output_type === "error")
            .map(output => `${output.ename}: ${output.evalue}`),
    }))"""
SAVE = "async () => { await jupyterapp.commands.execute('docmanager:save'); }"
RESTART_KERNEL = """async () => {
    await jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart();
}"""
# JupyterLab draws the cells below the window later, when it has nothing else to do.
ALL_CELLS_ARE_DRAWN = """() => jupyterapp.shell.currentWidget.content.widgets
    .every(cell => cell.isAttached && !cell.isPlaceholder?.())"""
NOTHING_IS_LOADING = """() => !document.body.textContent.includes("Loading widget...")"""
# What a student would see: lines of text, and icons that the style sheets put before a widget.
READ_OUTPUTS = """() => {
    const all = selector => [...document.querySelectorAll(`.jp-Notebook ${selector}`)];
    const pictures = all(".jp-OutputArea img");
    const icon = node => !["none", "normal"].includes(getComputedStyle(node, "::before").content);
    return {
        "pictures": pictures.length,
        "missing pictures": pictures.filter(image => !image.naturalWidth).length,
        "errors of widgets": all(".jp-OutputArea-output")
            .filter(output => output.textContent.includes("Error displaying")).length,
        "broken links": all(".jupyter-widgets-disconnected").filter(icon).length,
        "sliders": all(".widget-slider").length,
    };
}"""
# Measured inside the browser: from the key to the new picture's arrival.
TIME_NEXT_PICTURE = """image => {
    window.pictureTime = null;
    let start;
    addEventListener("keydown", () => start = performance.now(), {once: true, capture: true});
    new MutationObserver((_, observer) => {
        observer.disconnect();
        image.decode().then(() => window.pictureTime = performance.now() - start);
    }).observe(image, {attributes: true, attributeFilter: ["src"]});
}"""


def find_chromium() -> str | None:
    """Path of the machine's Chromium or Chrome, if it has one."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return next((path for path in map(shutil.which, names) if path), None)


@contextmanager
def jupyterlab(folder: Path, environment: Mapping[str, str] = os.environ) -> Iterator[str]:
    """The URL of a JupyterLab server on `folder`, which ignores the user's settings."""
    port = free_port()
    private = folder / ".jupyter"
    names = ("CONFIG_DIR", "DATA_DIR", "RUNTIME_DIR")
    environment = dict(environment) | {f"JUPYTER_{name}": str(private / name) for name in names}
    environment["IPYTHONDIR"] = str(private / "ipython")
    private.mkdir()
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"]
    command += ["--ip=127.0.0.1", f"--port={port}", "--port-retries=0"]
    command += [f"--IdentityProvider.token={TOKEN}", f"--ServerApp.root_dir={folder}"]
    command += ["--LabApp.expose_app_in_browser=True", "--LabApp.news_url=None"]
    command += ["--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate"]
    with (private / "log").open("w") as log:
        server = subprocess.Popen(
            command, env=environment, stdout=log, stderr=log, start_new_session=True
        )
    url = f"http://127.0.0.1:{port}"
    try:
        _wait_for_server(server, url, private / "log")
        yield url
    finally:
        os.killpg(server.pid, signal.SIGTERM)  # the kernels belong to its group
        try:
            server.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()


def _wait_for_server(server: subprocess.Popen, url: str, log: Path) -> None:
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    deadline = time.monotonic() + PATIENCE / 1000
    while server.poll() is None and time.monotonic() < deadline:
        try:
            with direct.open(f"{url}/api/status?token={TOKEN}", timeout=2):
                return
        except OSError:
            time.sleep(0.2)
    raise RuntimeError(f"JupyterLab did not start:\n{log.read_text()[-2000:]}")


@contextmanager
def open_notebook(lab: str, name: str) -> Iterator[Page]:
    """A page of a headless browser with the notebook open and its kernel ready to run cells."""
    # --no-sandbox: Chromium refuses to start as root without it, and containers run tests as root.
    options = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-proxy-server"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=options)
        try:
            page = browser.new_page(viewport={"width": 1300, "height": 1000})
            page.set_default_timeout(PATIENCE)
            # reset: with the workspace of an earlier page, its kernel would come back too.
            page.goto(f"{lab}/lab/tree/{name}?token={TOKEN}&reset", wait_until="domcontentloaded")
            page.wait_for_selector(".jp-NotebookPanel .jp-Cell")
            page.wait_for_function(KERNEL_IS_READY)
            yield page
        finally:
            browser.close()


def run_all_cells(page: Page) -> int:
    """The number of code cells, after all were run; fails if one has an error or was not run."""
    page.evaluate(RUN_ALL_CELLS)
    page.wait_for_function("() => window.cellsHaveRun", timeout=RUN_PATIENCE * 1000)
    cells = page.evaluate(READ_CODE_CELLS)
    failed = [cell for cell in cells if cell["errors"] or not cell["count"]]
    assert not failed, f"cells with an error, or not run:\n{json.dumps(failed, indent=2)}"
    return len(cells)


def save(page: Page) -> None:
    page.evaluate(SAVE)


def collect_errors(page: Page) -> list[Any]:
    """A list that the page's errors are added to as they come.

    Without what JupyterLab says of a message of a kernel that it could not read: now and then one
    arrives mangled while a kernel restarts, whatever the notebook holds.
    """
    errors: list[Any] = []

    def note(error: Any) -> None:
        if "Kernel message validation error" not in str(error):
            errors.append(error)

    page.on("pageerror", note)
    return errors


def restart_kernel(page: Page) -> None:
    """The kernel anew, with nothing that the cells have made."""
    page.evaluate(RESTART_KERNEL)
    page.wait_for_function(KERNEL_IS_READY)


def kill_kernels(lab: str) -> None:
    """End all kernels, as at the end of a day."""
    for session in _ask(f"{lab}/api/sessions"):
        _ask(f"{lab}/api/sessions/{session['id']}", "DELETE")


def _ask(url: str, method: str = "GET") -> Any:
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    request = urllib.request.Request(
        url, method=method, headers={"Authorization": f"token {TOKEN}"}
    )
    with direct.open(request, timeout=PATIENCE / 1000) as answer:
        return json.loads(answer.read() or "null")


def read_outputs(page: Page) -> dict[str, int]:
    """How many pictures, missing pictures, errors of widgets, broken links and sliders it shows."""
    page.wait_for_function(ALL_CELLS_ARE_DRAWN)
    page.wait_for_function(NOTHING_IS_LOADING)
    page.wait_for_timeout(500)  # milliseconds, in which a late error would be drawn
    return page.evaluate(READ_OUTPUTS)


def move_first_slider(page: Page, steps: int = 5, patience: float = 3) -> float:
    """Move the first slider until its picture looks different; milliseconds from key to picture.

    The picture is a widgets.Image in the slider's output. A step may leave it as it is; fails when
    none of `steps` keys changes it within `patience` seconds. Leaves the page scrolled there.
    """
    output = first_slider(page)
    output.scroll_into_view_if_needed()
    image, handle = output.locator("img.widget-image").first, output.locator(".noUi-handle").first
    at_the_end = handle.get_attribute("aria-valuenow") == handle.get_attribute("aria-valuemax")
    before = image.screenshot()
    handle.focus()
    for _ in range(steps):
        value = handle.get_attribute("aria-valuetext")  # valuenow is rounded
        image.evaluate(TIME_NEXT_PICTURE)
        page.keyboard.press("ArrowLeft" if at_the_end else "ArrowRight")
        with suppress(TimeoutError):
            page.wait_for_function("() => window.pictureTime !== null", timeout=patience * 1000)
        assert handle.get_attribute("aria-valuetext") != value, "the slider did not move"
        milliseconds = page.evaluate("() => window.pictureTime")
        if milliseconds is not None and image.screenshot() != before:
            return milliseconds
    raise AssertionError("the slider moved and the picture stayed the same")


def first_slider(page: Page) -> Locator:
    """The first output that holds a slider beside a picture."""
    slider, image = page.locator(".widget-slider"), page.locator("img.widget-image")
    output = page.locator(".jp-OutputArea-output").filter(has=slider).filter(has=image).first
    output.wait_for()
    return output


def main(notebook: Path, picture: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(notebook, folder)
        with jupyterlab(Path(folder)) as lab, open_notebook(lab, notebook.name) as page:
            print(f"{run_all_cells(page)} cells run without error")
            print(f"first slider to new picture: {move_first_slider(page):.0f} ms")
            page.screenshot(path=picture)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
