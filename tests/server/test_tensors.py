"""Tensors on the wire: the bytes that any language must be able to read, and pieces of them."""

import struct

import numpy as np
import onnx
import pytest

from onnxplain.v1 import explain_pb2 as pb
from onnxplain.v1 import tensors


def test_the_bytes_are_little_endian_rows():
    message = tensors.from_array(np.array([[1, 2, 3], [4, 5, 6]], ">f4").T)
    assert message.data_type == pb.DATA_TYPE_FLOAT
    assert list(message.shape) == [3, 2]
    assert message.data == struct.pack("<6f", 1, 4, 2, 5, 3, 6)


def test_types_are_named_and_numbered_as_in_onnx():
    for name, number in pb.DataType.items():
        if number:
            onnx_name = name.removeprefix("DATA_TYPE_")
            assert onnx.TensorProto.DataType.Value(onnx_name) == number


@pytest.mark.parametrize("number", [number for number in pb.DataType.values() if number])
def test_every_type_comes_back(number):
    dtype = onnx.helper.tensor_dtype_to_np_dtype(number)
    array = np.array([[0, 1], [1, 0]], dtype)
    message = tensors.from_array(array)
    assert message.data_type == number
    back = tensors.to_array(message)
    assert back.dtype == dtype
    np.testing.assert_array_equal(back, array)


@pytest.mark.parametrize("shape", [(), (0,), (0, 3), (700, 800)])
def test_pieces_make_the_whole(shape):
    array = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    parts = list(tensors.split(array))
    assert len(parts) == max(1, -(-array.nbytes // 2**20))
    assert all(len(part.data) <= 2**20 for part in parts)
    back = tensors.join(parts)
    assert back.shape == shape
    np.testing.assert_array_equal(back, array)


def test_a_missing_piece_is_noticed():
    first, second, third = tensors.split(np.zeros(700_000, np.float32))
    for parts in ([], [second, third], [first, third], [first, second], [first, second, second]):
        with pytest.raises(ValueError, match="piece|bytes"):
            tensors.join(parts)


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"data_type": 1, "shape": [2], "data": b"1234"}, "has 8 bytes, not 4"),
        ({"data_type": 1, "shape": [-1, -1], "data": b"1234"}, "negative"),
        ({"data_type": 1, "shape": [2**40, 2**40], "data": b""}, "bytes, not 0"),
        ({"data_type": 0, "shape": [1], "data": b"1"}, "unknown data type 0"),
        ({"data_type": 99, "shape": [1], "data": b"1"}, "unknown data type 99"),
    ],
)
def test_fields_that_disagree(fields, problem):
    with pytest.raises(ValueError, match=problem):
        tensors.to_array(pb.Tensor(**fields))


def test_a_type_that_the_wire_does_not_know():
    with pytest.raises(ValueError, match="complex64"):
        tensors.from_array(np.zeros(2, np.complex64))
