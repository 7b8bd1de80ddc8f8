"""Mutations of messages that keep their structure, and of bytes that do not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

__all__ = ["damaged", "mutate", "parts_of"]

WHOLE = [
    0, 1, -1, 2, 3, 4, 7, 8, 16, 17, 127, 255, 256, 1000, 65535, 2**20, 2**31 - 1, 2**31, 2**32,
    2**40, 2**62, 2**63 - 1, -2, -8, -(2**31), -(2**63),
]  # fmt: skip
REAL = [0.0, -0.0, 1.0, -1.0, 0.5, 1e-45, 1e38, -1e38, float("inf"), float("-inf"), float("nan")]
TEXT = [
    "", "x", "y", "..", "../x", "/", "a" * 300, "\0", "é", "%s%n", "1", "-1", "all", "ai.onnx.ml",
]  # fmt: skip
WHOLE_TYPES = {
    FieldDescriptor.CPPTYPE_INT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.CPPTYPE_INT64: (-(2**63), 2**63 - 1),
    FieldDescriptor.CPPTYPE_UINT32: (0, 2**32 - 1),
    FieldDescriptor.CPPTYPE_UINT64: (0, 2**64 - 1),
}


def mutate(message: Message, random: np.random.Generator, donors: Sequence[Message]) -> None:
    """Change one to four fields anywhere in a message, in place.

    donors: messages of the same kind, whose parts and values are put in.
    """
    for _ in range(random.integers(1, 5)):
        parts = list(parts_of(message))
        part = parts[random.integers(len(parts))]
        fields = part.DESCRIPTOR.fields
        used = [field for field, _ in part.ListFields()]
        if used and random.random() < 0.8:
            fields = used
        if fields:
            field = fields[random.integers(len(fields))]
            _change(part, field, random, donors[random.integers(len(donors))])


def damaged(data: bytes, random: np.random.Generator) -> bytes:
    """Return bytes of which some are changed, left out, repeated or cut off."""
    changed = bytearray(data)
    for _ in range(random.integers(1, 4)):
        at, length = random.integers(len(changed) + 1), int(random.integers(1, 40))
        match random.integers(5):
            case 0:
                changed[at : at + 1] = random.bytes(1)
            case 1:
                del changed[at : at + length]
            case 2:
                changed[at:at] = random.bytes(length)
            case 3:
                changed[at:at] = changed[at : at + length]
            case _:
                changed[at : at + 1] = bytes([random.choice([0, 1, 127, 128, 255])])
    return bytes(changed[: random.integers(len(changed) + 1)] if random.random() < 0.1 else changed)


def parts_of(message: Message) -> Iterator[Message]:
    """Yield a message and every one in it."""
    yield message
    for field, value in message.ListFields():
        if field.message_type is not None and not _is_map(field):
            for one in value if field.is_repeated else [value]:
                yield from parts_of(one)


def _is_map(field: FieldDescriptor) -> bool:
    kind = field.message_type
    return kind is not None and kind.GetOptions().map_entry


def _change(
    part: Message, field: FieldDescriptor, random: np.random.Generator, donor: Message
) -> None:
    if _is_map(field) or random.random() < 0.1:
        part.ClearField(field.name)
    elif not field.is_repeated:
        if field.message_type is None:
            setattr(part, field.name, _value(part, field, random, donor))
        else:
            _replace(getattr(part, field.name), random, donor)
    else:
        _change_list(part, field, random, donor)


def _change_list(
    part: Message, field: FieldDescriptor, random: np.random.Generator, donor: Message
) -> None:
    values = getattr(part, field.name)
    at = random.integers(len(values)) if values else None
    choice = random.integers(5) if values else 4
    if choice == 0:
        del values[at]
    elif choice == 1:  # once more, at the end
        values.append(values[at]) if field.message_type is None else values.add().CopyFrom(
            values[at]
        )
    elif choice == 2:  # two in each other's place
        other = random.integers(len(values))
        whole = list(values)
        whole[at], whole[other] = whole[other], whole[at]
        copies = (
            [type(v).FromString(v.SerializeToString()) for v in whole]
            if field.message_type
            else whole
        )
        del values[:]
        values.extend(copies)
    elif field.message_type is not None:
        _replace(values.add() if choice == 4 else values[at], random, donor)
    elif choice == 4:
        values.append(_value(part, field, random, donor))
    else:
        values[at] = _value(part, field, random, donor)


def _replace(message: Message, random: np.random.Generator, donor: Message) -> None:
    """Put one of the donor's parts of that kind in the message's place, if it has any."""
    same = [part for part in parts_of(donor) if part.DESCRIPTOR is message.DESCRIPTOR]
    if same:
        message.CopyFrom(same[random.integers(len(same))])
    else:
        message.SetInParent()


def _value(
    part: Message, field: FieldDescriptor, random: np.random.Generator, donor: Message
) -> object:
    """Return a value for a field, or an element of it: an extreme one, or one of the donor's."""
    if random.random() < 0.5:
        known = [
            value
            for one in parts_of(donor)
            if one.DESCRIPTOR is part.DESCRIPTOR
            for found, values in one.ListFields()
            if found.name == field.name
            for value in (values if found.is_repeated else [values])
        ]
        if known:
            return known[random.integers(len(known))]
    if field.cpp_type in WHOLE_TYPES:
        low, high = WHOLE_TYPES[field.cpp_type]
        return min(max(WHOLE[random.integers(len(WHOLE))], low), high)
    if field.enum_type is not None:
        numbers = [value.number for value in field.enum_type.values]
        if not field.enum_type.is_closed:
            numbers += [-1, max(numbers) + 1]
        return numbers[random.integers(len(numbers))]
    if field.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
        return bool(random.integers(2))
    if field.type == FieldDescriptor.TYPE_BYTES:
        return random.bytes(int(random.choice([0, 1, 3, 4, 16, 100])))
    if field.type == FieldDescriptor.TYPE_STRING:
        return TEXT[random.integers(len(TEXT))]
    real = REAL[random.integers(len(REAL))]
    return float(np.float32(real)) if field.cpp_type == FieldDescriptor.CPPTYPE_FLOAT else real
