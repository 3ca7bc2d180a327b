"""WebAssembly binaries for the tests that text cannot express, such as large or malformed ones."""


def number(value: int) -> bytes:
    """Encode a number as LEB128 of the largest length."""
    return bytes(value >> shift & 0x7F | 0x80 for shift in range(0, 28, 7)) + bytes([value >> 28])


def section(section_id: int, contents: bytes) -> bytes:
    return bytes([section_id]) + number(len(contents)) + contents
