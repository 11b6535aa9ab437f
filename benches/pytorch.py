"""Shared by the comparisons with PyTorch and others: their virtual environment, made on demand, and the machine's name."""

import os
import platform
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
CAROUSEL = os.path.join(ROOT, "target", "release", "carousel")
VENV = os.path.join(ROOT, ".venv")
PYTORCH = "torch==2.11.0"


def venv(modules="torch", packages=(PYTORCH, "numpy")):
    """Path of the virtual environment's Python, which has `modules`: if not, `packages` (arguments of pip) are installed."""
    python = os.path.join(VENV, "bin", "python")
    if not os.path.exists(python):
        subprocess.run([sys.executable, "-m", "venv", VENV], check=True)
    if subprocess.run([python, "-c", f"import {modules}"], capture_output=True).returncode:
        print(f"installing {modules} in {VENV} (once; PyTorch is some gigabytes)", file=sys.stderr, flush=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *packages], check=True)
    return python


def machine():
    """Name of the processor, and number of cores."""
    name = platform.processor() or platform.machine()
    if os.path.exists("/proc/cpuinfo"):
        with open("/proc/cpuinfo") as file:
            names = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
        name = names[0] if names else name
    return f"{name}, {os.cpu_count()} cores"
