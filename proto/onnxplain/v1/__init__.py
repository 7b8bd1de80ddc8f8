"""The service's messages and stubs, generated from explain.proto by `make proto`."""

from onnxplain.v1 import explain_pb2, explain_pb2_grpc

__all__ = ["explain_pb2", "explain_pb2_grpc"]
