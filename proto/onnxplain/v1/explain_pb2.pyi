import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class DataType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DATA_TYPE_UNSPECIFIED: _ClassVar[DataType]
    DATA_TYPE_FLOAT: _ClassVar[DataType]
    DATA_TYPE_UINT8: _ClassVar[DataType]
    DATA_TYPE_INT8: _ClassVar[DataType]
    DATA_TYPE_UINT16: _ClassVar[DataType]
    DATA_TYPE_INT16: _ClassVar[DataType]
    DATA_TYPE_INT32: _ClassVar[DataType]
    DATA_TYPE_INT64: _ClassVar[DataType]
    DATA_TYPE_BOOL: _ClassVar[DataType]
    DATA_TYPE_FLOAT16: _ClassVar[DataType]
    DATA_TYPE_DOUBLE: _ClassVar[DataType]
    DATA_TYPE_UINT32: _ClassVar[DataType]
    DATA_TYPE_UINT64: _ClassVar[DataType]

class Select(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SELECT_UNSPECIFIED: _ClassVar[Select]
    SELECT_CHANNEL: _ClassVar[Select]
    SELECT_PAIRS: _ClassVar[Select]
    SELECT_FIXED: _ClassVar[Select]
    SELECT_PREDICTED: _ClassVar[Select]
    SELECT_SEED: _ClassVar[Select]
    SELECT_WHOLE: _ClassVar[Select]

class Position(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    POSITION_UNSPECIFIED: _ClassVar[Position]
    POSITION_ALL: _ClassVar[Position]
    POSITION_MAX: _ClassVar[Position]
    POSITION_GIVEN: _ClassVar[Position]
    POSITION_REGION: _ClassVar[Position]

class SeedValue(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SEED_VALUE_UNSPECIFIED: _ClassVar[SeedValue]
    SEED_VALUE_ACTIVATION: _ClassVar[SeedValue]
    SEED_VALUE_ONE: _ClassVar[SeedValue]

class Unpool(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    UNPOOL_UNSPECIFIED: _ClassVar[Unpool]
    UNPOOL_AUTO: _ClassVar[Unpool]
    UNPOOL_MAXUNPOOL: _ClassVar[Unpool]
    UNPOOL_SCATTER: _ClassVar[Unpool]
    UNPOOL_PORTABLE: _ClassVar[Unpool]
    UNPOOL_WINDOW: _ClassVar[Unpool]

class Target(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TARGET_UNSPECIFIED: _ClassVar[Target]
    TARGET_CPU: _ClassVar[Target]
    TARGET_CUDA: _ClassVar[Target]
    TARGET_OPENVINO: _ClassVar[Target]
    TARGET_WEB: _ClassVar[Target]
    TARGET_TENSORRT: _ClassVar[Target]

class Lowering(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    LOWERING_UNSPECIFIED: _ClassVar[Lowering]
    LOWERING_PLAIN: _ClassVar[Lowering]
    LOWERING_FAST: _ClassVar[Lowering]

class Backward(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    BACKWARD_UNSPECIFIED: _ClassVar[Backward]
    BACKWARD_SAME: _ClassVar[Backward]
    BACKWARD_FLOAT32: _ClassVar[Backward]

class OperationState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    OPERATION_STATE_UNSPECIFIED: _ClassVar[OperationState]
    OPERATION_STATE_QUEUED: _ClassVar[OperationState]
    OPERATION_STATE_RUNNING: _ClassVar[OperationState]
    OPERATION_STATE_SUCCEEDED: _ClassVar[OperationState]
    OPERATION_STATE_FAILED: _ClassVar[OperationState]
    OPERATION_STATE_CANCELLED: _ClassVar[OperationState]
DATA_TYPE_UNSPECIFIED: DataType
DATA_TYPE_FLOAT: DataType
DATA_TYPE_UINT8: DataType
DATA_TYPE_INT8: DataType
DATA_TYPE_UINT16: DataType
DATA_TYPE_INT16: DataType
DATA_TYPE_INT32: DataType
DATA_TYPE_INT64: DataType
DATA_TYPE_BOOL: DataType
DATA_TYPE_FLOAT16: DataType
DATA_TYPE_DOUBLE: DataType
DATA_TYPE_UINT32: DataType
DATA_TYPE_UINT64: DataType
SELECT_UNSPECIFIED: Select
SELECT_CHANNEL: Select
SELECT_PAIRS: Select
SELECT_FIXED: Select
SELECT_PREDICTED: Select
SELECT_SEED: Select
SELECT_WHOLE: Select
POSITION_UNSPECIFIED: Position
POSITION_ALL: Position
POSITION_MAX: Position
POSITION_GIVEN: Position
POSITION_REGION: Position
SEED_VALUE_UNSPECIFIED: SeedValue
SEED_VALUE_ACTIVATION: SeedValue
SEED_VALUE_ONE: SeedValue
UNPOOL_UNSPECIFIED: Unpool
UNPOOL_AUTO: Unpool
UNPOOL_MAXUNPOOL: Unpool
UNPOOL_SCATTER: Unpool
UNPOOL_PORTABLE: Unpool
UNPOOL_WINDOW: Unpool
TARGET_UNSPECIFIED: Target
TARGET_CPU: Target
TARGET_CUDA: Target
TARGET_OPENVINO: Target
TARGET_WEB: Target
TARGET_TENSORRT: Target
LOWERING_UNSPECIFIED: Lowering
LOWERING_PLAIN: Lowering
LOWERING_FAST: Lowering
BACKWARD_UNSPECIFIED: Backward
BACKWARD_SAME: Backward
BACKWARD_FLOAT32: Backward
OPERATION_STATE_UNSPECIFIED: OperationState
OPERATION_STATE_QUEUED: OperationState
OPERATION_STATE_RUNNING: OperationState
OPERATION_STATE_SUCCEEDED: OperationState
OPERATION_STATE_FAILED: OperationState
OPERATION_STATE_CANCELLED: OperationState

class Tensor(_message.Message):
    __slots__ = ("data_type", "shape", "data")
    DATA_TYPE_FIELD_NUMBER: _ClassVar[int]
    SHAPE_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    data_type: DataType
    shape: _containers.RepeatedScalarFieldContainer[int]
    data: bytes
    def __init__(self, data_type: _Optional[_Union[DataType, str]] = ..., shape: _Optional[_Iterable[int]] = ..., data: _Optional[bytes] = ...) -> None: ...

class TensorPart(_message.Message):
    __slots__ = ("data_type", "shape", "offset", "data")
    DATA_TYPE_FIELD_NUMBER: _ClassVar[int]
    SHAPE_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    data_type: DataType
    shape: _containers.RepeatedScalarFieldContainer[int]
    offset: int
    data: bytes
    def __init__(self, data_type: _Optional[_Union[DataType, str]] = ..., shape: _Optional[_Iterable[int]] = ..., offset: _Optional[int] = ..., data: _Optional[bytes] = ...) -> None: ...

class Dimension(_message.Message):
    __slots__ = ("size", "name")
    SIZE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    size: int
    name: str
    def __init__(self, size: _Optional[int] = ..., name: _Optional[str] = ...) -> None: ...

class TensorInfo(_message.Message):
    __slots__ = ("name", "data_type", "shape")
    NAME_FIELD_NUMBER: _ClassVar[int]
    DATA_TYPE_FIELD_NUMBER: _ClassVar[int]
    SHAPE_FIELD_NUMBER: _ClassVar[int]
    name: str
    data_type: str
    shape: _containers.RepeatedCompositeFieldContainer[Dimension]
    def __init__(self, name: _Optional[str] = ..., data_type: _Optional[str] = ..., shape: _Optional[_Iterable[_Union[Dimension, _Mapping]]] = ...) -> None: ...

class Model(_message.Message):
    __slots__ = ("name", "size_bytes", "opset", "inputs", "outputs", "metadata", "problem", "source_model")
    class MetadataEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    OPSET_FIELD_NUMBER: _ClassVar[int]
    INPUTS_FIELD_NUMBER: _ClassVar[int]
    OUTPUTS_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    PROBLEM_FIELD_NUMBER: _ClassVar[int]
    SOURCE_MODEL_FIELD_NUMBER: _ClassVar[int]
    name: str
    size_bytes: int
    opset: int
    inputs: _containers.RepeatedCompositeFieldContainer[TensorInfo]
    outputs: _containers.RepeatedCompositeFieldContainer[TensorInfo]
    metadata: _containers.ScalarMap[str, str]
    problem: str
    source_model: str
    def __init__(self, name: _Optional[str] = ..., size_bytes: _Optional[int] = ..., opset: _Optional[int] = ..., inputs: _Optional[_Iterable[_Union[TensorInfo, _Mapping]]] = ..., outputs: _Optional[_Iterable[_Union[TensorInfo, _Mapping]]] = ..., metadata: _Optional[_Mapping[str, str]] = ..., problem: _Optional[str] = ..., source_model: _Optional[str] = ...) -> None: ...

class ListModelsRequest(_message.Message):
    __slots__ = ("page_size", "page_token")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListModelsResponse(_message.Message):
    __slots__ = ("models", "next_page_token")
    MODELS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    models: _containers.RepeatedCompositeFieldContainer[Model]
    next_page_token: str
    def __init__(self, models: _Optional[_Iterable[_Union[Model, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class GetModelRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class ListLayersRequest(_message.Message):
    __slots__ = ("model", "size")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    model: str
    size: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, model: _Optional[str] = ..., size: _Optional[_Iterable[int]] = ...) -> None: ...

class ListLayersResponse(_message.Message):
    __slots__ = ("layers",)
    LAYERS_FIELD_NUMBER: _ClassVar[int]
    layers: _containers.RepeatedCompositeFieldContainer[Layer]
    def __init__(self, layers: _Optional[_Iterable[_Union[Layer, _Mapping]]] = ...) -> None: ...

class Layer(_message.Message):
    __slots__ = ("tensor", "node", "operator", "module", "shape", "data_type", "channel_axis", "channels", "marks", "receptive_field", "kernel", "step", "padding", "parameters", "multiply_adds", "channel_axis_assumed", "output", "output_offset", "spatial_axes")
    TENSOR_FIELD_NUMBER: _ClassVar[int]
    NODE_FIELD_NUMBER: _ClassVar[int]
    OPERATOR_FIELD_NUMBER: _ClassVar[int]
    MODULE_FIELD_NUMBER: _ClassVar[int]
    SHAPE_FIELD_NUMBER: _ClassVar[int]
    DATA_TYPE_FIELD_NUMBER: _ClassVar[int]
    CHANNEL_AXIS_FIELD_NUMBER: _ClassVar[int]
    CHANNELS_FIELD_NUMBER: _ClassVar[int]
    MARKS_FIELD_NUMBER: _ClassVar[int]
    RECEPTIVE_FIELD_FIELD_NUMBER: _ClassVar[int]
    KERNEL_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    PADDING_FIELD_NUMBER: _ClassVar[int]
    PARAMETERS_FIELD_NUMBER: _ClassVar[int]
    MULTIPLY_ADDS_FIELD_NUMBER: _ClassVar[int]
    CHANNEL_AXIS_ASSUMED_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_OFFSET_FIELD_NUMBER: _ClassVar[int]
    SPATIAL_AXES_FIELD_NUMBER: _ClassVar[int]
    tensor: str
    node: str
    operator: str
    module: str
    shape: _containers.RepeatedCompositeFieldContainer[Dimension]
    data_type: str
    channel_axis: int
    channels: int
    marks: _containers.RepeatedScalarFieldContainer[str]
    receptive_field: _containers.RepeatedCompositeFieldContainer[ReceptiveField]
    kernel: _containers.RepeatedScalarFieldContainer[int]
    step: _containers.RepeatedScalarFieldContainer[int]
    padding: _containers.RepeatedScalarFieldContainer[int]
    parameters: int
    multiply_adds: int
    channel_axis_assumed: bool
    output: str
    output_offset: int
    spatial_axes: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, tensor: _Optional[str] = ..., node: _Optional[str] = ..., operator: _Optional[str] = ..., module: _Optional[str] = ..., shape: _Optional[_Iterable[_Union[Dimension, _Mapping]]] = ..., data_type: _Optional[str] = ..., channel_axis: _Optional[int] = ..., channels: _Optional[int] = ..., marks: _Optional[_Iterable[str]] = ..., receptive_field: _Optional[_Iterable[_Union[ReceptiveField, _Mapping]]] = ..., kernel: _Optional[_Iterable[int]] = ..., step: _Optional[_Iterable[int]] = ..., padding: _Optional[_Iterable[int]] = ..., parameters: _Optional[int] = ..., multiply_adds: _Optional[int] = ..., channel_axis_assumed: _Optional[bool] = ..., output: _Optional[str] = ..., output_offset: _Optional[int] = ..., spatial_axes: _Optional[_Iterable[int]] = ...) -> None: ...

class ReceptiveField(_message.Message):
    __slots__ = ("size", "stride", "offset")
    SIZE_FIELD_NUMBER: _ClassVar[int]
    STRIDE_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    size: int
    stride: int
    offset: int
    def __init__(self, size: _Optional[int] = ..., stride: _Optional[int] = ..., offset: _Optional[int] = ...) -> None: ...

class ListMethodsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListMethodsResponse(_message.Message):
    __slots__ = ("methods",)
    METHODS_FIELD_NUMBER: _ClassVar[int]
    methods: _containers.RepeatedCompositeFieldContainer[MethodInfo]
    def __init__(self, methods: _Optional[_Iterable[_Union[MethodInfo, _Mapping]]] = ...) -> None: ...

class MethodInfo(_message.Message):
    __slots__ = ("name", "summary", "exportable", "options")
    NAME_FIELD_NUMBER: _ClassVar[int]
    SUMMARY_FIELD_NUMBER: _ClassVar[int]
    EXPORTABLE_FIELD_NUMBER: _ClassVar[int]
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    name: str
    summary: str
    exportable: bool
    options: _containers.RepeatedCompositeFieldContainer[OptionInfo]
    def __init__(self, name: _Optional[str] = ..., summary: _Optional[str] = ..., exportable: _Optional[bool] = ..., options: _Optional[_Iterable[_Union[OptionInfo, _Mapping]]] = ...) -> None: ...

class OptionInfo(_message.Message):
    __slots__ = ("name", "type", "default", "minimum", "maximum", "choices", "help")
    NAME_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    DEFAULT_FIELD_NUMBER: _ClassVar[int]
    MINIMUM_FIELD_NUMBER: _ClassVar[int]
    MAXIMUM_FIELD_NUMBER: _ClassVar[int]
    CHOICES_FIELD_NUMBER: _ClassVar[int]
    HELP_FIELD_NUMBER: _ClassVar[int]
    name: str
    type: str
    default: str
    minimum: float
    maximum: float
    choices: _containers.RepeatedScalarFieldContainer[str]
    help: str
    def __init__(self, name: _Optional[str] = ..., type: _Optional[str] = ..., default: _Optional[str] = ..., minimum: _Optional[float] = ..., maximum: _Optional[float] = ..., choices: _Optional[_Iterable[str]] = ..., help: _Optional[str] = ...) -> None: ...

class CheckRequest(_message.Message):
    __slots__ = ("model", "layer", "method", "to", "unpool", "channel_axis", "keep_shape", "target", "method_options", "lowering")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    LAYER_FIELD_NUMBER: _ClassVar[int]
    METHOD_FIELD_NUMBER: _ClassVar[int]
    TO_FIELD_NUMBER: _ClassVar[int]
    UNPOOL_FIELD_NUMBER: _ClassVar[int]
    CHANNEL_AXIS_FIELD_NUMBER: _ClassVar[int]
    KEEP_SHAPE_FIELD_NUMBER: _ClassVar[int]
    TARGET_FIELD_NUMBER: _ClassVar[int]
    METHOD_OPTIONS_FIELD_NUMBER: _ClassVar[int]
    LOWERING_FIELD_NUMBER: _ClassVar[int]
    model: str
    layer: str
    method: str
    to: str
    unpool: Unpool
    channel_axis: int
    keep_shape: bool
    target: Target
    method_options: MethodOptions
    lowering: Lowering
    def __init__(self, model: _Optional[str] = ..., layer: _Optional[str] = ..., method: _Optional[str] = ..., to: _Optional[str] = ..., unpool: _Optional[_Union[Unpool, str]] = ..., channel_axis: _Optional[int] = ..., keep_shape: _Optional[bool] = ..., target: _Optional[_Union[Target, str]] = ..., method_options: _Optional[_Union[MethodOptions, _Mapping]] = ..., lowering: _Optional[_Union[Lowering, str]] = ...) -> None: ...

class CheckResponse(_message.Message):
    __slots__ = ("ok", "problem", "layer", "method", "to", "opset", "batch", "batch_note", "nodes", "explainable_from", "warnings", "quantity", "other_outputs")
    OK_FIELD_NUMBER: _ClassVar[int]
    PROBLEM_FIELD_NUMBER: _ClassVar[int]
    LAYER_FIELD_NUMBER: _ClassVar[int]
    METHOD_FIELD_NUMBER: _ClassVar[int]
    TO_FIELD_NUMBER: _ClassVar[int]
    OPSET_FIELD_NUMBER: _ClassVar[int]
    BATCH_FIELD_NUMBER: _ClassVar[int]
    BATCH_NOTE_FIELD_NUMBER: _ClassVar[int]
    NODES_FIELD_NUMBER: _ClassVar[int]
    EXPLAINABLE_FROM_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    QUANTITY_FIELD_NUMBER: _ClassVar[int]
    OTHER_OUTPUTS_FIELD_NUMBER: _ClassVar[int]
    ok: bool
    problem: str
    layer: str
    method: str
    to: str
    opset: int
    batch: str
    batch_note: str
    nodes: _containers.RepeatedCompositeFieldContainer[NodeReport]
    explainable_from: str
    warnings: _containers.RepeatedScalarFieldContainer[str]
    quantity: str
    other_outputs: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, ok: _Optional[bool] = ..., problem: _Optional[str] = ..., layer: _Optional[str] = ..., method: _Optional[str] = ..., to: _Optional[str] = ..., opset: _Optional[int] = ..., batch: _Optional[str] = ..., batch_note: _Optional[str] = ..., nodes: _Optional[_Iterable[_Union[NodeReport, _Mapping]]] = ..., explainable_from: _Optional[str] = ..., warnings: _Optional[_Iterable[str]] = ..., quantity: _Optional[str] = ..., other_outputs: _Optional[_Iterable[str]] = ...) -> None: ...

class NodeReport(_message.Message):
    __slots__ = ("node", "operator", "tensor", "rule", "unpool", "note", "lowering")
    NODE_FIELD_NUMBER: _ClassVar[int]
    OPERATOR_FIELD_NUMBER: _ClassVar[int]
    TENSOR_FIELD_NUMBER: _ClassVar[int]
    RULE_FIELD_NUMBER: _ClassVar[int]
    UNPOOL_FIELD_NUMBER: _ClassVar[int]
    NOTE_FIELD_NUMBER: _ClassVar[int]
    LOWERING_FIELD_NUMBER: _ClassVar[int]
    node: str
    operator: str
    tensor: str
    rule: str
    unpool: str
    note: str
    lowering: str
    def __init__(self, node: _Optional[str] = ..., operator: _Optional[str] = ..., tensor: _Optional[str] = ..., rule: _Optional[str] = ..., unpool: _Optional[str] = ..., note: _Optional[str] = ..., lowering: _Optional[str] = ...) -> None: ...

class MethodOptions(_message.Message):
    __slots__ = ("score_layer", "upsample", "samples", "noise_level", "noise_seed", "steps", "low", "high", "baseline", "window", "stride", "masks", "resolution", "keep", "start", "iterations", "step_size", "jitter", "blur", "decay", "score_channel_axis", "noise")
    SCORE_LAYER_FIELD_NUMBER: _ClassVar[int]
    UPSAMPLE_FIELD_NUMBER: _ClassVar[int]
    SAMPLES_FIELD_NUMBER: _ClassVar[int]
    NOISE_LEVEL_FIELD_NUMBER: _ClassVar[int]
    NOISE_SEED_FIELD_NUMBER: _ClassVar[int]
    STEPS_FIELD_NUMBER: _ClassVar[int]
    LOW_FIELD_NUMBER: _ClassVar[int]
    HIGH_FIELD_NUMBER: _ClassVar[int]
    BASELINE_FIELD_NUMBER: _ClassVar[int]
    WINDOW_FIELD_NUMBER: _ClassVar[int]
    STRIDE_FIELD_NUMBER: _ClassVar[int]
    MASKS_FIELD_NUMBER: _ClassVar[int]
    RESOLUTION_FIELD_NUMBER: _ClassVar[int]
    KEEP_FIELD_NUMBER: _ClassVar[int]
    START_FIELD_NUMBER: _ClassVar[int]
    ITERATIONS_FIELD_NUMBER: _ClassVar[int]
    STEP_SIZE_FIELD_NUMBER: _ClassVar[int]
    JITTER_FIELD_NUMBER: _ClassVar[int]
    BLUR_FIELD_NUMBER: _ClassVar[int]
    DECAY_FIELD_NUMBER: _ClassVar[int]
    SCORE_CHANNEL_AXIS_FIELD_NUMBER: _ClassVar[int]
    NOISE_FIELD_NUMBER: _ClassVar[int]
    score_layer: str
    upsample: bool
    samples: int
    noise_level: float
    noise_seed: int
    steps: int
    low: _containers.RepeatedScalarFieldContainer[float]
    high: _containers.RepeatedScalarFieldContainer[float]
    baseline: Tensor
    window: _containers.RepeatedScalarFieldContainer[int]
    stride: _containers.RepeatedScalarFieldContainer[int]
    masks: int
    resolution: int
    keep: float
    start: str
    iterations: int
    step_size: float
    jitter: int
    blur: float
    decay: float
    score_channel_axis: int
    noise: str
    def __init__(self, score_layer: _Optional[str] = ..., upsample: _Optional[bool] = ..., samples: _Optional[int] = ..., noise_level: _Optional[float] = ..., noise_seed: _Optional[int] = ..., steps: _Optional[int] = ..., low: _Optional[_Iterable[float]] = ..., high: _Optional[_Iterable[float]] = ..., baseline: _Optional[_Union[Tensor, _Mapping]] = ..., window: _Optional[_Iterable[int]] = ..., stride: _Optional[_Iterable[int]] = ..., masks: _Optional[int] = ..., resolution: _Optional[int] = ..., keep: _Optional[float] = ..., start: _Optional[str] = ..., iterations: _Optional[int] = ..., step_size: _Optional[float] = ..., jitter: _Optional[int] = ..., blur: _Optional[float] = ..., decay: _Optional[float] = ..., score_channel_axis: _Optional[int] = ..., noise: _Optional[str] = ...) -> None: ...

class RewriteRequest(_message.Message):
    __slots__ = ("model", "layer", "method", "select", "channels", "position", "seed_value", "to", "unpool", "channel_axis", "keep_outputs", "keep_shape", "target", "backward", "method_options", "negate", "bake_preprocess", "lowering", "record_source")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    LAYER_FIELD_NUMBER: _ClassVar[int]
    METHOD_FIELD_NUMBER: _ClassVar[int]
    SELECT_FIELD_NUMBER: _ClassVar[int]
    CHANNELS_FIELD_NUMBER: _ClassVar[int]
    POSITION_FIELD_NUMBER: _ClassVar[int]
    SEED_VALUE_FIELD_NUMBER: _ClassVar[int]
    TO_FIELD_NUMBER: _ClassVar[int]
    UNPOOL_FIELD_NUMBER: _ClassVar[int]
    CHANNEL_AXIS_FIELD_NUMBER: _ClassVar[int]
    KEEP_OUTPUTS_FIELD_NUMBER: _ClassVar[int]
    KEEP_SHAPE_FIELD_NUMBER: _ClassVar[int]
    TARGET_FIELD_NUMBER: _ClassVar[int]
    BACKWARD_FIELD_NUMBER: _ClassVar[int]
    METHOD_OPTIONS_FIELD_NUMBER: _ClassVar[int]
    NEGATE_FIELD_NUMBER: _ClassVar[int]
    BAKE_PREPROCESS_FIELD_NUMBER: _ClassVar[int]
    LOWERING_FIELD_NUMBER: _ClassVar[int]
    RECORD_SOURCE_FIELD_NUMBER: _ClassVar[int]
    model: str
    layer: str
    method: str
    select: Select
    channels: _containers.RepeatedScalarFieldContainer[int]
    position: Position
    seed_value: SeedValue
    to: str
    unpool: Unpool
    channel_axis: int
    keep_outputs: bool
    keep_shape: bool
    target: Target
    backward: Backward
    method_options: MethodOptions
    negate: bool
    bake_preprocess: str
    lowering: Lowering
    record_source: bool
    def __init__(self, model: _Optional[str] = ..., layer: _Optional[str] = ..., method: _Optional[str] = ..., select: _Optional[_Union[Select, str]] = ..., channels: _Optional[_Iterable[int]] = ..., position: _Optional[_Union[Position, str]] = ..., seed_value: _Optional[_Union[SeedValue, str]] = ..., to: _Optional[str] = ..., unpool: _Optional[_Union[Unpool, str]] = ..., channel_axis: _Optional[int] = ..., keep_outputs: _Optional[bool] = ..., keep_shape: _Optional[bool] = ..., target: _Optional[_Union[Target, str]] = ..., backward: _Optional[_Union[Backward, str]] = ..., method_options: _Optional[_Union[MethodOptions, _Mapping]] = ..., negate: _Optional[bool] = ..., bake_preprocess: _Optional[str] = ..., lowering: _Optional[_Union[Lowering, str]] = ..., record_source: _Optional[bool] = ...) -> None: ...

class RewriteResponse(_message.Message):
    __slots__ = ("data", "size", "sha256")
    DATA_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    data: bytes
    size: int
    sha256: str
    def __init__(self, data: _Optional[bytes] = ..., size: _Optional[int] = ..., sha256: _Optional[str] = ...) -> None: ...

class Image(_message.Message):
    __slots__ = ("encoded", "pixels", "input")
    ENCODED_FIELD_NUMBER: _ClassVar[int]
    PIXELS_FIELD_NUMBER: _ClassVar[int]
    INPUT_FIELD_NUMBER: _ClassVar[int]
    encoded: bytes
    pixels: Tensor
    input: Tensor
    def __init__(self, encoded: _Optional[bytes] = ..., pixels: _Optional[_Union[Tensor, _Mapping]] = ..., input: _Optional[_Union[Tensor, _Mapping]] = ...) -> None: ...

class NamedInput(_message.Message):
    __slots__ = ("name", "images")
    NAME_FIELD_NUMBER: _ClassVar[int]
    IMAGES_FIELD_NUMBER: _ClassVar[int]
    name: str
    images: _containers.RepeatedCompositeFieldContainer[Image]
    def __init__(self, name: _Optional[str] = ..., images: _Optional[_Iterable[_Union[Image, _Mapping]]] = ...) -> None: ...

class Preprocess(_message.Message):
    __slots__ = ("height", "width", "crop", "color", "mean", "std", "scale", "resize", "interpolation")
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    CROP_FIELD_NUMBER: _ClassVar[int]
    COLOR_FIELD_NUMBER: _ClassVar[int]
    MEAN_FIELD_NUMBER: _ClassVar[int]
    STD_FIELD_NUMBER: _ClassVar[int]
    SCALE_FIELD_NUMBER: _ClassVar[int]
    RESIZE_FIELD_NUMBER: _ClassVar[int]
    INTERPOLATION_FIELD_NUMBER: _ClassVar[int]
    height: int
    width: int
    crop: str
    color: str
    mean: _containers.RepeatedScalarFieldContainer[float]
    std: _containers.RepeatedScalarFieldContainer[float]
    scale: float
    resize: int
    interpolation: str
    def __init__(self, height: _Optional[int] = ..., width: _Optional[int] = ..., crop: _Optional[str] = ..., color: _Optional[str] = ..., mean: _Optional[_Iterable[float]] = ..., std: _Optional[_Iterable[float]] = ..., scale: _Optional[float] = ..., resize: _Optional[int] = ..., interpolation: _Optional[str] = ...) -> None: ...

class Channels(_message.Message):
    __slots__ = ("channels",)
    CHANNELS_FIELD_NUMBER: _ClassVar[int]
    channels: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, channels: _Optional[_Iterable[int]] = ...) -> None: ...

class ExplainRequest(_message.Message):
    __slots__ = ("model", "images", "layer", "method", "top", "channels", "all", "whole", "position", "positions", "seed_value", "to", "unpool", "channel_axis", "preset", "preprocess", "labels", "return_pictures", "method_options", "negate", "inputs", "region")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    IMAGES_FIELD_NUMBER: _ClassVar[int]
    LAYER_FIELD_NUMBER: _ClassVar[int]
    METHOD_FIELD_NUMBER: _ClassVar[int]
    TOP_FIELD_NUMBER: _ClassVar[int]
    CHANNELS_FIELD_NUMBER: _ClassVar[int]
    ALL_FIELD_NUMBER: _ClassVar[int]
    WHOLE_FIELD_NUMBER: _ClassVar[int]
    POSITION_FIELD_NUMBER: _ClassVar[int]
    POSITIONS_FIELD_NUMBER: _ClassVar[int]
    SEED_VALUE_FIELD_NUMBER: _ClassVar[int]
    TO_FIELD_NUMBER: _ClassVar[int]
    UNPOOL_FIELD_NUMBER: _ClassVar[int]
    CHANNEL_AXIS_FIELD_NUMBER: _ClassVar[int]
    PRESET_FIELD_NUMBER: _ClassVar[int]
    PREPROCESS_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    RETURN_PICTURES_FIELD_NUMBER: _ClassVar[int]
    METHOD_OPTIONS_FIELD_NUMBER: _ClassVar[int]
    NEGATE_FIELD_NUMBER: _ClassVar[int]
    INPUTS_FIELD_NUMBER: _ClassVar[int]
    REGION_FIELD_NUMBER: _ClassVar[int]
    model: str
    images: _containers.RepeatedCompositeFieldContainer[Image]
    layer: str
    method: str
    top: int
    channels: Channels
    all: bool
    whole: bool
    position: Position
    positions: Tensor
    seed_value: SeedValue
    to: str
    unpool: Unpool
    channel_axis: int
    preset: str
    preprocess: Preprocess
    labels: _containers.RepeatedScalarFieldContainer[str]
    return_pictures: bool
    method_options: MethodOptions
    negate: bool
    inputs: _containers.RepeatedCompositeFieldContainer[NamedInput]
    region: Tensor
    def __init__(self, model: _Optional[str] = ..., images: _Optional[_Iterable[_Union[Image, _Mapping]]] = ..., layer: _Optional[str] = ..., method: _Optional[str] = ..., top: _Optional[int] = ..., channels: _Optional[_Union[Channels, _Mapping]] = ..., all: _Optional[bool] = ..., whole: _Optional[bool] = ..., position: _Optional[_Union[Position, str]] = ..., positions: _Optional[_Union[Tensor, _Mapping]] = ..., seed_value: _Optional[_Union[SeedValue, str]] = ..., to: _Optional[str] = ..., unpool: _Optional[_Union[Unpool, str]] = ..., channel_axis: _Optional[int] = ..., preset: _Optional[str] = ..., preprocess: _Optional[_Union[Preprocess, _Mapping]] = ..., labels: _Optional[_Iterable[str]] = ..., return_pictures: _Optional[bool] = ..., method_options: _Optional[_Union[MethodOptions, _Mapping]] = ..., negate: _Optional[bool] = ..., inputs: _Optional[_Iterable[_Union[NamedInput, _Mapping]]] = ..., region: _Optional[_Union[Tensor, _Mapping]] = ...) -> None: ...

class ExplainResponse(_message.Message):
    __slots__ = ("model", "layer", "method", "to", "labels", "notes", "preprocess", "attribution", "score", "channels", "position", "pictures", "completeness_error", "seed_value", "others", "probability", "box")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    LAYER_FIELD_NUMBER: _ClassVar[int]
    METHOD_FIELD_NUMBER: _ClassVar[int]
    TO_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    NOTES_FIELD_NUMBER: _ClassVar[int]
    PREPROCESS_FIELD_NUMBER: _ClassVar[int]
    ATTRIBUTION_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    CHANNELS_FIELD_NUMBER: _ClassVar[int]
    POSITION_FIELD_NUMBER: _ClassVar[int]
    PICTURES_FIELD_NUMBER: _ClassVar[int]
    COMPLETENESS_ERROR_FIELD_NUMBER: _ClassVar[int]
    SEED_VALUE_FIELD_NUMBER: _ClassVar[int]
    OTHERS_FIELD_NUMBER: _ClassVar[int]
    PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    BOX_FIELD_NUMBER: _ClassVar[int]
    model: str
    layer: str
    method: str
    to: str
    labels: _containers.RepeatedScalarFieldContainer[str]
    notes: _containers.RepeatedScalarFieldContainer[str]
    preprocess: Preprocess
    attribution: Tensor
    score: Tensor
    channels: Tensor
    position: Tensor
    pictures: _containers.RepeatedCompositeFieldContainer[Tensor]
    completeness_error: Tensor
    seed_value: SeedValue
    others: _containers.RepeatedCompositeFieldContainer[NamedTensor]
    probability: Tensor
    box: Tensor
    def __init__(self, model: _Optional[str] = ..., layer: _Optional[str] = ..., method: _Optional[str] = ..., to: _Optional[str] = ..., labels: _Optional[_Iterable[str]] = ..., notes: _Optional[_Iterable[str]] = ..., preprocess: _Optional[_Union[Preprocess, _Mapping]] = ..., attribution: _Optional[_Union[Tensor, _Mapping]] = ..., score: _Optional[_Union[Tensor, _Mapping]] = ..., channels: _Optional[_Union[Tensor, _Mapping]] = ..., position: _Optional[_Union[Tensor, _Mapping]] = ..., pictures: _Optional[_Iterable[_Union[Tensor, _Mapping]]] = ..., completeness_error: _Optional[_Union[Tensor, _Mapping]] = ..., seed_value: _Optional[_Union[SeedValue, str]] = ..., others: _Optional[_Iterable[_Union[NamedTensor, _Mapping]]] = ..., probability: _Optional[_Union[Tensor, _Mapping]] = ..., box: _Optional[_Union[Tensor, _Mapping]] = ...) -> None: ...

class ExplainUnitsResponse(_message.Message):
    __slots__ = ("header", "unit", "picture", "note", "progress")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    UNIT_FIELD_NUMBER: _ClassVar[int]
    PICTURE_FIELD_NUMBER: _ClassVar[int]
    NOTE_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    header: ExplainHeader
    unit: UnitPart
    picture: PicturePart
    note: str
    progress: Progress
    def __init__(self, header: _Optional[_Union[ExplainHeader, _Mapping]] = ..., unit: _Optional[_Union[UnitPart, _Mapping]] = ..., picture: _Optional[_Union[PicturePart, _Mapping]] = ..., note: _Optional[str] = ..., progress: _Optional[_Union[Progress, _Mapping]] = ...) -> None: ...

class ExplainHeader(_message.Message):
    __slots__ = ("model", "layer", "method", "to", "labels", "preprocess", "total", "seed_value")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    LAYER_FIELD_NUMBER: _ClassVar[int]
    METHOD_FIELD_NUMBER: _ClassVar[int]
    TO_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    PREPROCESS_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    SEED_VALUE_FIELD_NUMBER: _ClassVar[int]
    model: str
    layer: str
    method: str
    to: str
    labels: _containers.RepeatedScalarFieldContainer[str]
    preprocess: Preprocess
    total: int
    seed_value: SeedValue
    def __init__(self, model: _Optional[str] = ..., layer: _Optional[str] = ..., method: _Optional[str] = ..., to: _Optional[str] = ..., labels: _Optional[_Iterable[str]] = ..., preprocess: _Optional[_Union[Preprocess, _Mapping]] = ..., total: _Optional[int] = ..., seed_value: _Optional[_Union[SeedValue, str]] = ...) -> None: ...

class UnitPart(_message.Message):
    __slots__ = ("image", "unit", "channel", "score", "position", "attribution", "completeness_error", "others", "probability", "box")
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    UNIT_FIELD_NUMBER: _ClassVar[int]
    CHANNEL_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    POSITION_FIELD_NUMBER: _ClassVar[int]
    ATTRIBUTION_FIELD_NUMBER: _ClassVar[int]
    COMPLETENESS_ERROR_FIELD_NUMBER: _ClassVar[int]
    OTHERS_FIELD_NUMBER: _ClassVar[int]
    PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    BOX_FIELD_NUMBER: _ClassVar[int]
    image: int
    unit: int
    channel: int
    score: float
    position: _containers.RepeatedScalarFieldContainer[int]
    attribution: TensorPart
    completeness_error: float
    others: _containers.RepeatedCompositeFieldContainer[NamedTensor]
    probability: float
    box: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, image: _Optional[int] = ..., unit: _Optional[int] = ..., channel: _Optional[int] = ..., score: _Optional[float] = ..., position: _Optional[_Iterable[int]] = ..., attribution: _Optional[_Union[TensorPart, _Mapping]] = ..., completeness_error: _Optional[float] = ..., others: _Optional[_Iterable[_Union[NamedTensor, _Mapping]]] = ..., probability: _Optional[float] = ..., box: _Optional[_Iterable[int]] = ...) -> None: ...

class PicturePart(_message.Message):
    __slots__ = ("image", "pixels")
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    PIXELS_FIELD_NUMBER: _ClassVar[int]
    image: int
    pixels: TensorPart
    def __init__(self, image: _Optional[int] = ..., pixels: _Optional[_Union[TensorPart, _Mapping]] = ...) -> None: ...

class Units(_message.Message):
    __slots__ = ("top", "channels", "all", "whole")
    TOP_FIELD_NUMBER: _ClassVar[int]
    CHANNELS_FIELD_NUMBER: _ClassVar[int]
    ALL_FIELD_NUMBER: _ClassVar[int]
    WHOLE_FIELD_NUMBER: _ClassVar[int]
    top: int
    channels: Channels
    all: bool
    whole: bool
    def __init__(self, top: _Optional[int] = ..., channels: _Optional[_Union[Channels, _Mapping]] = ..., all: _Optional[bool] = ..., whole: _Optional[bool] = ...) -> None: ...

class ViewRequest(_message.Message):
    __slots__ = ("model", "images", "preset", "preprocess", "labels", "maps", "top", "training", "invariance", "occlusion", "slide", "drawing")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    IMAGES_FIELD_NUMBER: _ClassVar[int]
    PRESET_FIELD_NUMBER: _ClassVar[int]
    PREPROCESS_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    MAPS_FIELD_NUMBER: _ClassVar[int]
    TOP_FIELD_NUMBER: _ClassVar[int]
    TRAINING_FIELD_NUMBER: _ClassVar[int]
    INVARIANCE_FIELD_NUMBER: _ClassVar[int]
    OCCLUSION_FIELD_NUMBER: _ClassVar[int]
    SLIDE_FIELD_NUMBER: _ClassVar[int]
    DRAWING_FIELD_NUMBER: _ClassVar[int]
    model: str
    images: _containers.RepeatedCompositeFieldContainer[Image]
    preset: str
    preprocess: Preprocess
    labels: _containers.RepeatedScalarFieldContainer[str]
    maps: MapsView
    top: TopView
    training: TrainingView
    invariance: InvarianceView
    occlusion: OcclusionView
    slide: SlideView
    drawing: Drawing
    def __init__(self, model: _Optional[str] = ..., images: _Optional[_Iterable[_Union[Image, _Mapping]]] = ..., preset: _Optional[str] = ..., preprocess: _Optional[_Union[Preprocess, _Mapping]] = ..., labels: _Optional[_Iterable[str]] = ..., maps: _Optional[_Union[MapsView, _Mapping]] = ..., top: _Optional[_Union[TopView, _Mapping]] = ..., training: _Optional[_Union[TrainingView, _Mapping]] = ..., invariance: _Optional[_Union[InvarianceView, _Mapping]] = ..., occlusion: _Optional[_Union[OcclusionView, _Mapping]] = ..., slide: _Optional[_Union[SlideView, _Mapping]] = ..., drawing: _Optional[_Union[Drawing, _Mapping]] = ...) -> None: ...

class Drawing(_message.Message):
    __slots__ = ("format", "dpi", "width", "cmap", "alpha", "columns", "title", "at", "panels", "notes", "show")
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    DPI_FIELD_NUMBER: _ClassVar[int]
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    CMAP_FIELD_NUMBER: _ClassVar[int]
    ALPHA_FIELD_NUMBER: _ClassVar[int]
    COLUMNS_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    PANELS_FIELD_NUMBER: _ClassVar[int]
    NOTES_FIELD_NUMBER: _ClassVar[int]
    SHOW_FIELD_NUMBER: _ClassVar[int]
    format: str
    dpi: int
    width: float
    cmap: str
    alpha: float
    columns: int
    title: bool
    at: str
    panels: bool
    notes: bool
    show: str
    def __init__(self, format: _Optional[str] = ..., dpi: _Optional[int] = ..., width: _Optional[float] = ..., cmap: _Optional[str] = ..., alpha: _Optional[float] = ..., columns: _Optional[int] = ..., title: _Optional[bool] = ..., at: _Optional[str] = ..., panels: _Optional[bool] = ..., notes: _Optional[bool] = ..., show: _Optional[str] = ...) -> None: ...

class MapsView(_message.Message):
    __slots__ = ("layer", "methods", "units", "method_options", "names")
    LAYER_FIELD_NUMBER: _ClassVar[int]
    METHODS_FIELD_NUMBER: _ClassVar[int]
    UNITS_FIELD_NUMBER: _ClassVar[int]
    METHOD_OPTIONS_FIELD_NUMBER: _ClassVar[int]
    NAMES_FIELD_NUMBER: _ClassVar[int]
    layer: str
    methods: _containers.RepeatedScalarFieldContainer[str]
    units: Units
    method_options: MethodOptions
    names: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, layer: _Optional[str] = ..., methods: _Optional[_Iterable[str]] = ..., units: _Optional[_Union[Units, _Mapping]] = ..., method_options: _Optional[_Union[MethodOptions, _Mapping]] = ..., names: _Optional[_Iterable[str]] = ...) -> None: ...

class TopView(_message.Message):
    __slots__ = ("layer", "channels", "count", "method", "names", "all", "top")
    LAYER_FIELD_NUMBER: _ClassVar[int]
    CHANNELS_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    METHOD_FIELD_NUMBER: _ClassVar[int]
    NAMES_FIELD_NUMBER: _ClassVar[int]
    ALL_FIELD_NUMBER: _ClassVar[int]
    TOP_FIELD_NUMBER: _ClassVar[int]
    layer: str
    channels: _containers.RepeatedScalarFieldContainer[int]
    count: int
    method: str
    names: _containers.RepeatedScalarFieldContainer[str]
    all: bool
    top: int
    def __init__(self, layer: _Optional[str] = ..., channels: _Optional[_Iterable[int]] = ..., count: _Optional[int] = ..., method: _Optional[str] = ..., names: _Optional[_Iterable[str]] = ..., all: _Optional[bool] = ..., top: _Optional[int] = ...) -> None: ...

class TrainingView(_message.Message):
    __slots__ = ("earlier", "layer", "method", "units")
    EARLIER_FIELD_NUMBER: _ClassVar[int]
    LAYER_FIELD_NUMBER: _ClassVar[int]
    METHOD_FIELD_NUMBER: _ClassVar[int]
    UNITS_FIELD_NUMBER: _ClassVar[int]
    earlier: _containers.RepeatedScalarFieldContainer[str]
    layer: str
    method: str
    units: Units
    def __init__(self, earlier: _Optional[_Iterable[str]] = ..., layer: _Optional[str] = ..., method: _Optional[str] = ..., units: _Optional[_Union[Units, _Mapping]] = ...) -> None: ...

class InvarianceView(_message.Message):
    __slots__ = ("layers", "class_index")
    LAYERS_FIELD_NUMBER: _ClassVar[int]
    CLASS_INDEX_FIELD_NUMBER: _ClassVar[int]
    layers: _containers.RepeatedScalarFieldContainer[str]
    class_index: int
    def __init__(self, layers: _Optional[_Iterable[str]] = ..., class_index: _Optional[int] = ...) -> None: ...

class OcclusionView(_message.Message):
    __slots__ = ("layer", "channel", "class_index", "window", "stride")
    LAYER_FIELD_NUMBER: _ClassVar[int]
    CHANNEL_FIELD_NUMBER: _ClassVar[int]
    CLASS_INDEX_FIELD_NUMBER: _ClassVar[int]
    WINDOW_FIELD_NUMBER: _ClassVar[int]
    STRIDE_FIELD_NUMBER: _ClassVar[int]
    layer: str
    channel: int
    class_index: int
    window: int
    stride: int
    def __init__(self, layer: _Optional[str] = ..., channel: _Optional[int] = ..., class_index: _Optional[int] = ..., window: _Optional[int] = ..., stride: _Optional[int] = ...) -> None: ...

class SlideView(_message.Message):
    __slots__ = ("channel", "height", "width")
    CHANNEL_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    channel: int
    height: int
    width: int
    def __init__(self, channel: _Optional[int] = ..., height: _Optional[int] = ..., width: _Optional[int] = ...) -> None: ...

class ViewResponse(_message.Message):
    __slots__ = ("progress", "note", "png", "tensor", "texts", "panel", "page")
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    NOTE_FIELD_NUMBER: _ClassVar[int]
    PNG_FIELD_NUMBER: _ClassVar[int]
    TENSOR_FIELD_NUMBER: _ClassVar[int]
    TEXTS_FIELD_NUMBER: _ClassVar[int]
    PANEL_FIELD_NUMBER: _ClassVar[int]
    PAGE_FIELD_NUMBER: _ClassVar[int]
    progress: Progress
    note: str
    png: bytes
    tensor: NamedTensor
    texts: NamedTexts
    panel: NamedFile
    page: NamedFile
    def __init__(self, progress: _Optional[_Union[Progress, _Mapping]] = ..., note: _Optional[str] = ..., png: _Optional[bytes] = ..., tensor: _Optional[_Union[NamedTensor, _Mapping]] = ..., texts: _Optional[_Union[NamedTexts, _Mapping]] = ..., panel: _Optional[_Union[NamedFile, _Mapping]] = ..., page: _Optional[_Union[NamedFile, _Mapping]] = ...) -> None: ...

class NamedFile(_message.Message):
    __slots__ = ("name", "data")
    NAME_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    name: str
    data: bytes
    def __init__(self, name: _Optional[str] = ..., data: _Optional[bytes] = ...) -> None: ...

class Progress(_message.Message):
    __slots__ = ("done", "total", "runs_done", "runs_total")
    DONE_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    RUNS_DONE_FIELD_NUMBER: _ClassVar[int]
    RUNS_TOTAL_FIELD_NUMBER: _ClassVar[int]
    done: int
    total: int
    runs_done: int
    runs_total: int
    def __init__(self, done: _Optional[int] = ..., total: _Optional[int] = ..., runs_done: _Optional[int] = ..., runs_total: _Optional[int] = ...) -> None: ...

class NamedTensor(_message.Message):
    __slots__ = ("name", "values")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    name: str
    values: TensorPart
    def __init__(self, name: _Optional[str] = ..., values: _Optional[_Union[TensorPart, _Mapping]] = ...) -> None: ...

class NamedTexts(_message.Message):
    __slots__ = ("name", "shape", "texts")
    NAME_FIELD_NUMBER: _ClassVar[int]
    SHAPE_FIELD_NUMBER: _ClassVar[int]
    TEXTS_FIELD_NUMBER: _ClassVar[int]
    name: str
    shape: _containers.RepeatedScalarFieldContainer[int]
    texts: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, name: _Optional[str] = ..., shape: _Optional[_Iterable[int]] = ..., texts: _Optional[_Iterable[str]] = ...) -> None: ...

class EvaluateRequest(_message.Message):
    __slots__ = ("model", "images", "masks", "methods", "randomize", "preset", "preprocess", "class_index")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    IMAGES_FIELD_NUMBER: _ClassVar[int]
    MASKS_FIELD_NUMBER: _ClassVar[int]
    METHODS_FIELD_NUMBER: _ClassVar[int]
    RANDOMIZE_FIELD_NUMBER: _ClassVar[int]
    PRESET_FIELD_NUMBER: _ClassVar[int]
    PREPROCESS_FIELD_NUMBER: _ClassVar[int]
    CLASS_INDEX_FIELD_NUMBER: _ClassVar[int]
    model: str
    images: _containers.RepeatedCompositeFieldContainer[Image]
    masks: _containers.RepeatedCompositeFieldContainer[Image]
    methods: _containers.RepeatedScalarFieldContainer[str]
    randomize: int
    preset: str
    preprocess: Preprocess
    class_index: int
    def __init__(self, model: _Optional[str] = ..., images: _Optional[_Iterable[_Union[Image, _Mapping]]] = ..., masks: _Optional[_Iterable[_Union[Image, _Mapping]]] = ..., methods: _Optional[_Iterable[str]] = ..., randomize: _Optional[int] = ..., preset: _Optional[str] = ..., preprocess: _Optional[_Union[Preprocess, _Mapping]] = ..., class_index: _Optional[int] = ...) -> None: ...

class EvaluateResponse(_message.Message):
    __slots__ = ("progress", "method", "refused")
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    METHOD_FIELD_NUMBER: _ClassVar[int]
    REFUSED_FIELD_NUMBER: _ClassVar[int]
    progress: Progress
    method: MethodEvaluation
    refused: MethodRefusal
    def __init__(self, progress: _Optional[_Union[Progress, _Mapping]] = ..., method: _Optional[_Union[MethodEvaluation, _Mapping]] = ..., refused: _Optional[_Union[MethodRefusal, _Mapping]] = ...) -> None: ...

class MethodRefusal(_message.Message):
    __slots__ = ("method", "reason")
    METHOD_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    method: str
    reason: str
    def __init__(self, method: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class MethodEvaluation(_message.Message):
    __slots__ = ("method", "deletion", "insertion", "deletion_area", "insertion_area", "pointing", "mass", "randomization")
    METHOD_FIELD_NUMBER: _ClassVar[int]
    DELETION_FIELD_NUMBER: _ClassVar[int]
    INSERTION_FIELD_NUMBER: _ClassVar[int]
    DELETION_AREA_FIELD_NUMBER: _ClassVar[int]
    INSERTION_AREA_FIELD_NUMBER: _ClassVar[int]
    POINTING_FIELD_NUMBER: _ClassVar[int]
    MASS_FIELD_NUMBER: _ClassVar[int]
    RANDOMIZATION_FIELD_NUMBER: _ClassVar[int]
    method: str
    deletion: _containers.RepeatedScalarFieldContainer[float]
    insertion: _containers.RepeatedScalarFieldContainer[float]
    deletion_area: float
    insertion_area: float
    pointing: float
    mass: float
    randomization: _containers.RepeatedScalarFieldContainer[float]
    def __init__(self, method: _Optional[str] = ..., deletion: _Optional[_Iterable[float]] = ..., insertion: _Optional[_Iterable[float]] = ..., deletion_area: _Optional[float] = ..., insertion_area: _Optional[float] = ..., pointing: _Optional[float] = ..., mass: _Optional[float] = ..., randomization: _Optional[_Iterable[float]] = ...) -> None: ...

class ConvolutionalizeRequest(_message.Message):
    __slots__ = ("model", "height", "width")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    model: str
    height: int
    width: int
    def __init__(self, model: _Optional[str] = ..., height: _Optional[int] = ..., width: _Optional[int] = ...) -> None: ...

class UploadModelRequest(_message.Message):
    __slots__ = ("header", "data")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    header: UploadHeader
    data: bytes
    def __init__(self, header: _Optional[_Union[UploadHeader, _Mapping]] = ..., data: _Optional[bytes] = ...) -> None: ...

class UploadHeader(_message.Message):
    __slots__ = ("model", "size_bytes", "sha256")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    model: str
    size_bytes: int
    sha256: str
    def __init__(self, model: _Optional[str] = ..., size_bytes: _Optional[int] = ..., sha256: _Optional[str] = ...) -> None: ...

class UploadModelResponse(_message.Message):
    __slots__ = ("model",)
    MODEL_FIELD_NUMBER: _ClassVar[int]
    model: Model
    def __init__(self, model: _Optional[_Union[Model, _Mapping]] = ...) -> None: ...

class DeleteModelRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class DeleteModelResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class StoreRewriteRequest(_message.Message):
    __slots__ = ("rewrite", "name")
    REWRITE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    rewrite: RewriteRequest
    name: str
    def __init__(self, rewrite: _Optional[_Union[RewriteRequest, _Mapping]] = ..., name: _Optional[str] = ...) -> None: ...

class StoreRewriteResponse(_message.Message):
    __slots__ = ("model",)
    MODEL_FIELD_NUMBER: _ClassVar[int]
    model: Model
    def __init__(self, model: _Optional[_Union[Model, _Mapping]] = ...) -> None: ...

class Operation(_message.Message):
    __slots__ = ("name", "call", "model", "state", "progress", "code", "error", "error_kind", "create_time", "end_time")
    NAME_FIELD_NUMBER: _ClassVar[int]
    CALL_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    ERROR_KIND_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    END_TIME_FIELD_NUMBER: _ClassVar[int]
    name: str
    call: str
    model: str
    state: OperationState
    progress: Progress
    code: int
    error: str
    error_kind: str
    create_time: _timestamp_pb2.Timestamp
    end_time: _timestamp_pb2.Timestamp
    def __init__(self, name: _Optional[str] = ..., call: _Optional[str] = ..., model: _Optional[str] = ..., state: _Optional[_Union[OperationState, str]] = ..., progress: _Optional[_Union[Progress, _Mapping]] = ..., code: _Optional[int] = ..., error: _Optional[str] = ..., error_kind: _Optional[str] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., end_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class StartOperationRequest(_message.Message):
    __slots__ = ("view", "evaluate")
    VIEW_FIELD_NUMBER: _ClassVar[int]
    EVALUATE_FIELD_NUMBER: _ClassVar[int]
    view: ViewRequest
    evaluate: EvaluateRequest
    def __init__(self, view: _Optional[_Union[ViewRequest, _Mapping]] = ..., evaluate: _Optional[_Union[EvaluateRequest, _Mapping]] = ...) -> None: ...

class StartOperationResponse(_message.Message):
    __slots__ = ("operation",)
    OPERATION_FIELD_NUMBER: _ClassVar[int]
    operation: Operation
    def __init__(self, operation: _Optional[_Union[Operation, _Mapping]] = ...) -> None: ...

class GetOperationRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class GetOperationResponse(_message.Message):
    __slots__ = ("operation",)
    OPERATION_FIELD_NUMBER: _ClassVar[int]
    operation: Operation
    def __init__(self, operation: _Optional[_Union[Operation, _Mapping]] = ...) -> None: ...

class ListOperationsRequest(_message.Message):
    __slots__ = ("page_size", "page_token")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListOperationsResponse(_message.Message):
    __slots__ = ("operations", "next_page_token")
    OPERATIONS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    operations: _containers.RepeatedCompositeFieldContainer[Operation]
    next_page_token: str
    def __init__(self, operations: _Optional[_Iterable[_Union[Operation, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class CancelOperationRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class CancelOperationResponse(_message.Message):
    __slots__ = ("operation",)
    OPERATION_FIELD_NUMBER: _ClassVar[int]
    operation: Operation
    def __init__(self, operation: _Optional[_Union[Operation, _Mapping]] = ...) -> None: ...

class WaitOperationRequest(_message.Message):
    __slots__ = ("name", "timeout_seconds")
    NAME_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_SECONDS_FIELD_NUMBER: _ClassVar[int]
    name: str
    timeout_seconds: float
    def __init__(self, name: _Optional[str] = ..., timeout_seconds: _Optional[float] = ...) -> None: ...

class WaitOperationResponse(_message.Message):
    __slots__ = ("operation",)
    OPERATION_FIELD_NUMBER: _ClassVar[int]
    operation: Operation
    def __init__(self, operation: _Optional[_Union[Operation, _Mapping]] = ...) -> None: ...

class ReadOperationRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class ReadOperationResponse(_message.Message):
    __slots__ = ("view", "evaluate")
    VIEW_FIELD_NUMBER: _ClassVar[int]
    EVALUATE_FIELD_NUMBER: _ClassVar[int]
    view: ViewResponse
    evaluate: EvaluateResponse
    def __init__(self, view: _Optional[_Union[ViewResponse, _Mapping]] = ..., evaluate: _Optional[_Union[EvaluateResponse, _Mapping]] = ...) -> None: ...

class DeleteOperationRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class DeleteOperationResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...
