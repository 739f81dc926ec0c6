"""mrcnn-edu course and lab as a student uses them: the folder, and the JupyterLab on it."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import browser
import pytest
from playwright.sync_api import sync_playwright
from ports import free_port

from mrcnn_edu.cli.lab import SETTINGS, jupyterlab_environment, jupyterlab_options
from mrcnn_edu.course.lessons import FIRST, copy_lessons
from mrcnn_edu.course.notebook_file import has_outputs, parse, seal, to_bytes, written

WIDGETS = "@jupyter-widgets/jupyterlab-manager:plugin"
NEWS = "@jupyterlab/apputils-extension:notification"


def test_course_copies_once_and_says_what_comes_next(run, tmp_path):
    code, out, _ = run("course", "my lessons")
    assert code == 0 and "Lessons in my lessons\n  00_start_here.ipynb: copied\n" in out
    assert out.endswith("Open them: mrcnn-edu lab 'my lessons'\n")
    assert not has_outputs(parse((tmp_path / "my lessons" / FIRST).read_bytes()))
    _, out, _ = run("course", "my lessons")
    assert "nothing is new; your work is as you left it" in out
    run("course", "--with-outputs")
    assert has_outputs(parse((tmp_path / "mrcnn_edu_course" / FIRST).read_bytes()))


def test_an_error_is_one_line(run, tmp_path):
    (tmp_path / "file").touch()
    code, _, err = run("course", "file")
    assert code == 2 and err == "mrcnn-edu: file is a file: name a folder for the lessons\n"


def test_jupyterlab_is_told_what_the_user_does_not_say(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    options = jupyterlab_options(Path("mine"), ("--port=8899", "--LabApp.default_url=/lab"))
    assert options[0] == f"--ServerApp.root_dir={tmp_path / 'mine'}"
    assert options[-2:] == ["--port=8899", "--LabApp.default_url=/lab"]
    assert sum("default_url" in option for option in options) == 1
    assert jupyterlab_options(Path("mine"), ("--allow-root",)).count("--allow-root") == 1


def test_settings_are_added_to_those_of_the_user(monkeypatch):
    monkeypatch.delenv("JUPYTER_CONFIG_PATH", raising=False)
    assert jupyterlab_environment()["JUPYTER_CONFIG_PATH"] == str(SETTINGS)
    monkeypatch.setenv("JUPYTER_CONFIG_PATH", "/somewhere")
    paths = jupyterlab_environment()["JUPYTER_CONFIG_PATH"].split(os.pathsep)
    assert paths == [str(SETTINGS), "/somewhere"]


# ---- in a real JupyterLab ----


class Lab:
    """A running mrcnn-edu lab."""

    def __init__(self, url: str, folder: Path, log: Path):
        self.url, self.folder, self.log = url, folder, log
        self.opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def get(self, path: str) -> dict:
        with self.opener.open(f"{self.url}{path}?token={browser.TOKEN}", timeout=30) as answer:
            return json.load(answer)


@contextmanager
def running_lab(folder: Path, private: Path):
    environment = os.environ | {
        f"JUPYTER_{name}": str(private / name) for name in ("CONFIG_DIR", "DATA_DIR", "RUNTIME_DIR")
    }
    port, log = free_port(), private / "log"
    command = [sys.executable, "-m", "mrcnn_edu", "lab", str(folder), "--no-browser"]
    command += [f"--port={port}", "--port-retries=0", f"--IdentityProvider.token={browser.TOKEN}"]
    command += ["--LabApp.expose_app_in_browser=True"]
    with log.open("w") as file:
        server = subprocess.Popen(
            command, env=environment, stdout=file, stderr=file, start_new_session=True
        )
    lab = Lab(f"http://127.0.0.1:{port}", folder, log)
    try:
        deadline = time.monotonic() + browser.PATIENCE / 1000
        while True:
            assert server.poll() is None and time.monotonic() < deadline, log.read_text()
            try:
                lab.get("/api/status")
                break
            except OSError:
                time.sleep(0.3)
        yield lab
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(30)


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    private = tmp_path_factory.mktemp("private")
    user = private / "CONFIG_DIR" / "lab" / "user-settings" / "@jupyterlab" / "apputils-extension"
    user.mkdir(parents=True)
    (user / "notification.jupyterlab-settings").write_text('{"checkForUpdates": true}')
    with running_lab(tmp_path_factory.mktemp("course") / "mine", private) as running:
        yield running


@pytest.mark.slow
def test_jupyterlab_saves_widgets_and_shows_no_news(lab):
    def defaults(plugin):
        settings = lab.get(f"/lab/api/settings/{plugin}")
        properties = settings["schema"]["properties"]
        return {name: p["default"] for name, p in properties.items()}, settings["settings"]

    assert defaults(WIDGETS) == ({"saveState": True}, {})
    ours, users = defaults(NEWS)
    assert ours["fetchNews"] == "false" and not ours["checkForUpdates"]
    assert users == {"checkForUpdates": True}  # and this is what counts


@pytest.mark.slow
def test_jupyterlab_lists_the_lessons_alone_and_prints_an_address_that_opens_one(lab):
    listed = {entry["name"] for entry in lab.get("/api/contents")["content"]}
    assert listed == {"pictures"} | {path.name for path in lab.folder.glob("*.ipynb")}
    assert f"{lab.url.replace('127.0.0.1', 'localhost')}/lab/tree/{FIRST}" in lab.log.read_text()


@pytest.mark.slow
@pytest.mark.skipif(browser.find_chromium() is None, reason="needs Chromium")
def test_a_lesson_that_was_run_and_saved_in_jupyterlab_is_not_taken_for_an_answer(lab, tmp_path):
    options = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-proxy-server"]
    before = parse((lab.folder / FIRST).read_bytes())
    with sync_playwright() as playwright:
        path = browser.find_chromium()
        chromium = playwright.chromium.launch(executable_path=path, args=options)
        page = chromium.new_page()
        page.set_default_timeout(browser.PATIENCE)
        page.goto(f"{lab.url}/?token={browser.TOKEN}", wait_until="domcontentloaded")
        page.wait_for_selector(".jp-NotebookPanel .jp-Cell")
        assert page.url.endswith(f"/lab/tree/{FIRST}")
        page.wait_for_function(browser.KERNEL_IS_READY)
        run = "() => jupyterapp.commands.execute('notebook:{}')"
        for _ in range(4):
            page.evaluate(run.format("run-cell-and-select-next"))
        page.evaluate("() => jupyterapp.commands.execute('notebook:insert-cell-below')")
        page.evaluate("() => jupyterapp.commands.execute('docmanager:save')")
        toasts = page.locator(".Toastify__toast").all_inner_texts()
        chromium.close()
    assert not any("news" in toast for toast in toasts)

    saved = parse((lab.folder / FIRST).read_bytes())
    assert has_outputs(saved) and len(saved["cells"]) == len(before["cells"]) + 1
    assert "version" in saved["metadata"]["language_info"]
    assert written(saved) == written(before)
    newer = tmp_path / "package"
    shutil.copytree(lab.folder, newer)
    before["cells"][-1]["source"] += ["\nA line more."]
    before["metadata"]["mrcnn_edu"]["cells"] = seal(before)  # as the build does
    (newer / FIRST).write_bytes(to_bytes(before))
    line = next(line for line in copy_lessons(newer, lab.folder) if line.startswith(FIRST))
    assert line == f'{FIRST}: updated; your outputs are kept (changed: "References")'
    assert parse((lab.folder / FIRST).read_bytes())["cells"][2]["outputs"]
