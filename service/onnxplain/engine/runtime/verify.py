"""Loading a rewritten model into ONNX Runtime, as its users will."""

from __future__ import annotations

import onnx

from onnxplain.engine.runtime.loading import load_session
from onnxplain.graphops.errors import MissingRuntime, OnnxplainError, UnsupportedModel

__all__ = ["verify"]

BUILT_IN = ("", "ai.onnx", "com.microsoft")  # and what starts with these and a dot


def verify(artefact: onnx.ModelProto, source: onnx.ModelProto | None) -> str:
    """Load a rewritten model into ONNX Runtime on the CPU, and forget it.

    Args:
        artefact: the rewritten model.
        source: the network that it was made of, None where it is not at hand.

    Returns:
        Why that could not be tried: ONNX Runtime does not load the network either, or that is not
        known, or it has operators of a plug-in; else "".

    Raises:
        UnsupportedModel: ONNX Runtime loads the network, but not the rewritten model.
        MissingRuntime: there is no ONNX Runtime.
    """
    domains = {node.domain for node in artefact.graph.node}
    plug_ins = sorted(d for d in domains if not _is_built_in(d))
    if plug_ins:
        return (
            f"the model has operators of the plug-in '{plug_ins[0]}', so it was not loaded into "
            "ONNX Runtime: load it with the plug-in, or leave out the network's own outputs "
            "(`no_outputs`)"
        )
    try:
        load_session(artefact, "cpu", threads=1)
    except MissingRuntime:
        raise
    except OnnxplainError as e:
        if source is None:
            return f"ONNX Runtime on this machine does not load the model: {e}"
        try:
            load_session(source, "cpu", threads=1)
        except OnnxplainError as own:
            return f"the model was not tried, since the network itself fails: {own}"
        raise UnsupportedModel(
            f"the rewritten model is faulty, and was not written: {e}; please report this, or "
            "write it all the same (`no_verify`)"
        ) from e
    return ""


def _is_built_in(domain: str) -> bool:
    return domain in BUILT_IN or domain.startswith(tuple(f"{d}." for d in BUILT_IN if d))
