"""Views that the service draws: their requests, and their responses assembled."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from google.protobuf.descriptor import Descriptor

from onnxplain.client.errors import InvalidArgumentError
from onnxplain.client.pieces import Groups, Told, is_progress, joined
from onnxplain.client.requests import (
    Images,
    Preprocess,
    invalid_arguments,
    model_name,
    options_of_method,
    pictures,
    preprocessing,
    request_of,
    units_fields,
)
from onnxplain.v1 import explain_pb2 as pb

__all__ = ["ServedView", "View", "ViewParts", "view_request"]

FORMATS = {b"\x89PNG": "png", b"%PDF": "pdf", b"\xff\xd8": "jpg"}
VIEWS = [field.name for field in pb.ViewRequest.DESCRIPTOR.oneofs_by_name["view"].fields]


@dataclass(frozen=True, eq=False)
class ServedView:
    """A view that the service drew, displayed as a picture in notebooks.

    drawing: the bytes of a file.
    arrays: by name, as listed with the view's message in explain.proto.
    notes: assumptions, and oddities of the result.
    format: that of the files, "png", "pdf", "svg" or "jpg".
    panels: the panels of the drawing, files by their names; empty unless asked for.
    further: the pages after the first, as `drawing`; empty for a PDF file, which has all of them.
    """

    drawing: bytes
    arrays: dict[str, npt.NDArray[Any]]
    notes: tuple[str, ...]
    format: str = "png"
    panels: dict[str, bytes] = field(default_factory=dict)
    further: tuple[bytes, ...] = ()

    @property
    def png(self) -> bytes:
        """The drawing as a PNG file. Raises ClientError if it has another format."""
        if self.format != "png":
            raise _wrong(f"the service drew a {self.format} file: ask for format='png'")
        return self.drawing

    def save(self, path: str | os.PathLike[str]) -> list[Path]:
        """Write the drawing.

        Args:
            path: the file to write, whose name ends in the drawing's format. Further pages are
                files with numbers in their names.

        Returns:
            The files.

        Raises:
            ClientError: the name ends in another.
            OSError: the file cannot be written.
        """
        if _format(path) != self.format:
            raise _wrong(
                f"the service drew a {self.format} file, and '{path}' does not end in "
                f".{self.format}: name such a file, or ask for another format, such as "
                f"format='{_format(path) or 'pdf'}'"
            )
        files, whole = (self.drawing, *self.further), Path(path)
        paths, digits = [whole], len(str(len(files)))
        if self.further:
            numbers = range(1, len(files) + 1)
            paths = [whole.with_stem(f"{whole.stem}-{n:0{digits}}") for n in numbers]
        for one, data in zip(paths, files, strict=True):
            one.write_bytes(data)
        return paths

    def save_panels(self, folder: str | os.PathLike[str]) -> list[Path]:
        """Write each panel as a file of its own, in the drawing's format.

        Args:
            folder: the folder, created if it does not exist.

        Returns:
            The files.

        Raises:
            ClientError: the panels were not asked for.
            OSError: a file cannot be written.
        """
        if not self.panels:
            raise _wrong("the service returned no panels: ask for panels=True")
        Path(folder).mkdir(parents=True, exist_ok=True)
        files = {Path(folder) / name: data for name, data in self.panels.items()}
        for path, data in files.items():
            path.write_bytes(data)
        return list(files)

    def save_npz(self, path: str | os.PathLike[str]) -> None:
        """Write the arrays.

        Args:
            path: the file to write, which `numpy.load` reads.

        Raises:
            OSError: the file cannot be written.
        """
        with open(path, "wb") as file:
            np.savez_compressed(file, allow_pickle=False, **self.arrays)

    def _repr_png_(self) -> bytes | None:
        return self.drawing if self.format == "png" else None


View = ServedView  # the older name


def view_request(
    name: str,
    images: Images,
    view: str,
    preprocess: Preprocess,
    labels: Sequence[str] | None,
    options: Mapping[str, Any],
) -> pb.ViewRequest:
    """Return the request of View. See `Client.view` for the arguments."""
    if view not in VIEWS:
        raise _wrong(f"no view '{view}': choose one of {', '.join(VIEWS)}")
    message = type(getattr(pb.ViewRequest(), view))
    known = pb.Drawing.DESCRIPTOR.fields_by_name
    drawing = {name: options[name] for name in known if options.get(name) is not None}
    others = {name: value for name, value in options.items() if name not in known}
    fields = _fields(view, message.DESCRIPTOR, others)
    with invalid_arguments():
        return request_of(
            pb.ViewRequest,
            name,
            images=pictures(images),
            labels=labels,
            drawing=pb.Drawing(**drawing) if drawing else None,
            **preprocessing(preprocess),
            **{view: message(**fields)},
        )


def _fields(view: str, message: Descriptor, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return a caller's options as the fields of a view's message.

    In every view `units` is a Units, `earlier` holds models, `size` sets `height` and `width`,
    `channels` of `top` may be "all" or "top:K", which set fields of these names, and options that
    are no fields of the view belong to `method_options`. Raises TypeError for an option that the
    view does not take.
    """
    known = [field.name for field in message.fields]
    if {"height", "width"} <= set(known):
        known = ["size" if name == "height" else name for name in known if name != "width"]
    named = set(known)
    fields = {name: value for name, value in options.items() if value is not None}
    others = {name: fields.pop(name) for name in fields.keys() - named}
    if "method_options" in known:
        fields["method_options"] = options_of_method(others)
    elif others:
        raise TypeError(f"unexpected keyword argument '{min(others)}'; '{view}' takes {known}")
    with invalid_arguments():
        if "size" in fields:
            fields["height"], fields["width"] = fields.pop("size")
        if "channels" in fields:
            fields |= _channels(fields.pop("channels"))
        if "units" in fields:
            fields["units"] = pb.Units(**units_fields(fields["units"]))
        if "earlier" in fields:
            fields["earlier"] = [model_name(earlier) for earlier in fields["earlier"]]
    return fields


