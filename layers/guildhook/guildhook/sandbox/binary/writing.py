"""Encodes the elements of a component binary: sections, names and numbers."""


def encoded_section(kind: bytes, content: bytes) -> bytes:
    return kind + encoded_number(len(content)) + content


def encoded_name(text: str) -> bytes:
    encoded = text.encode()
    return encoded_number(len(encoded)) + encoded


def encoded_number(value: int) -> bytes:
    """The value as unsigned LEB128."""
    encoded = bytearray()
    while value >= 0x80:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)
