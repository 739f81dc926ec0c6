"""mrcnn-edu doctor: whether this computer has all that the package and the course need."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path

from mrcnn_edu.cli.installed import (
    INSTALL,
    NOTE,
    OK,
    PROBLEM,
    Finding,
    check_course,
    check_needed,
    check_numpy_and_torch,
    check_python,
    is_found,
    version_of,
)

PACKAGE = Path(__file__).resolve().parent.parent
LESSONS = PACKAGE / "course" / "notebooks", PACKAGE.parent / "notebooks"  # wheel, checkout
GIGABYTE = 1e9
LITTLE_MEMORY, LITTLE_DISK, NO_DISK = 4 * GIGABYTE, 5 * GIGABYTE, 0.5 * GIGABYTE
SMALLEST_WEIGHTS = 100_000  # bytes; a file of fewer is a pointer to one that was not downloaded
GENERIC = {"python", "python3", f"python{sys.version_info[0]}.{sys.version_info[1]}"}


def doctor() -> int:
    """Say whether this computer has all that the package and the course need.

    Each line is OK, a note, or a problem with what to do about it. The exit code is 1 if there are
    problems.
    """
    findings = list(examine())
    width = max(len(finding.what) for finding in findings)
    for state, what, text, advice in findings:
        print(f"{state:9}{what:{width}}  {text}")
        if advice:
            print(f"{'':9}{'':{width}}  -> {advice}")
    n_problems = sum(finding.state == PROBLEM for finding in findings)
    if n_problems == 0:
        print("\nAll that is needed is there.")
        return 0
    print(f"\n{n_problems} problem{'' if n_problems == 1 else 's'}: see the lines above.")
    return 1


def examine() -> Iterator[Finding]:
    """All findings. A check that fails is a finding, too."""
    for check in CHECKS:
        try:
            yield from check()
        except Exception as error:
            what = check.__name__.removeprefix("check_").replace("_", " ")
            yield Finding(NOTE, what, f"could not be examined ({type(error).__name__}: {error})")


def check_package() -> Iterator[Finding]:
    """This package, its weights and its lessons."""
    version = version_of("mrcnn_edu") or "not installed by pip"
    yield Finding(OK, "mrcnn_edu", f"{version} ({PACKAGE})")
    weights = PACKAGE / "weights" / "shipped" / "shapes-tiny.pt"
    size = weights.stat().st_size if weights.is_file() else 0
    if size < SMALLEST_WEIGHTS:
        text = f"{weights.name} is {'missing' if size == 0 else 'not complete'}"
        yield Finding(PROBLEM, "weights", text, f"{INSTALL} --force-reinstall --no-deps mrcnn_edu")
    else:
        yield Finding(OK, "weights", "shapes-tiny and others come with the package")
    folders = [folder for folder in LESSONS if any(folder.glob("[0-9]*.ipynb"))]
    if folders:
        n = len(list(folders[0].glob("[0-9]*.ipynb")))
        yield Finding(OK, "lessons", f"{n} in {folders[0]}")
    else:
        advice = f"{INSTALL} --force-reinstall --no-deps mrcnn_edu; in a checkout, make notebooks"
        yield Finding(PROBLEM, "lessons", "none are there", advice)


def check_images() -> Iterator[Finding]:
    """The kinds of images that Pillow reads here."""
    features = import_module("PIL.features")
    names = {"jpg": "JPEG", "zlib": "PNG", "webp": "WebP", "jpg_2000": "JPEG 2000", "avif": "AVIF"}
    here = [name for feature, name in names.items() if _has(features, feature)]
    advice = ""
    if is_found("pillow_heif"):
        here.append("HEIC")
    else:
        advice = f"for HEIC, the photographs of many phones, {INSTALL} pillow-heif"
    missing = [name for name in names.values() if name not in here]
    text = ", ".join(here) + (f"; not {', '.join(missing)}" if missing else "")
    yield Finding(NOTE if missing or advice else OK, "images", text, advice)


def check_kernel() -> Iterator[Finding]:
    """Whether Jupyter's kernel python3, in which the lessons run, is this Python."""
    if not is_found("jupyter_client") or not is_found("ipykernel"):
        return  # that the course's packages are missing has been said
    manager = import_module("jupyter_client.kernelspec").KernelSpecManager()
    advice = f"{INSTALL} --force-reinstall ipykernel; python -m ipykernel install --sys-prefix"
    try:
        spec = manager.get_kernel_spec("python3")
    except Exception as error:
        yield Finding(PROBLEM, "kernel", f"python3 is not there ({error})", advice)
        return
    command = spec.argv[0] if spec.argv else "nothing"
    command = sys.executable if command in GENERIC else command  # Jupyter does the same
    code = "import sys, json; print(json.dumps(sys.prefix))"
    try:
        done = subprocess.run(
            [command, "-c", code], capture_output=True, text=True, timeout=20, check=True
        )
        prefix = json.loads(done.stdout.splitlines()[-1])
    except Exception as error:
        stderr = (getattr(error, "stderr", None) or str(error)).strip().splitlines()
        text = f"python3 ({spec.resource_dir}) does not start {command}: {stderr[-1]}"
        yield Finding(PROBLEM, "kernel", text, advice)
        return
    if os.path.realpath(prefix) != os.path.realpath(sys.prefix):
        advice = f"python -m ipykernel install --sys-prefix, or remove {spec.resource_dir}"
        yield Finding(PROBLEM, "kernel", f"python3 starts another Python, in {prefix}", advice)
    else:
        yield Finding(OK, "kernel", "python3 starts this Python")


