"""Folders for the sockets of workers, which nobody else can enter, and which do not pile up."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
import time
from pathlib import Path

from onnxplain.graphops.errors import ServiceError

__all__ = ["PrivateFolder"]

PREFIX = "onnxplain-"
MARK = ".edge"  # a file that tells these folders from others of such a name
MAX_SOCKET_PATH = 100  # of the 107 bytes that Linux allows
LONGEST_SOCKET = "/999999/socket"
ABANDONED_SECONDS = 60.0  # after which a folder that nobody holds is removed


class PrivateFolder:
    """A temporary folder, held until it is closed; removes those of edges that were killed.

    Raises ServiceError where its path is too long for sockets.
    """

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix=PREFIX))
        self._held = os.open(self.path, os.O_RDONLY)
        fcntl.flock(self._held, fcntl.LOCK_EX)
        (self.path / MARK).touch()
        if len(os.fsencode(self.path)) > MAX_SOCKET_PATH - len(LONGEST_SOCKET):
            self.close()
            raise ServiceError(
                f"the path of the folder for temporary files, '{self.path.parent}', is too long "
                "for the sockets of workers: set TMPDIR to a shorter one"
            )
        for other in self.path.parent.glob(f"{PREFIX}*"):
            with contextlib.suppress(OSError):
                _remove_if_abandoned(other)

    def close(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._held)


def _remove_if_abandoned(folder: Path) -> None:
    """Remove a folder of ours that no process holds. Raises OSError where one does."""
    stat = folder.lstat()
    if stat.st_uid != os.getuid() or time.time() - stat.st_mtime < ABANDONED_SECONDS:
        return
    held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if (folder / MARK).is_file():
            shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(held)
