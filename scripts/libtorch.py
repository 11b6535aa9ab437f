#!/usr/bin/env python3
"""Extracts libtorch 2.11.0 from the PyTorch wheel into the user's cache, and links .libtorch to it.

    python3 scripts/libtorch.py          for the CPU (about 500 MB)
    python3 scripts/libtorch.py --cuda   with the CUDA libraries (about 4 GB)

pip fetches the wheels and checks their hashes (libtorch-cpu.txt, libtorch-cuda.txt). Everything is unpacked
in a temporary folder beside its destination and put in place by one rename, so that an interrupted run
leaves nothing half-made.
"""

import glob
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile

VERSION = "2.11.0"
CPU_LIBRARIES = {"libtorch_cpu.so", "libc10.so", "libgomp.so.1", "libcudart.so.13", "libcupti.so.13"}
NOT_LIBTORCH = {"libtorch_python.so", "libshm.so"}
HERE = os.path.dirname(os.path.abspath(__file__))
LINK = os.path.join(os.path.dirname(HERE), ".libtorch")
BRING_YOUR_OWN = (
    f"set LIBTORCH to the folder of a libtorch {VERSION}, "
    f"or LIBTORCH_USE_PYTORCH=1 to use the PyTorch {VERSION} of your Python"
)


def main():
    for name in ("LIBTORCH", "LIBTORCH_USE_PYTORCH"):
        if os.environ.get(name):
            print(f"libtorch: {name} is set, so it is used as it is ({os.environ[name]})")
            return
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        sys.exit(
            f"libtorch: this script serves Linux on x86-64, not {platform.system()} on {platform.machine()}; "
            f"{BRING_YOUR_OWN}"
        )
    asked_for_cuda = "--cuda" in sys.argv[1:]
    if not asked_for_cuda and os.path.realpath(LINK).endswith("-cuda") and os.path.isdir(LINK):
        return  # The CUDA libraries work on the CPU too; `rm .libtorch` goes back to the small ones.
    kind = "cuda" if asked_for_cuda else "cpu"
    cache = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "carousel")
    home = os.path.join(cache, f"libtorch-{VERSION}-{kind}")
    if not os.path.isdir(home):
        install(kind, cache, home)
    link(home)


def install(kind, cache, home):
    os.makedirs(cache, exist_ok=True)
    for left in glob.glob(os.path.join(cache, "unpacking-*")):  # Left by a run that was killed.
        if time.time() - os.path.getmtime(left) > 3600:
            shutil.rmtree(left, ignore_errors=True)
    needed = 12 if kind == "cuda" else 2
    if shutil.disk_usage(cache).free < needed << 30:
        sys.exit(f"libtorch: {cache} needs {needed} GB of free space; free some, or set XDG_CACHE_HOME to a larger disk")
    print(f"libtorch: fetching PyTorch {VERSION} ({kind}) into {cache}; once a machine", flush=True)
    with tempfile.TemporaryDirectory(prefix="unpacking-", dir=cache) as scratch:
        wheels, built = os.path.join(scratch, "wheels"), os.path.join(scratch, "libtorch")
        download(kind, wheels)
        os.makedirs(os.path.join(built, "lib"))
        for wheel in sorted(glob.glob(os.path.join(wheels, "*.whl"))):
            unpack(wheel, built, kind)
        lib = os.path.join(built, "lib")
        if kind == "cpu":
            os.symlink("libtorch_cpu.so", os.path.join(lib, "libtorch.so"))
        os.symlink("libgomp.so.1", os.path.join(lib, "libgomp.so"))
        missing = sorted(CPU_LIBRARIES - set(os.listdir(lib)))
        if missing:
            sys.exit(f"libtorch: the wheels held no {', '.join(missing)}; please report this, and meanwhile {BRING_YOUR_OWN}")
        with open(os.path.join(built, "build-version"), "w") as file:
            file.write(VERSION + "\n")
        try:
            os.rename(built, home)
        except OSError:
            if not os.path.isdir(home):  # Another run was faster: its result is used.
                raise


def download(kind, wheels):
    platforms = ["manylinux1", "manylinux2010", "manylinux2014"] + [f"manylinux_2_{n}" for n in (5, 12, 17, 18, 25, 27, 28)]
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--no-cache-dir", "--only-binary=:all:", "--python-version", "3.12", "--implementation", "cp"]
    for name in platforms:
        command += ["--platform", f"{name}_x86_64"]
    command += ["--require-hashes", "-r", os.path.join(HERE, f"libtorch-{kind}.txt"), "--dest", wheels]
    if subprocess.run(command).returncode != 0:
        sys.exit(
            f"libtorch: PyTorch {VERSION} could not be fetched (pip's own words are above); "
            f"connect to the network and run `make libtorch` again, or {BRING_YOUR_OWN}"
        )


def unpack(wheel, built, kind):
    """Unpacks headers to include/, and the shared libraries that are wanted to lib/."""
    with zipfile.ZipFile(wheel) as archive:
        for member in archive.namelist():
            name = os.path.basename(member)
            if member.startswith("torch/include/") and name:
                target = os.path.join(built, member[len("torch/") :])
            elif ".so" in name and "/lib/" in member and wanted(name, kind):
                target = os.path.join(built, "lib", name)
            else:
                continue
            os.makedirs(os.path.dirname(target), exist_ok=True)
            with archive.open(member) as source, open(target, "wb") as file:
                shutil.copyfileobj(source, file, 1 << 20)


def wanted(name, kind):
    return name in CPU_LIBRARIES if kind == "cpu" else name not in NOT_LIBTORCH


def link(home):
    """Points .libtorch at `home`. If that changes, torch-sys is rebuilt, because it looks for CUDA only when it is built."""
    if os.path.islink(LINK) and os.readlink(LINK) == home:
        return
    changed = os.path.islink(LINK)
    fresh = f"{LINK}.{os.getpid()}"
    os.symlink(home, fresh)
    os.replace(fresh, LINK)
    if changed:
        for profile in ([], ["--release"]):
            subprocess.run(["cargo", "clean", "--quiet", *profile, "-p", "torch-sys", "-p", "carousel-train"], cwd=os.path.dirname(LINK))
    print(f"libtorch: .libtorch -> {home}")


if __name__ == "__main__":
    main()
