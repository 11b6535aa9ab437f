#!/usr/bin/env python3
"""Builds the Python package, and runs what is tested in Python: the package itself, and our files in other libraries.

    make test-python
    python3 tests/python/run.py [--no-torch] [PYTEST'S ARGUMENTS]

All is installed in a virtual environment of its own, target/test-python; the exit code is 3 if it cannot be. PyTorch, some
gigabytes, is installed too, unless --no-torch leaves it away or it cannot be had: what needs it is then skipped, and says so.
The tests compare with target/release/carousel, which is built before.
"""

import os
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
VENV = os.path.join(ROOT, "target", "test-python")
PYTHON = os.path.join(VENV, "bin", "python")
PACKAGES = os.path.join(ROOT, "tests", "python", "packages.txt")
PACKAGE = os.path.join(ROOT, "crates", "python")
TORCH = "torch==2.11.0"
TESTS = [os.path.join(ROOT, "tests", "python"), os.path.join(PACKAGE, "tests")]


def main():
    arguments = sys.argv[1:]
    if not os.path.exists(PYTHON):
        subprocess.run([sys.executable, "-m", "venv", VENV], check=True)
    if pip("-r", PACKAGES):
        sys.exit(3)
    if "--no-torch" in arguments:
        arguments.remove("--no-torch")
    elif subprocess.run([PYTHON, "-c", "import torch"], capture_output=True).returncode:
        print(f"installing {TORCH} in {VENV} (once; some gigabytes)", file=sys.stderr, flush=True)
        if pip(TORCH):
            print(f"{TORCH} cannot be installed; what needs it is skipped", file=sys.stderr)
    # The build finds maturin beside this Python.
    os.environ["PATH"] = os.path.dirname(PYTHON) + os.pathsep + os.environ["PATH"]
    if pip("--no-build-isolation", "--force-reinstall", "--no-deps", PACKAGE):
        sys.exit(1)
    sys.exit(subprocess.run([PYTHON, "-m", "pytest", "-rs", *(arguments or TESTS)], cwd=ROOT).returncode)


def pip(*arguments):
    """Exit code of an installation."""
    return subprocess.run([PYTHON, "-m", "pip", "install", "--quiet", *arguments]).returncode


if __name__ == "__main__":
    main()