def _channels(channels: Any) -> dict[str, Any]:
    """Return the field of `TopView` that selects channels. Raises ClientError."""
    fields = units_fields(channels)
    numbers = fields.pop("channels", None)
    if "whole" in fields or numbers is not None and not numbers.channels:
        raise _wrong(
            f"no channels {channels!r}: give channel numbers, 'all', or 'top:K' such as 'top:9'"
        )
    return fields if numbers is None else {"channels": numbers.channels}


class ViewParts:
    """The pieces of a view, added as they arrive.

    progress: called with the steps done, and their total. passes: called with the runs done of the
    current step, and their total.
    """

    def __init__(self, progress: Told, passes: Told) -> None:
        self._progress, self._passes = progress, passes
        self._groups = Groups(_key, self._take)
        self._drawing: list[bytes] = []
        self._notes: list[str] = []
        self._arrays: dict[str, npt.NDArray[Any]] = {}
        self._files: dict[str, dict[str, bytes]] = {"panel": {}, "page": {}}

    def add(self, message: pb.ViewResponse) -> None:
        """Add a message of the stream. Raises ClientError if it is damaged."""
        if not is_progress(message, self._progress, self._passes):
            self._groups.add(message)

    def result(self) -> ServedView:
        """Return the whole."""
        self._groups.end()
        drawing = b"".join(self._drawing)
        return ServedView(
            drawing,
            self._arrays,
            tuple(self._notes),
            _format_of(drawing),
            self._files["panel"],
            tuple(self._files["page"].values()),
        )

    def _take(self, messages: list[pb.ViewResponse]) -> None:
        kind, name = _key(messages[0])
        if kind == "png":
            self._drawing += [message.png for message in messages]
        elif kind in self._files:
            data = b"".join(getattr(message, kind).data for message in messages)
            self._files[kind][Path(name).name] = data  # without a folder, whatever is sent
        elif kind == "note":
            self._notes += [message.note for message in messages]
        elif kind == "texts":
            texts = messages[0].texts
            self._arrays[name] = np.array(texts.texts, np.str_).reshape(texts.shape)
        elif kind == "tensor":
            self._arrays[name] = joined(message.tensor.values for message in messages)


def _key(message: pb.ViewResponse) -> tuple[str | None, str]:
    """Return what the pieces of one array, or of one file, have in common."""
    kind = message.WhichOneof("part")
    return kind, getattr(getattr(message, kind or ""), "name", "")


def _format_of(drawing: bytes) -> str:
    """Return the format of a file, by its first bytes."""
    return next((form for start, form in FORMATS.items() if drawing.startswith(start)), "svg")


def _format(path: str | os.PathLike[str]) -> str:
    """Return the format that a file's name ends in, "" for none."""
    return Path(path).suffix.lower().removeprefix(".").replace("jpeg", "jpg")


def _wrong(message: str) -> InvalidArgumentError:
    return InvalidArgumentError(message, "OptionError")
