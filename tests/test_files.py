"""Files are complete or untouched, and a lock is held by one process at a time."""

import os
import subprocess
import sys
import threading
import time

import pytest

from mrcnn_edu.files import atomic_write, file_lock, read_json, write_file

HOLD = """
import sys, time
from pathlib import Path
from mrcnn_edu.files import file_lock
with file_lock(Path(sys.argv[1])):
    print("locked", flush=True)
    time.sleep(60)
"""


def test_an_error_leaves_the_file_as_it_was(tmp_path):
    file = tmp_path / "new" / "file"
    write_file(file, [b"a", b"b"])
    assert file.read_bytes() == b"ab"
    with pytest.raises(RuntimeError), atomic_write(file) as opened:
        opened.write(b"half")
        raise RuntimeError
    assert file.read_bytes() == b"ab" and os.listdir(file.parent) == ["file"]


def test_json_that_cannot_be_read_is_named(tmp_path):
    file = tmp_path / "scores.json"
    with pytest.raises(FileNotFoundError, match=r"scores\.json: there is no such file of scores"):
        read_json(file, "file of scores")
    file.write_text('{"ap": ')
    with pytest.raises(ValueError, match=r"scores\.json is not valid JSON, or was cut short"):
        read_json(file, "file of scores")


def test_a_lock_is_held_once_and_leaves_no_file(tmp_path):
    path = tmp_path / "new" / "lock"
    with file_lock(path, wait=False):
        assert path.exists()
        with (
            pytest.raises(BlockingIOError, match=f"another process is using {path.parent}: wait"),
            file_lock(path, wait=False),
        ):
            pass
        assert path.exists()
    assert os.listdir(path.parent) == []
    with pytest.raises(RuntimeError), file_lock(path, wait=False):
        raise RuntimeError
    with file_lock(path, wait=False):
        pass


def test_those_that_wait_get_the_lock_one_after_another(tmp_path):
    inside, most, n = [], [], 8

    def work(i):
        for _ in range(20):
            with file_lock(tmp_path / "lock"):
                inside.append(i)
                most.append(len(inside))
                time.sleep(0.0005)
                inside.remove(i)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(n)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert most == [1] * (20 * n) and os.listdir(tmp_path) == []


def test_a_killed_process_leaves_no_lock(tmp_path):
    path = tmp_path / "lock"
    holder = subprocess.Popen([sys.executable, "-c", HOLD, path], stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout.readline() == "locked\n"
        with pytest.raises(BlockingIOError), file_lock(path, wait=False):
            pass
    finally:
        holder.kill()
        holder.communicate()
    assert path.exists()  # but nobody holds it
    with file_lock(path, wait=False):
        pass
    assert not path.exists()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked")
def test_a_forked_process_does_not_hold_the_lock_of_its_parent(tmp_path):
    """It may outlive the parent, as processes that load images do for some seconds."""
    path, (reader, writer) = tmp_path / "lock", os.pipe()
    with file_lock(path):
        child = os.fork()
        if child == 0:
            os.read(reader, 1)  # until the test is done
            os._exit(0)
    try:
        with file_lock(path, wait=False):
            assert path.exists()
    finally:
        os.write(writer, b".")
        os.waitpid(child, 0)
        os.close(reader)
        os.close(writer)


def test_where_files_cannot_be_locked_nothing_is(tmp_path, monkeypatch):
    import fcntl

    def unsupported(*_):
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", unsupported)
    with file_lock(tmp_path / "lock", wait=False), file_lock(tmp_path / "lock", wait=False):
        pass
    monkeypatch.setitem(sys.modules, "fcntl", None)  # as on Windows
    with file_lock(tmp_path / "lock", wait=False):
        pass
