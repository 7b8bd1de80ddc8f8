"""The folder of models that a service answers for.

`NAME.onnx` is version 1 of the model NAME; `NAME/3/model.onnx` is its version 3. The folder is
looked at anew for every request, so models can come, change and go while the service runs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import onnx

from onnxplain.graphops import load, read_metadata
from onnxplain.graphops.errors import (
    InputError,
    MissingFile,
    MissingModel,
    OnnxplainError,
    UnsupportedModel,
    nearest,
)

__all__ = ["Models", "ServedModel", "Value"]


@dataclass(frozen=True)
class Value:
    """An input or output of a model. Sizes are numbers, names, or None for what is not known."""

    name: str
    dtype: str
    shape: tuple[int | str | None, ...]


@dataclass(frozen=True)
class ServedModel:
    """One version of a model. `problem` says why it cannot be used, and is empty where it can."""

    name: str
    size_bytes: int = 0
    opset: int = 0
    inputs: tuple[Value, ...] = ()
    outputs: tuple[Value, ...] = ()
    metadata: dict[str, str] = field(default_factory=dict)
    problem: str = ""


class Models:
    """The models in a folder. Raises MissingFile where the folder is not there."""

    def __init__(self, folder: str | Path) -> None:
        self._folder = Path(folder)
        self._described: dict[Path, tuple[tuple[int, int, int], ServedModel]] = {}
        if not self._folder.is_dir():
            raise MissingFile(f"no folder '{folder}' to serve models from")

    def all(self) -> list[ServedModel]:
        """Return every version of every model by name, the newest version of each last."""
        return [
            self._describe(name, version, paths)
            for name, versions in sorted(self._scan().items())
            for version, paths in sorted(versions.items())
        ]

    def get(self, name: str) -> ServedModel:
        """Return one version of a model. Raises InputError or MissingModel."""
        return self._describe(*self._look_up(name))

    @contextmanager
    def use(self, name: str) -> Iterator[tuple[str, Path]]:
        """Give the full name and the file of one version of a model.

        Errors raised inside name the model and not its file, whose place is no client's business.
        Raises InputError, MissingModel, or UnsupportedModel where two files claim the version.
        """
        with self.use_all([name]) as (place,):
            yield place

    @contextmanager
    def use_all(self, names: Sequence[str]) -> Iterator[list[tuple[str, Path]]]:
        """Give the full names and files of several models, as `use` does of one."""
        places = [self._place(name) for name in names]
        try:
            yield places
        except OnnxplainError as e:
            raise type(e)(_without_places(str(e), places)) from e

    def _place(self, name: str) -> tuple[str, Path]:
        model, version, paths = self._look_up(name)
        if len(paths) > 1:
            raise UnsupportedModel(self._clash(paths))
        return _full_name(model, version), paths[0]

    def _look_up(self, name: str) -> tuple[str, int, list[Path]]:
        # A name is only ever compared with what the folder holds, so none can lead out of it.
        parts = re.fullmatch(r"models/([^/]+)(?:/versions/([^/]+))?", name)
        if parts is None:
            raise InputError(
                f"'{name}' does not name a model: write models/NAME or models/NAME/versions/VERSION"
            )
        found = self._scan()
        model, version = parts[1], parts[2]
        if model not in found:
            raise MissingModel(f"no model '{model}' ({nearest(model, found)})")
        versions = {str(number): number for number in sorted(found[model])}
        if version is not None and version not in versions:
            raise MissingModel(
                f"no version '{version}' of model '{model}': it has {', '.join(versions)}"
            )
        number = versions[version] if version is not None else max(versions.values())
        return model, number, found[model][number]

    def _scan(self) -> dict[str, dict[int, list[Path]]]:
        """Return the files of each version of each model: one, or two where they clash."""
        found: dict[str, dict[int, list[Path]]] = {}
        for path in self._folder.glob("*.onnx"):
            if path.is_file() and not path.name.startswith("."):
                found.setdefault(path.stem, {}).setdefault(1, []).append(path)
        for path in self._folder.glob("*/*/model.onnx"):
            model, version = path.parts[-3:-1]
            if re.fullmatch("[1-9][0-9]{0,17}", version) and not model.startswith("."):
                found.setdefault(model, {}).setdefault(int(version), []).append(path)
        return found

    def _describe(self, model: str, version: int, paths: list[Path]) -> ServedModel:
        name = _full_name(model, version)
        if len(paths) > 1:
            return ServedModel(name, problem=self._clash(paths))
        path = paths[0]
        try:
            stat = path.stat()
        except OSError as e:
            return ServedModel(name, problem=f"its file cannot be read: {e.strerror}")
        stamp = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
        if path not in self._described or self._described[path][0] != stamp:
            self._described[path] = (stamp, _read(name, path, stat.st_size))
        return self._described[path][1]

    def _clash(self, paths: list[Path]) -> str:
        files = " and ".join(f"'{path.relative_to(self._folder)}'" for path in paths)
        return f"{files} are the same version of one model: remove one of them"


def _full_name(model: str, version: int) -> str:
    return f"models/{model}/versions/{version}"


def _without_places(text: str, places: Sequence[tuple[str, Path]]) -> str:
    """Name the models in an error's text where it names their files, or the files' folders."""
    for name, path in places:
        text = text.replace(f"'{path}'", f"'{name}'")
    for folder in (path.parent.resolve() for _, path in places):
        if len(folder.parts) > 1:  # a name alone may stand in any text
            text = text.replace(f"'{folder}'", "its folder").replace(str(folder), "its folder")
    return text


def _read(name: str, path: Path, size: int) -> ServedModel:
    try:
        model = load(path)
    except OnnxplainError as error:
        return ServedModel(name, size, problem=_without_places(str(error), [(name, path)]))
    weights = {tensor.name for tensor in model.graph.initializer}
    return ServedModel(
        name=name,
        size_bytes=size,
        opset=next(o.version for o in model.opset_import if o.domain in ("", "ai.onnx")),
        inputs=tuple(_value(v) for v in model.graph.input if v.name not in weights),
        outputs=tuple(_value(v) for v in model.graph.output),
        metadata=read_metadata(model),
    )


def _value(info: onnx.ValueInfoProto) -> Value:
    tensor = info.type.tensor_type
    dtype = onnx.TensorProto.DataType.Name(tensor.elem_type).lower()
    shape = tuple(
        d.dim_value if d.HasField("dim_value") else d.dim_param or None for d in tensor.shape.dim
    )
    return Value(info.name, {"float": "float32", "double": "float64"}.get(dtype, dtype), shape)
