"""The folder of models that a service serves.

`NAME.onnx` is version 1 of the model NAME; `NAME/3/model.onnx` is its version 3. Every request
scans the folder, so models can be added, changed and removed while the service runs.
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
    """An input or output of a model.

    name: its name in the graph. dtype: its element type, such as "float32".
    shape: each size is a number, a name, or None where it is unknown.
    """

    name: str
    dtype: str
    shape: tuple[int | str | None, ...]


@dataclass(frozen=True)
class ServedModel:
    """One version of a model.

    name: `models/{model}/versions/{version}`. size_bytes: the size of its file. opset: its version
    of the standard operators. inputs: its inputs, without its weights. outputs: its outputs.
    metadata: its metadata. problem: the reason why it cannot be used, or "".
    """

    name: str
    size_bytes: int = 0
    opset: int = 0
    inputs: tuple[Value, ...] = ()
    outputs: tuple[Value, ...] = ()
    metadata: dict[str, str] = field(default_factory=dict)
    problem: str = ""


class Models:
    """The models in a folder. Raises MissingFile if there is no such folder."""

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
        """Return one version of a model.

        Args:
            name: `models/{model}/versions/{version}`, or `models/{model}` for the newest version.

        Returns:
            The version.

        Raises:
            InputError: the name is not of that form.
            MissingModel: there is no such model or version.
        """
        return self._describe(*self._find(name))

    def versions(self, name: str) -> list[str]:
        """Return the versions of a model, the oldest first.

        Args:
            name: as in `get`; its version has no effect.

        Returns:
            The versions.

        Raises:
            InputError, MissingModel: as in `get`.
        """
        model, _, _ = self._find(name)
        return [str(version) for version in sorted(self._scan()[model])]

    @contextmanager
    def use(self, name: str) -> Iterator[tuple[str, Path]]:
        """Yield the full name and the file of one version of a model.

        Errors raised inside the block name the model instead of its file: clients must not learn
        the service's paths.

        Args:
            name: as in `get`.

        Yields:
            The full name and the path, once.

        Raises:
            InputError, MissingModel: as in `get`.
            UnsupportedModel: two files claim the version.
        """
        with self.use_all([name]) as (file,):
            yield file

    @contextmanager
    def use_all(self, names: Sequence[str]) -> Iterator[list[tuple[str, Path]]]:
        """Yield the full names and files of several models, as `use` does for one.

        Args:
            names: each as in `get`.

        Yields:
            The full name and the path of each, once.

        Raises:
            InputError, MissingModel, UnsupportedModel: as in `use`.
        """
        files = [self._file(name) for name in names]
        try:
            yield files
        except OnnxplainError as e:
            raise type(e)(_hide_paths(str(e), files)) from e

    def _file(self, name: str) -> tuple[str, Path]:
        """Return the full name and the only file of one version of a model."""
        model, version, paths = self._find(name)
        if len(paths) > 1:
            raise UnsupportedModel(self._clash(paths))
        return _full_name(model, version), paths[0]

    def _find(self, name: str) -> tuple[str, int, list[Path]]:
        """Return the model, the version and the files that a resource name means."""
        # The name is only compared with the folder's contents, so it cannot lead out of the folder.
        parts = re.fullmatch(r"models/([^/]+)(?:/versions/([^/]+))?", name)
        if parts is None:
            raise InputError(
                f"'{name}' does not name a model: write models/NAME or models/NAME/versions/VERSION"
            )
        models = self._scan()
        model, version = parts[1], parts[2]
        if model not in models:
            raise MissingModel(f"no model '{model}' ({nearest(model, models)})")
        versions = {str(number): number for number in sorted(models[model])}
        if version is not None and version not in versions:
            raise MissingModel(
                f"no version '{version}' of model '{model}': it has {', '.join(versions)}"
            )
        number = versions[version] if version is not None else max(versions.values())
        return model, number, models[model][number]

    def _scan(self) -> dict[str, dict[int, list[Path]]]:
        """Return the files of each version of each model: one, or two where they clash."""
        models: dict[str, dict[int, list[Path]]] = {}
        for path in self._folder.glob("*.onnx"):
            if path.is_file() and not path.name.startswith("."):
                models.setdefault(path.stem, {}).setdefault(1, []).append(path)
        for path in self._folder.glob("*/*/model.onnx"):
            model, version = path.parts[-3:-1]
            if re.fullmatch("[1-9][0-9]{0,17}", version) and not model.startswith("."):
                models.setdefault(model, {}).setdefault(int(version), []).append(path)
        return models

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
        return f"{files} are the same version of the same model: remove one of them"


def _full_name(model: str, version: int) -> str:
    return f"models/{model}/versions/{version}"


def _hide_paths(text: str, files: Sequence[tuple[str, Path]]) -> str:
    """Replace paths of the models' files and folders in an error's text by the models' names."""
    for name, path in files:
        text = text.replace(f"'{path}'", f"'{name}'")
    for folder in (path.parent.resolve() for _, path in files):
        if len(folder.parts) > 1:  # a bare name may occur in any text
            text = text.replace(f"'{folder}'", "its folder").replace(str(folder), "its folder")
    return text


def _read(name: str, path: Path, size: int) -> ServedModel:
    try:
        model = load(path)
    except OnnxplainError as error:
        return ServedModel(name, size, problem=_hide_paths(str(error), [(name, path)]))
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
    kind = info.type.WhichOneof("value") or "tensor_type"
    if kind != "tensor_type":
        return Value(info.name, kind.removesuffix("_type"), ())
    tensor = info.type.tensor_type
    dtype = onnx.TensorProto.DataType.Name(tensor.elem_type).lower()
    shape = tuple(
        d.dim_value if d.HasField("dim_value") else d.dim_param or None for d in tensor.shape.dim
    )
    return Value(info.name, {"float": "float32", "double": "float64"}.get(dtype, dtype), shape)
