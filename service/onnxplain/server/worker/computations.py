"""The work of the calls, which runs on threads: requests in, messages out."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from onnxplain.engine import Engine, Explanation, bake_preprocess
from onnxplain.engine.join import join_pieces
from onnxplain.graphops import Network, check, convolutionalize, layers, rewrite
from onnxplain.graphops.errors import AnswerTooLarge, UnsupportedModel
from onnxplain.graphops.ir import fits
from onnxplain.graphops.metadata import record_source
from onnxplain.server.worker import requests, responses, views
from onnxplain.server.worker.batching import explain_together
from onnxplain.server.worker.bounds import MAX_STREAM_BYTES, check_runs
from onnxplain.server.worker.calls import Call, limited
from onnxplain.server.worker.models import Models
from onnxplain.server.worker.progress import ProgressQueue
from onnxplain.v1 import explain_pb2 as pb

__all__ = ["MAX_ANSWER_BYTES", "Computations"]

MAX_VIEW_BYTES = 2**30  # of attributions, all of which a view holds at once
MAX_ANSWER_BYTES = 4 * 2**20  # gRPC clients' default limit for one message

A = TypeVar("A")
B = TypeVar("B")


class Computations:
    """Computes the answers of a folder's models with one engine."""

    def __init__(self, models: Models, engine: Engine) -> None:
        self._models = models
        self._engine = engine

    @contextmanager
    def _network(self, name: str) -> Iterator[Network]:
        """Yield a model's network, read and prepared once while its file does not change."""
        with self._models.use(name) as (_, path):
            yield self._engine.open(path).network

    def list_layers(self, request: pb.ListLayersRequest) -> pb.ListLayersResponse:
        """List the layers of a model."""
        with self._network(request.model) as network:
            found = layers(network, tuple(request.size) or None)
        return pb.ListLayersResponse(layers=[responses.layer_message(layer) for layer in found])

    def check(self, request: pb.CheckRequest) -> pb.CheckResponse:
        """Report whether a layer can be explained."""
        with self._network(request.model) as network:
            return responses.check_response(check(network, **requests.check_arguments(request)))

    def rewrite(self, request: pb.RewriteRequest) -> Generator[pb.RewriteResponse]:
        """Yield a rewritten model."""
        with self._models.use(request.model) as (name, path):
            network = self._engine.open(path).network
            artefact = rewrite(network, **requests.rewrite_arguments(request))
        if request.bake_preprocess:
            artefact = bake_preprocess(artefact, request.bake_preprocess)
        if request.record_source:
            record_source(artefact, name)
        if not fits(artefact):
            raise UnsupportedModel(
                "the rewritten model exceeds 2 GiB, which no ONNX file in one piece can: write it "
                "where the network is, with `onnxplain rewrite`"
            )
        yield from responses.rewrite_parts(artefact.SerializeToString())

    def explain(
        self, wanted: Sequence[pb.ExplainRequest], call: Call
    ) -> list[pb.ExplainResponse | Exception]:
        """Explain units of a layer for each of several requests of one key."""
        engine = limited(self._engine, call, MAX_ANSWER_BYTES)
        results: list[Explanation | Exception]
        with self._models.use(wanted[0].model) as (name, path):
            if len(wanted) == 1:
                arguments = requests.explain_arguments(wanted[0])
                results = [engine.explain(str(path), **arguments, passes=check_runs)]
            else:
                each = explain_together(engine, path, wanted)
                results = _each(lambda pieces: join_pieces(pieces, MAX_ANSWER_BYTES), each)
        pictures = iter([request.return_pictures for request in wanted])
        return _each(lambda result: _explain_response(name, result, next(pictures)), results)

    def explain_units_together(
        self, wanted: Sequence[pb.ExplainRequest], call: Call
    ) -> list[list[pb.ExplainUnitsResponse] | Exception]:
        """Return what `explain_units` yields, for each of several requests of one key."""
        engine, pictures = limited(self._engine, call), wanted[0].return_pictures
        with self._models.use(wanted[0].model) as (name, path):
            each = explain_together(engine, path, wanted)

        def messages(pieces: list[Explanation]) -> list[pb.ExplainUnitsResponse]:
            total = sum(piece.channels.size for piece in pieces)
            return list(responses.explain_parts(name, pieces, pictures, lambda: total))

        return _each(messages, each)

    def explain_units(
        self,
        request: pb.ExplainRequest,
        call: Call,
        progress: ProgressQueue[pb.ExplainUnitsResponse],
    ) -> Generator[pb.ExplainUnitsResponse]:
        """Yield the explanation of units of a layer."""
        call.batch = len(request.images)
        engine = limited(self._engine, call)
        with self._models.use(request.model) as (name, path):
            arguments = requests.explain_arguments(request)
            pieces = engine.explain_units(
                str(path), **arguments, progress=progress.count, passes=progress.runs
            )
            yield from responses.explain_parts(
                name,
                _bounded(pieces, lambda: progress.total),
                request.return_pictures,
                lambda: progress.total,
            )

    def view(
        self, request: pb.ViewRequest, call: Call, progress: ProgressQueue[pb.ViewResponse]
    ) -> Generator[pb.ViewResponse]:
        """Yield a view."""
        view_call = views.view_call(request)
        engine = limited(self._engine, call, MAX_VIEW_BYTES)
        with self._models.use_all(view_call.models) as used:
            view = view_call.compute(engine, [str(path) for _, path in used], progress)
            yield from view_call.parts(view)

    def evaluate(
        self, request: pb.EvaluateRequest, call: Call, progress: ProgressQueue[pb.EvaluateResponse]
    ) -> Generator[pb.EvaluateResponse]:
        """Yield each method's measurements."""
        engine = limited(self._engine, call)
        arguments = views.evaluate_arguments(request)
        with self._models.use(request.model) as (_, path):
            evaluations = engine.evaluate(str(path), **arguments, progress=progress.steps)
        yield from views.evaluate_parts(evaluations)

    def convolutionalize(
        self, request: pb.ConvolutionalizeRequest
    ) -> Generator[pb.RewriteResponse]:
        """Yield a classifier rewritten into a sliding window over larger pictures."""
        with self._network(request.model) as network:
            sliding = convolutionalize(network, views.size_of(request))
        yield from responses.rewrite_parts(sliding.SerializeToString())


