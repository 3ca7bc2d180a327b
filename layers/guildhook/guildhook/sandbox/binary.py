"""A cursor over a binary that a stranger wrote: no length in it is believed before the bytes are seen."""

_MAX_NAME_BYTES = 1_000


class RefusedError(Exception):
    """The binary is malformed, or holds what is not supported. The text is the reason."""


class Reader:
    """Reads `data` from `position` up to `end`, and never past it."""

    def __init__(self, data: bytes, position: int, end: int) -> None:
        self._data, self._position, self._end = data, position, end

    @property
    def exhausted(self) -> bool:
        return self._position >= self._end

    def byte(self) -> int:
        return self.take(1)[0]

    def take(self, length: int) -> bytes:
        start = self._advance(length)
        return self._data[start : start + length]

    def part(self, length: int) -> "Reader":
        """A reader of the next `length` bytes, which this one passes over."""
        start = self._advance(length)
        return Reader(self._data, start, start + length)

    def number(self) -> int:
        """An unsigned 32-bit number, LEB128."""
        value = 0
        for shift in range(0, 35, 7):
            byte = self.byte()
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                break
        else:
            value = 1 << 32
        if value >> 32:
            raise RefusedError(f"the number before byte {self._position} does not fit 32 bits")
        return value

    def name(self) -> str:
        length = self.number()
        if length > _MAX_NAME_BYTES:
            raise RefusedError(f"a name has {length} bytes; the limit is {_MAX_NAME_BYTES}")
        try:
            return self.take(length).decode()
        except UnicodeDecodeError:
            raise RefusedError(f"the name before byte {self._position} is not UTF-8") from None

    def _advance(self, length: int) -> int:
        start = self._position
        if length > self._end - start:
            raise RefusedError(f"cut off at byte {start}: {length} bytes should follow, {self._end - start} do")
        self._position = start + length
        return start
