"""Opening a model: read and checked once, and cached until its content changes."""

from __future__ import annotations

import ast
import functools
import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import onnx

from onnxplain.engine.pictures import (
    Input,
    choose_picture_input,
    further_inputs,
    picture_input,
    required_inputs,
)
from onnxplain.engine.runtime.cache import ByteCache
from onnxplain.graphops import Layer, Network, read_metadata
from onnxplain.graphops.errors import OptionError, UnsupportedModel, nearest
from onnxplain.graphops.ir import fits
from onnxplain.graphops.network import NetworkSource, as_network

__all__ = ["Model", "OpenedModel", "labels_in", "open_model", "stored_labels"]

LABELS = "onnxplain.labels"  # metadata: a JSON list of class names
NODE_BYTES = 2**13  # what is known of a model beside its file: 4 KiB a node for small networks


@dataclass(frozen=True, eq=False)
class OpenedModel:
    """A model, read and checked, and its input that takes the picture."""

    network: Network

    @functools.cached_property
    def input(self) -> Input:
        """The input that takes the picture. Raises UnsupportedModel, as `picture_input` does."""
        return picture_input(self.network.model)

    def inputs(
        self, layer: str | None, named: Collection[str] = ()
    ) -> tuple[Input, tuple[Input, ...]]:
        """Return the input that takes the images, and the others that a layer depends on.

        named: the names of inputs that the caller gives values for. Raises UnknownLayer,
        OptionError or UnsupportedModel.
        """
        unbatched = self.network.unbatched
        every = required_inputs(self.model, unbatched)
        names = {value.name for value in self.model.graph.input}
        for name in named:
            if name not in names:
                raise OptionError(f"the model has no input '{name}' ({nearest(name, names)})")
        needed = every
        if len(every) > 1:
            depended = self.network.inputs_of(layer)
            needed = [one for one in every if one.name in depended] or every
        picture = choose_picture_input(needed, named)
        return picture, further_inputs(needed, picture)

    @property
    def model(self) -> onnx.ModelProto:
        """The ONNX model."""
        return self.network.model

    @property
    def sha256(self) -> str:
        """The SHA-256 of the model's content, the key of its plans in the cache."""
        return self.network.sha256

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The layers of the network, in the order in which they are computed."""
        return self.network.layers


Model: TypeAlias = "NetworkSource | OpenedModel"


def open_model(source: Model, cache: ByteCache) -> OpenedModel:
    """Return the model of a path, bytes or ModelProto, from the cache unless it has changed.

    An opened model is returned as it is; the bytes of a model are hashed every time.

    Raises MissingFile or ModelError.
    """
    if isinstance(source, OpenedModel):
        return source
    if isinstance(source, onnx.ModelProto):
        whole = fits(source)
        source = source.SerializeToString(deterministic=True) if whole else Network(source)
    key: tuple[object, ...]
    if isinstance(source, Network):
        key = ("network", source.sha256)
    elif isinstance(source, bytes):
        key = ("model", hashlib.sha256(source).hexdigest())
    else:
        # A file with the same time and size is not read again, let alone hashed.
        path = Path(source)
        state = path.stat() if path.exists() else None
        key = ("file", path.resolve(), state and (state.st_mtime_ns, state.st_size))

    def build() -> tuple[OpenedModel, int]:
        network = as_network(source)
        nodes = len(network.model.graph.node)
        return OpenedModel(network), network.size_bytes + nodes * NODE_BYTES

    return cache.get(key, build)


def stored_labels(model: onnx.ModelProto) -> tuple[str, ...]:
    """Return the class names in the model's metadata, if any. Raises as `labels_in` does."""
    return labels_in(read_metadata(model))


def labels_in(metadata: Mapping[str, str]) -> tuple[str, ...]:
    """Return the class names in a model's metadata, if any: onnxplain's own, or Ultralytics'.

    Raises UnsupportedModel where onnxplain's are not a JSON list of strings.
    """
    if LABELS not in metadata:
        return _ultralytics_names(metadata.get("names", ""))
    try:
        names = json.loads(metadata[LABELS])
    except ValueError:
        names = None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise UnsupportedModel(
            f"the model's metadata '{LABELS}' is not a JSON list of strings: give the labels"
        )
    return tuple(names)


def _ultralytics_names(text: str) -> tuple[str, ...]:
    """Return the names in a Python dictionary's text, "{0: 'person', 1: 'bicycle'}"."""
    try:
        names = ast.literal_eval(text) if text.startswith("{") else {}
    except (ValueError, SyntaxError):
        return ()
    if not isinstance(names, dict) or list(names) != list(range(len(names))):
        return ()
    return tuple(map(str, names.values()))
