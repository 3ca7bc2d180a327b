"""How a component binary is written."""


def encoded_section(kind: bytes, content: bytes) -> bytes:
    return kind + encoded_number(len(content)) + content


def encoded_name(text: str) -> bytes:
    encoded = text.encode()
    return encoded_number(len(encoded)) + encoded


def encoded_number(value: int) -> bytes:
    """Unsigned LEB128."""
    encoded = bytearray()
    while value >= 0x80:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)
