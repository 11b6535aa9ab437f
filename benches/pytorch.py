"""Shared by the comparisons with PyTorch: its virtual environment, made on demand, and the machine's name."""

import os
import platform
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
CAROUSEL = os.path.join(ROOT, "target", "release", "carousel")
VENV = os.path.join(ROOT, ".venv")
PYTORCH = "torch==2.11.0"


def venv():
    """Path of the Python that has PyTorch."""
    python = os.path.join(VENV, "bin", "python")
    has_torch = [python, "-c", "import torch"]
    if not os.path.exists(python) or subprocess.run(has_torch, capture_output=True).returncode:
        print(f"making a virtual environment with {PYTORCH} in {VENV} (some gigabytes, once)", flush=True)
        subprocess.run([sys.executable, "-m", "venv", VENV], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", PYTORCH, "numpy"], check=True)
    return python


def machine():
    """Name of the processor, and number of cores."""
    name = platform.processor() or platform.machine()
    if os.path.exists("/proc/cpuinfo"):
        with open("/proc/cpuinfo") as file:
            names = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
        name = names[0] if names else name
    return f"{name}, {os.cpu_count()} cores"
