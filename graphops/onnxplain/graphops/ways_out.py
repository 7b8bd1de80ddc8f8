"""What to do where an explanation is refused: another layer, another target, another file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from onnxplain.graphops.backward import Path, has_rule, prepared
from onnxplain.graphops.canonicalize import CanonicalGraph
from onnxplain.graphops.errors import InputError, ModelError
from onnxplain.graphops.ir import Graph, Node, Tensor, is_float, reads
from onnxplain.graphops.layer_and_target import find_ends, longest_path, path_between
from onnxplain.graphops.methods import Method
from onnxplain.graphops.network import Network
from onnxplain.graphops.options import Options

__all__ = ["WaysOut", "find_ways_out", "naming_ways_out", "with_ways_out"]

Attempt = Callable[[CanonicalGraph, "str | None", Method, Options], Any]

OPTIMISED = "com.microsoft"  # the domain of the operators that ONNX Runtime fuses others into
BLOCKED = "com.microsoft.nchwc"  # that of its own memory layout, which it declares in every file


@dataclass(frozen=True)
class WaysOut:
    """Ways out of a refusal, each of which was tried, and "" where there is none.

    layer: the last tensor before what stands in the way, to be explained instead. to: the first
    one after it, to be projected back to. file: that another file is needed, and which.
    """

    layer: str = ""
    to: str = ""
    file: str = ""
    words: tuple[str, str] = ("layer", "to")  # the options that take the two

    def __str__(self) -> str:
        """Return the first two as one clause, which names each option in backquotes."""
        ways = []
        if self.layer:
            ways.append(f"explain '{self.layer}' (`{self.words[0]}`)")
        if self.to and self.words[1] == "to":
            ways.append(f"project back to '{self.to}' (`to`)")
        elif self.to:
            ways.append(f"map over '{self.to}' (`{self.words[1]}`)")
        return ", or ".join(ways)


@contextmanager
def naming_ways_out(
    network: Network, layer: str | None, method: Method, options: Options, attempt: Attempt
) -> Iterator[None]:
    """Add the ways out to a ModelError that is raised in the block."""
    try:
        yield
    except ModelError as e:
        ways = find_ways_out(network, layer, method, options, attempt)
        raise type(e)(with_ways_out(e, ways)) from e


def with_ways_out(error: Exception, ways: WaysOut) -> str:
    """Return the error's text with the ways out of it."""
    if ways.file:
        return f"{ways.file} ({error})"
    return "; ".join(filter(None, [str(error), str(ways)]))


def find_ways_out(
    network: Network, layer: str | None, method: Method, options: Options, attempt: Attempt
) -> WaysOut:
    """Find what succeeds where this explanation is refused; `attempt` is the explanation itself."""
    canonical = network.canonical(options.keep_shape)
    file = _other_file(canonical.graph)
    if file:
        return WaysOut(file=file)
    try:
        ends = find_ends(canonical, layer, method, options)
        path = path_between(canonical.graph, ends, options.to)
        path = longest_path(canonical.graph, ends, method, path)
    except (ModelError, InputError):  # the ends themselves are at fault
        return WaysOut()
    path, table = prepared(method.rules, path, options)
    supported = has_rule(table)
    words = ("score_layer", "layer") if method.over == "map" else ("layer", "to")

    def succeeds(word: str, tensor: Tensor) -> bool:
        named, changed = layer, options
        if word == "layer":
            named = tensor.name
        elif word == "to":
            changed = replace(options, to=tensor.name)
        else:
            own = {**dict(options.own), word: tensor.name}
            changed = replace(options, own=tuple(own.items()))
        try:
            attempt(network.canonical(options.keep_shape), named, method, changed)
        except (ModelError, InputError):
            return False
        return True

    before = [t for t in _before(path, supported) if t.name not in canonical.mixed]
    after = [t for t in _after(path, supported) if t is not path.layer]
    return WaysOut(
        layer=_first(before[::-1], lambda t: succeeds(words[0], t)),
        to=_first(after, lambda t: succeeds(words[1], t)) if method.over != "layer" else "",
        words=words,
    )


def _first(candidates: Sequence[Tensor], succeeds: Callable[[Tensor], bool]) -> str:
    """Return the name of the first candidate that succeeds, "" for none.

    Past the first, it is found by halves, as if all behind a success succeeded.
    """
    low, high, found = 0, len(candidates), ""
    middle = 0
    while low < high:
        if succeeds(candidates[middle]):
            found, high = candidates[middle].name, middle
        else:
            low = middle + 1
        middle = (low + high) // 2
    return found


def _before(path: Path, supported: Callable[[Node], bool]) -> list[Tensor]:
    """Return the path's tensors to which only supported nodes lead, in order."""
    beyond: set[str] = set()
    found = []
    for node in path.nodes:
        if not supported(node) or any(t.name in beyond for t in reads(node)):
            beyond.update(t.name for t in node.outputs)
        else:
            found += [t for t in node.outputs if _is_layer(t, path)]
    return found


def _after(path: Path, supported: Callable[[Node], bool]) -> list[Tensor]:
    """Return the path's tensors from which only supported nodes lead to the layer, in order."""
    blocked: set[str] = set()
    for node in reversed(path.nodes):
        if not supported(node) or any(t.name in blocked for t in node.outputs):
            blocked.update(t.name for t in reads(node))
    tensors = (t for node in path.nodes for t in node.outputs if _is_layer(t, path))
    return [t for t in tensors if t.name not in blocked]


def _is_layer(tensor: Tensor, path: Path) -> bool:
    return tensor.name in path.tensors and is_float(tensor) and bool(tensor.shape)


def _other_file(graph: Graph) -> str:
    domains = {node.domain or "" for node in graph.nodes}
    imported = {o.domain for o in graph.import_domains or ()}
    if BLOCKED in domains or (OPTIMISED in domains and BLOCKED in imported):
        return "the model was optimised by ONNX Runtime: give the original model"
    return ""