def check_jupyter_on_the_path() -> Iterator[Finding]:
    """Whether the command `jupyter` would start another Python's JupyterLab."""
    command = shutil.which("jupyter")
    own = Path(sys.executable).parent
    if command is not None and is_found("jupyterlab") and Path(command).parent != own:
        text = f"the command {command} belongs to another Python"
        yield Finding(NOTE, "jupyter", text, "start the course with mrcnn-edu lab")


def check_gpu() -> Iterator[Finding]:
    """The GPU that PyTorch uses, if any."""
    try:
        torch = import_module("torch")
    except Exception:
        return  # it has been said
    if torch.cuda.is_available():
        device = torch.cuda.get_device_properties(0)
        text = f"{device.name}, {device.total_memory / GIGABYTE:.0f} GB, CUDA {torch.version.cuda}"
        more = torch.cuda.device_count() - 1
        yield Finding(OK, "GPU", text + (f", and {more} more" if more else ""))
    elif torch.backends.mps.is_available():
        yield Finding(OK, "GPU", "Apple's (MPS); the commands run on the CPU, as the course does")
    elif shutil.which("nvidia-smi") is not None:
        reason = "is built without CUDA" if torch.version.cuda is None else "cannot use its driver"
        advice = "https://pytorch.org/get-started/locally tells which PyTorch suits the driver"
        yield Finding(NOTE, "GPU", f"an NVIDIA driver is there, but PyTorch {reason}", advice)
    else:
        yield Finding(OK, "GPU", "none; the course needs none")


def check_machine() -> Iterator[Finding]:
    """Processor cores and memory."""
    affinity = getattr(os, "sched_getaffinity", None)
    n_cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    cores = f"{n_cores} processor core{'' if n_cores == 1 else 's'}"
    memory = _memory()
    if memory is None:
        yield Finding(OK, "machine", cores)
        return
    text = f"{cores}, {memory / GIGABYTE:.0f} GB of memory"
    little = memory < LITTLE_MEMORY
    advice = "enough for the lessons; close other programs before you train" if little else ""
    yield Finding(NOTE if little else OK, "machine", text, advice)


def check_disk() -> Iterator[Finding]:
    """Room in the current folder, and whether it can be written."""
    here = Path.cwd()
    free = shutil.disk_usage(here).free
    text = f"{free / GIGABYTE:.1f} GB free in {here}"
    if not os.access(here, os.W_OK):
        yield Finding(PROBLEM, "disk", f"{here} cannot be written", "go to a folder of your own")
    elif free < NO_DISK:
        yield Finding(PROBLEM, "disk", text, "make room, or go to a folder on another disk")
    elif free < LITTLE_DISK:
        advice = "enough for the course; checkpoints of large models take 0.5 GB each"
        yield Finding(NOTE, "disk", text, advice)
    else:
        yield Finding(OK, "disk", text)


CHECKS: tuple[Callable[[], Iterator[Finding]], ...] = (
    check_python, check_package, check_needed, check_numpy_and_torch, check_images, check_course,
    check_kernel, check_jupyter_on_the_path, check_gpu, check_machine, check_disk,
)  # fmt: skip


def _has(features, name: str) -> bool:
    try:
        return bool(features.check(name))
    except Exception:  # an older Pillow does not know the name
        return False


def _memory() -> float | None:
    """Bytes of memory; None where the system does not tell."""
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        return float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    if is_found("psutil"):
        return float(import_module("psutil").virtual_memory().total)
    return None
