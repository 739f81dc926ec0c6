"""The command mrcnn-edu, started from outside of the package, which needs PyTorch to be imported.

So `mrcnn-edu --help` answers at once, and `mrcnn-edu doctor` runs, and says what to do, where
PyTorch or another package is missing or broken.
"""

import sys
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType


def main() -> int:
    """Run the command, and return its exit code."""
    if sys.argv[1:2] in ([], ["--help"], ["-h"], ["--version"]) and "mrcnn_edu" not in sys.modules:
        _import_without_pytorch()
        from mrcnn_edu.cli.commands import answered

        return answered(sys.argv[1:])
    try:
        from mrcnn_edu.cli import main as run
    except Exception as error:  # a broken package raises anything
        if sys.argv[1:2] == ["doctor"]:
            return _doctor()
        print(f"mrcnn-edu: {type(error).__name__}: {error}", file=sys.stderr)
        print("mrcnn-edu doctor says what is missing.", file=sys.stderr)
        return 2
    return run()


def _doctor() -> int:
    """The doctor of the package, without whatever else the package imports."""
    _import_without_pytorch()
    from mrcnn_edu.cli.doctor import doctor

    return doctor()


def _import_without_pytorch() -> None:
    """Let modules of the command be imported without what the package itself imports."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "mrcnn_edu"]:
        del sys.modules[name]
    spec = find_spec("mrcnn_edu")
    assert spec is not None and spec.origin is not None  # this file comes with it
    folder = Path(spec.origin).parent
    for name, path in {"mrcnn_edu": folder, "mrcnn_edu.cli": folder / "cli"}.items():
        package = ModuleType(name)  # without its __init__.py
        package.__path__ = [str(path)]
        sys.modules[name] = package


if __name__ == "__main__":
    sys.exit(main())
