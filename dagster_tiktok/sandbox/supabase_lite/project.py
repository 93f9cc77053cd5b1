"""The folder of a local Supabase: keys, configuration, migrations and the database's files.

Creating a database takes Node.js about eight seconds, copying one a fraction of a second. So a
database with all migrations applied is kept as a template, under a hash of everything that it
depends on.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dagster_tiktok.sandbox.supabase_lite.node_packages import (
    LOCK_FILE,
    PACKAGE_FILES,
    SandboxError,
    node_command,
    publish,
)

_CONFIG = """\
[api]
port = {port}

[db]
driver = "pglite"
url = "supabase/.temp/data"

[auth]
enabled = true
jwt_secret = "env(SUPABASE_JWT_SECRET)"
jwt_expiry = 3600
enable_signup = true
publishable_key = "env(SUPABASE_PUBLISHABLE_KEY)"
secret_key = "env(SUPABASE_SECRET_KEY)"

[auth.email]
enable_confirmations = false

[storage]
enabled = true
file_size_limit = "20MiB"
"""
_INHERITED = ("PATH", "HOME", "TMPDIR", "LANG", "SYSTEMROOT")


@dataclass(frozen=True)
class Keys:
    """The keys of a local Supabase. Never on a command line or in a log."""

    secret_key: str
    publishable_key: str
    jwt_secret: str

    @classmethod
    def kept_in(cls, path: Path) -> Keys:
        """Reads the keys, or makes random ones. The file has mode 600."""
        try:
            return cls(**json.loads(path.read_text()))
        except FileNotFoundError:
            pass
        keys = cls(
            secret_key=f"sb_secret_{secrets.token_urlsafe(32)}",
            publishable_key=f"sb_publishable_{secrets.token_urlsafe(32)}",
            jwt_secret=secrets.token_urlsafe(48),
        )
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=".keys-")  # mode 600
        with os.fdopen(handle, "w") as file:
            json.dump(vars(keys), file)
        Path(name).replace(path)
        return keys

    def hide(self, text: str) -> str:
        """`text` without the keys."""
        for value in vars(self).values():
            text = text.replace(value, "[hidden]")
        return text


@dataclass(frozen=True)
class LiteProject:
    """A project folder as `lite` expects it, with `lite` from `node_modules`."""

    folder: Path
    node_modules: Path
    keys: Keys

    @property
    def data(self) -> Path:
        return self.folder / "supabase" / ".temp" / "data"

    @property
    def _manifest(self) -> Path:
        return self.folder / "migrations.json"

    def command(self, *arguments: str) -> list[str]:
        """The command line of `lite`; run it in `folder` with `environment`.

        Its standard input must be a pipe: the process ends when the pipe is closed.
        """
        watch = (PACKAGE_FILES / "exit_with_parent.mjs").resolve().as_uri()
        lite = self.node_modules / "@supabase" / "lite" / "dist" / "cli" / "index.js"
        return [*node_command(), "--import", watch, str(lite.resolve()), *arguments]

    def environment(self) -> dict[str, str]:
        return {
            **{name: os.environ[name] for name in _INHERITED if name in os.environ},
            "EXPERIMENTAL_STORAGE": "1",
            "LITE_TELEMETRY": "0",
            "DO_NOT_TRACK": "1",
            "SUPABASE_SECRET_KEY": self.keys.secret_key,
            "SUPABASE_PUBLISHABLE_KEY": self.keys.publishable_key,
            "SUPABASE_JWT_SECRET": self.keys.jwt_secret,
        }

    def configure(self, port: int) -> None:
        """Writes the configuration; the secrets in it are references to the environment."""
        self.data.parent.mkdir(parents=True, exist_ok=True)
        (self.folder / "supabase" / "config.toml").write_text(_CONFIG.format(port=port))

    def migrate(self, folders: Sequence[Path], templates: Path) -> None:
        """Applies the missing migrations; a new database is copied from a template.

        Raises:
            SandboxError: a migration fails, or one that is applied already was edited.
        """
        paths = _migration_files(folders)
        files = {name: _digest(path) for name, path in paths.items()}
        applied = self._applied(files)
        if applied == files:
            return
        self.configure(0)
        if not self.data.exists():
            self._start_from_template(files, paths, templates)
        else:
            self._migrate_up(paths)
        _write_json(self._manifest, files)

    def _applied(self, files: dict[str, str]) -> dict[str, str]:
        if not self.data.exists() or not self._manifest.exists():
            return {}
        applied: dict[str, str] = json.loads(self._manifest.read_text())
        for name, digest in applied.items():
            if files.get(name) != digest:
                raise SandboxError(
                    f"The migration {name} was edited or removed after the database in "
                    f"{self.folder} had it: remove that folder to start with an empty database."
                )
        return applied

    def _start_from_template(
        self, files: dict[str, str], paths: dict[str, Path], templates: Path
    ) -> None:
        # The configuration counts too: it decides what is set up beside the migrations.
        inputs = json.dumps([files, LOCK_FILE.read_text(), _CONFIG])
        template = templates / hashlib.sha256(inputs.encode()).hexdigest()[:12]
        if not template.is_dir():
            templates.mkdir(parents=True, exist_ok=True)
            building = Path(tempfile.mkdtemp(prefix=".building-", dir=templates))
            try:
                project = LiteProject(building, self.node_modules, self.keys)
                project.configure(0)
                project._migrate_up(paths)
                publish(project.data, template)
            finally:
                shutil.rmtree(building, ignore_errors=True)
        copying = self.data.with_name("data.copying")
        shutil.rmtree(copying, ignore_errors=True)
        shutil.copytree(template, copying)
        copying.rename(self.data)

    def _migrate_up(self, paths: dict[str, Path]) -> None:
        folder = self.folder / "supabase" / "migrations"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for name, path in paths.items():
            number, rest = name.split("_", 1)
            shutil.copyfile(path, folder / f"{int(number):014}_{rest}")
        # The pipe to standard input stays open until the process has ended.
        with subprocess.Popen(
            self.command("migration", "up"),
            cwd=self.folder,
            env=self.environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process:
            output = process.stdout.read() if process.stdout else ""
        if process.returncode != 0:
            raise SandboxError(
                f"The migrations of {path.parent} could not be applied:\n"
                f"{self.keys.hide(output[-2000:])}"
            )


def _migration_files(folders: Sequence[Path]) -> dict[str, Path]:
    """The migrations of all folders by file name, in order."""
    found: dict[str, Path] = {}
    for folder in folders:
        files = sorted(folder.glob("[0-9][0-9][0-9]_*.sql"))
        if not files:
            raise SandboxError(f"There are no migrations in {folder}.")
        found |= {file.name: file for file in files}
    return dict(sorted(found.items()))


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _write_json(path: Path, value: object) -> None:
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    with os.fdopen(handle, "w") as file:
        json.dump(value, file)
    Path(name).replace(path)
