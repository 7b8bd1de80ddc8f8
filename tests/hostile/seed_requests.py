"""Valid requests of every call, small and cheap, that mutations start from."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import onnx
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from grpc_health.v1 import health_pb2
from PIL import Image
from server.running import ANY_SIZE, CLASSIFIER, model

from onnxplain.inference import open_inference_pb2 as oip
from onnxplain.v1 import explain_pb2 as pb
from onnxplain.v1 import tensors

__all__ = ["METHODS", "SEEDS", "request_class", "write_models"]

SERVICES = (
    pb.DESCRIPTOR.services_by_name["ExplainService"],
    oip.DESCRIPTOR.services_by_name["GRPCInferenceService"],
    health_pb2.DESCRIPTOR.services_by_name["Health"],
)
METHODS = [method for service in SERVICES for method in service.methods if method.name != "Watch"]
RANDOM = np.random.default_rng(0)
PIXELS = RANDOM.integers(0, 256, (16, 16, 3), np.uint8)
INPUT = RANDOM.standard_normal((3, 16, 16)).astype(np.float32)
FEW = pb.MethodOptions(samples=2, steps=2, masks=4, iterations=2)
NAME = "models/classifier"


def write_models(folder: Path) -> None:
    """Write the models that the requests name, and one that is damaged."""
    onnx.save(model(CLASSIFIER), folder / "classifier.onnx")
    onnx.save(model(ANY_SIZE), folder / "any_size.onnx")
    (folder / "broken.onnx").write_bytes(b"this is no model")


def request_class(method: object) -> type[Message]:
    """Return the class of a call's requests."""
    return GetMessageClass(method.input_type)


def _encoded(kind: str) -> bytes:
    data = io.BytesIO()
    Image.fromarray(PIXELS).save(data, kind)
    return data.getvalue()


ENCODED = pb.Image(encoded=_encoded("PNG"))
PLAIN = pb.Image(pixels=tensors.from_array(PIXELS))
VALUES = pb.Image(input=tensors.from_array(INPUT))
VIEWS = [
    pb.ViewRequest(model=NAME, images=[ENCODED], preset="raw", **view)
    for view in (
        {"maps": pb.MapsView(layer="r", methods=["gradient", "rise"], method_options=FEW)},
        {"top": pb.TopView(layer="c", count=1, top=1, method="deconvnet")},
        {"invariance": pb.InvarianceView(layers=["c"], class_index=1)},
        {"occlusion": pb.OcclusionView(layer="c", window=8, stride=8)},
        {"slide": pb.SlideView(channel=1)},
    )
]
EXPLAINED = [
    pb.ExplainRequest(model=NAME, images=[ENCODED], preset="raw", top=1, return_pictures=True),
    pb.ExplainRequest(model=NAME, images=[PLAIN], layer="c", method="gradient",
                      channels=pb.Channels(channels=[0, 3])),
    pb.ExplainRequest(model=NAME, images=[VALUES], method="smoothgrad", method_options=FEW),
    pb.ExplainRequest(model=NAME, images=[VALUES], layer="r", method="rise", method_options=FEW),
    pb.ExplainRequest(model=NAME, images=[VALUES], layer="r", position=pb.POSITION_GIVEN,
                      positions=tensors.from_array(np.array([2, 3]))),
    pb.ExplainRequest(model=NAME, images=[VALUES], layer="r", position=pb.POSITION_REGION,
                      region=tensors.from_array(np.ones((16, 16), np.float32))),
    pb.ExplainRequest(model="models/any_size", images=[PLAIN], layer="y", whole=True,
                      preprocess=pb.Preprocess(height=8, width=8, mean=[1], std=[2], scale=0.1)),
    pb.ExplainRequest(model="models/broken", images=[VALUES]),
]  # fmt: skip
REWRITTEN = pb.RewriteRequest(model=NAME, layer="r", method="gradient", method_options=FEW)
EVALUATED = pb.EvaluateRequest(model=NAME, images=[PLAIN], methods=["gradient"], preset="raw")
INFERRED = oip.ModelInferRequest(
    model_name="classifier",
    model_version="1",
    inputs=[oip.ModelInferRequest.InferInputTensor(
        name="image", datatype="FP32", shape=[1, 3, 16, 16],
        contents=oip.InferTensorContents(fp32_contents=INPUT.ravel()),
    )],
    outputs=[oip.ModelInferRequest.InferRequestedOutputTensor(name="attribution")],
    parameters={"method": oip.InferParameter(string_param="gradient")},
)  # fmt: skip
SEEDS: list[Message] = [
    pb.ListModelsRequest(page_size=2),
    pb.GetModelRequest(name=f"{NAME}/versions/1"),
    pb.ListLayersRequest(model="models/any_size", size=[8, 8]),
    pb.CheckRequest(model=NAME, layer="c", method="lrp_epsilon_plus"),
    REWRITTEN,
    *EXPLAINED,
    *VIEWS,
    EVALUATED,
    pb.ConvolutionalizeRequest(model=NAME),
    pb.UploadModelRequest(header=pb.UploadHeader(model="models/new", size_bytes=4)),
    pb.UploadModelRequest(data=b"none"),
    pb.StoreRewriteRequest(rewrite=REWRITTEN, name="models/new/versions/1"),
    *(pb.StartOperationRequest(view=view) for view in VIEWS),
    pb.StartOperationRequest(evaluate=EVALUATED),
    pb.WaitOperationRequest(name="operations/none"),
    INFERRED,
    oip.ModelMetadataRequest(name="classifier"),
    oip.ModelReadyRequest(name="classifier", version="1"),
]
