"""The models that a service serves, opened and described.

Every request lists the sources, so models can be added, changed and removed while the service runs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import onnx

from onnxplain.graphops import load, read_metadata
from onnxplain.graphops.errors import OnnxplainError
from onnxplain.registry import Listing, ModelSource, ModelVersion, open_named, parse_name
from onnxplain.server.pages import page_of_models

__all__ = ["Models", "ServedModel", "Value", "describe", "naming"]


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
    """The models of several sources."""

    def __init__(self, sources: Sequence[ModelSource]) -> None:
        self._sources = sources
        self._described: dict[str, tuple[str, ServedModel]] = {}

    def all(self) -> list[ServedModel]:
        """Return every version of every model by name, the newest version of each last."""
        listing = self._listing()
        return [self._describe(listing, version) for version in listing]

    def page(self, size: int, token: str) -> tuple[list[ServedModel], str]:
        """Return some of the versions, in the order of `all`.

        Args:
            size: the most versions, 0 for all that follow.
            token: "" to begin with the first version, or what the previous page came with.

        Returns:
            The versions, and the token of the next page, "" after the last one. Models that are
            added or removed meanwhile leave the others where they are.

        Raises:
            InputError: the size is negative, or the token is none of this service's.
        """
        listing = self._listing()
        versions, next_token = page_of_models(listing, size, token)
        return [self._describe(listing, version) for version in versions], next_token

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
        listing = self._listing()
        return self._describe(listing, listing.find(name))

    def versions(self, name: str) -> list[str]:
        """Return the versions of a model, the oldest first.

        Args:
            name: as in `get`; its version has no effect.

        Returns:
            The versions.

        Raises:
            InputError, MissingModel: as in `get`.
        """
        model, _ = parse_name(name)
        return [str(version.number) for version in self._listing().versions(model)]

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
        files = [open_named(self._sources, name) for name in names]
        with naming(files):
            yield files

    def _listing(self) -> Listing:
        return Listing(self._sources)

    def _describe(self, listing: Listing, version: ModelVersion) -> ServedModel:
        try:
            path = listing.open(version)
        except OnnxplainError as error:
            return ServedModel(version.name, problem=str(error))
        known = self._described.get(version.name)
        if known is None or known[0] != version.stamp:
            known = (version.stamp, _read(version.name, path))
            listed = {version.name for version in listing}
            kept = {name: value for name, value in self._described.items() if name in listed}
            self._described = kept | {version.name: known}
        return known[1]


@contextmanager
def naming(files: Sequence[tuple[str, Path]]) -> Iterator[None]:
    """Let errors that are raised inside name models in place of their files and folders."""
    try:
        yield
    except OnnxplainError as e:
        raise type(e)(_hide_paths(str(e), files)) from e


def describe(name: str, model: onnx.ModelProto, size: int) -> ServedModel:
    """Return what there is to tell of a model. size: of its file, in bytes."""
    weights = {tensor.name for tensor in model.graph.initializer}
    return ServedModel(
        name=name,
        size_bytes=size,
        opset=next(o.version for o in model.opset_import if o.domain in ("", "ai.onnx")),
        inputs=tuple(_value(v) for v in model.graph.input if v.name not in weights),
        outputs=tuple(_value(v) for v in model.graph.output),
        metadata=read_metadata(model),
    )


def _hide_paths(text: str, files: Sequence[tuple[str, Path]]) -> str:
    """Replace paths of the models' files and folders in an error's text by the models' names."""
    for name, path in files:
        text = text.replace(f"'{path}'", f"'{name}'")
    for folder in (path.parent.resolve() for _, path in files):
        if len(folder.parts) > 1:  # a bare name may occur in any text
            text = text.replace(f"'{folder}'", "its folder").replace(str(folder), "its folder")
    return text


def _read(name: str, path: Path) -> ServedModel:
    size = path.stat().st_size if path.exists() else 0
    try:
        with naming([(name, path)]):
            return describe(name, load(path), size)
    except OnnxplainError as error:
        return ServedModel(name, size, problem=str(error))


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
