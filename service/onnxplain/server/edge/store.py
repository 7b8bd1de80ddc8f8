"""The folder of uploaded models: a file is staged in it, and becomes a version by one renaming.

What is being staged lies under a name with a dot, where no source of models looks. Each process has
a folder of its own there, which it keeps locked; those of processes that ended are removed.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from onnxplain.graphops.errors import InputError, ModelExists, OutputError, ServiceError
from onnxplain.registry import full_name

__all__ = ["StagedFile", "Store"]

STAGING = ".uploads"
LOCK = "lock"
MOST = 10**18  # versions have smaller numbers
MOST_ATTEMPTS = 1000  # to find a version that is free
TAKEN = (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR)


class StagedFile:
    """A file of the store that is no model yet.

    name: its path in the store. size, sha256: of what has been written so far.
    """

    def __init__(self, folder: Path, name: str, file: BinaryIO) -> None:
        self.folder = folder
        self.name = name
        self.size = 0
        self._file = file
        self._hash = hashlib.sha256()

    @property
    def sha256(self) -> str:
        """The SHA-256 of what has been written so far, in hexadecimal."""
        return self._hash.hexdigest()

    def write(self, data: bytes) -> None:
        """Append to the file. Raises OutputError."""
        with _telling("written"):
            self._file.write(data)
        self._hash.update(data)
        self.size += len(data)

    def sync(self) -> None:
        """Have the whole file on the disk. Raises OutputError."""
        with _telling("written"):
            self._file.flush()
            os.fsync(self._file.fileno())
            _sync(self.folder)


class Store:
    """A folder of models that clients add to, in the layout NAME/VERSION/model.onnx.

    It is made if it does not exist. Raises ServiceError if it cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._own, self._lock = _own_folder(folder / STAGING)
        except OSError as e:
            raise ServiceError(f"cannot write to the store '{folder}': {e.strerror}") from e

    def close(self) -> None:
        """Remove what is still staged."""
        shutil.rmtree(self._own, ignore_errors=True)
        os.close(self._lock)

    @contextmanager
    def stage(self) -> Iterator[StagedFile]:
        """Yield a new file, which is removed after the block unless it was published.

        Raises OutputError if it cannot be made.
        """
        with _telling("written"):
            folder = Path(tempfile.mkdtemp(dir=self._own))
            folder.chmod(0o755)
        try:
            path = folder / "model.onnx"
            with _telling("written"):
                file = path.open("wb")
            with file:
                yield StagedFile(folder, path.relative_to(self.folder).as_posix(), file)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def publish(self, staged: StagedFile, model: str, number: int | None, newest: int) -> int:
        """Make a staged file a version of a model.

        Args:
            staged: the file, whole and synchronised.
            model: the model's own name.
            number: of the version, None for the one after the newest.
            newest: the highest number of the model anywhere, 0 if it has none.

        Returns:
            The version's number.

        Raises:
            ModelExists: there is that version already.
            InputError: the model is a link to another place, or has no higher number.
            OutputError: the store cannot be written.
        """
        home = self._home(model)
        for _ in range(MOST_ATTEMPTS):
            chosen = number or newest + 1
            if chosen >= MOST:
                raise InputError(f"'{model}' has no version after {newest}: name a free one")
            try:
                home.mkdir(exist_ok=True)
                # A folder that is there and not empty stays: of two at once, one has the version.
                staged.folder.rename(home / str(chosen))
                return chosen
            except FileNotFoundError:
                continue  # the model's last version, and with it the folder, has just been removed
            except OSError as e:
                if e.errno not in TAKEN or not home.is_dir():
                    with contextlib.suppress(OSError):
                        home.rmdir()  # if it is empty
                    raise OutputError(f"the model cannot be stored: {e.strerror}") from e
                if number:
                    name = full_name(model, number)
                    raise ModelExists(f"'{name}' exists already: name another version") from e
                newest = chosen
        raise OutputError("the model cannot be stored: the store's folder changes meanwhile")

    def sync(self, model: str) -> None:
        """Have the present versions of a model on the disk. Raises OutputError."""
        with _telling("stored"):
            for folder in (self.folder / model, self.folder):
                if folder.is_dir():
                    _sync(folder)

    def remove(self, model: str, number: int) -> bool:
        """Remove a version of a model that is listed.

        Returns:
            Whether it was in the store.

        Raises:
            InputError: the model is a link to another place.
            OutputError: the store cannot be written.
        """
        home = self._home(model)
        paths = [home / str(number), *([self.folder / f"{model}.onnx"] if number == 1 else [])]
        removed = False
        with _telling("removed"), tempfile.TemporaryDirectory(dir=self._own) as bin_:
            for path in paths:
                with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                    path.rename(Path(bin_) / path.name)  # all of it goes at once; a link stays one
                    removed = True
            with contextlib.suppress(OSError):
                home.rmdir()  # if it is empty
        return removed

    def _home(self, model: str) -> Path:
        home = self.folder / model
        if home.is_symlink():
            raise InputError(
                f"'{model}' is a link of the store to another place, which only those who run the "
                "service can change"
            )
        return home


def _own_folder(staging: Path) -> tuple[Path, int]:
    """Return a new locked folder and its lock, and remove those that no process locks any more."""
    staging.mkdir(exist_ok=True)
    with (staging / LOCK).open("w") as everyone:
        fcntl.flock(everyone, fcntl.LOCK_EX)  # until the new folder is locked too
        for old in [path for path in staging.iterdir() if path.name != LOCK]:
            with contextlib.suppress(OSError):
                _remove_unlocked(old)
        own = Path(tempfile.mkdtemp(dir=staging))
        own.chmod(0o755)
        lock = os.open(own / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        fcntl.flock(lock, fcntl.LOCK_EX)
    return own, lock


def _remove_unlocked(folder: Path) -> None:
    """Remove the folder of a process that has ended. Raises BlockingIOError if it has not."""
    try:
        with (folder / LOCK).open("r+") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
    except (FileNotFoundError, NotADirectoryError):
        shutil.rmtree(folder, ignore_errors=True)


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def _telling(done: str) -> Iterator[None]:
    """Turn an OSError into an OutputError that names no path."""
    try:
        yield
    except OSError as e:
        raise OutputError(f"the model cannot be {done}: {e.strerror}") from e
