from onnxplain.v1 import explain_pb2 as _explain_pb2
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class InspectRequest(_message.Message):
    __slots__ = ("file", "name")
    FILE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    file: str
    name: str
    def __init__(self, file: _Optional[str] = ..., name: _Optional[str] = ...) -> None: ...

class InspectResponse(_message.Message):
    __slots__ = ("model",)
    MODEL_FIELD_NUMBER: _ClassVar[int]
    model: _explain_pb2.Model
    def __init__(self, model: _Optional[_Union[_explain_pb2.Model, _Mapping]] = ...) -> None: ...

class WarmRequest(_message.Message):
    __slots__ = ("model",)
    MODEL_FIELD_NUMBER: _ClassVar[int]
    model: str
    def __init__(self, model: _Optional[str] = ...) -> None: ...

class WarmResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class RestRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class RestResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...
