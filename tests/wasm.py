"""WebAssembly binaries for the tests, where text cannot say it: too large, or malformed."""


def number(value: int) -> bytes:
    """LEB128 in as many bytes as the largest number needs."""
    return bytes(value >> shift & 0x7F | 0x80 for shift in range(0, 28, 7)) + bytes([value >> 28])


def section(section_id: int, contents: bytes) -> bytes:
    return bytes([section_id]) + number(len(contents)) + contents