def _explain_response(name: str, result: Explanation, pictures: bool) -> pb.ExplainResponse:
    answer = responses.explain_response(name, result, pictures)
    if answer.ByteSize() > MAX_ANSWER_BYTES:
        raise AnswerTooLarge(
            f"the response exceeds {MAX_ANSWER_BYTES} bytes, the limit of one message: call "
            "ExplainUnits, which streams the result, or request fewer images or units"
        )
    return answer


def _bounded(pieces: Iterator[Explanation], total: Callable[[], int]) -> Iterator[Explanation]:
    """Yield pieces. Raises AnswerTooLarge as soon as one tells that all will be too large."""
    for piece in pieces:
        size = piece.attribution.nbytes + sum(values.nbytes for values in piece.others.values())
        expected = size // max(1, piece.channels.size) * total()
        if expected > MAX_STREAM_BYTES:
            raise AnswerTooLarge(
                f"the attributions of {total():,} units have {expected:,} bytes, and the service "
                f"sends up to {MAX_STREAM_BYTES:,}: request fewer images or units"
            )
        yield piece


def _each(function: Callable[[A], B], values: Sequence[A | Exception]) -> list[B | Exception]:
    """Apply a function to each value; exceptions, its own too, stay in their places."""
    results: list[B | Exception] = []
    for value in values:
        try:
            results.append(value if isinstance(value, Exception) else function(value))
        except Exception as e:
            results.append(e)
    return results
