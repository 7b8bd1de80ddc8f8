"""A thin client of the onnxplain service, which needs numpy and gRPC only.

from onnxplain.client import Client

with Client("127.0.0.1:50051") as client:
    result = client.explain("squeezenet", "cat.png", units="top:3")
"""

from onnxplain.client.async_client import AsyncClient
from onnxplain.client.channels import TLS
from onnxplain.client.client import Client, ServedOperation
from onnxplain.client.errors import ClientError
from onnxplain.client.operations import AsyncOperation
from onnxplain.client.results import Result, ServedEvaluations
from onnxplain.client.views import ServedView, View

__all__ = [
    "TLS",
    "AsyncClient",
    "AsyncOperation",
    "Client",
    "ClientError",
    "Result",
    "ServedEvaluations",
    "ServedOperation",
    "ServedView",
    "View",
]
