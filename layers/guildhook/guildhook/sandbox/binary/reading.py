"""A cursor over a binary that a stranger wrote: no length in it is believed before the bytes are seen."""

_MAX_NAME_BYTES = 1_000


class RefusedBinaryError(Exception):
    """The binary is malformed, too large in some way, or holds what is not supported. The text is the reason."""


class Reader:
    """Reads `data` from `position` up to `end`, and never past it. Everything here raises RefusedBinaryError."""

    __slots__ = ("_data", "_end", "_position")

    def __init__(self, data: bytes, position: int, end: int) -> None:
        self._data, self._position, self._end = data, position, end

    @property
    def exhausted(self) -> bool:
        return self._position >= self._end

    @property
    def remaining(self) -> int:
        """In bytes."""
        return self._end - self._position

    @property
    def position(self) -> int:
        """In the whole binary."""
        return self._position

    def byte(self) -> int:
        return self._data[self._advance(1)]

    def take(self, length: int) -> bytes:
        start = self._advance(length)
        return self._data[start : start + length]

    def expect(self, header: bytes, otherwise: str) -> None:
        """Pass over `header`; `otherwise` is the reason to refuse what has another."""
        if self.take(len(header)) != header:
            raise RefusedBinaryError(otherwise)

    def skip(self, length: int) -> None:
        self._advance(length)

    def part(self, length: int) -> "Reader":
        """A reader of the next `length` bytes, which this one passes over."""
        start = self._advance(length)
        return Reader(self._data, start, start + length)

    def section(self) -> tuple[int, "Reader"]:
        """A section's id, and a reader of its contents."""
        return self.byte(), self.part(self.number())

    def number(self) -> int:
        """An unsigned 32-bit number, LEB128."""
        # Without a call for each byte: an upload can hold a million of them.
        data, position, end = self._data, self._position, self._end
        value = 0
        for shift in range(0, 35, 7):
            if position >= end:
                raise RefusedBinaryError(f"cut off at byte {position}: a number ends after it")
            byte = data[position]
            position += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                break
        else:
            value = 1 << 32
        if value >> 32:
            raise RefusedBinaryError(f"the number before byte {position} does not fit 32 bits")
        self._position = position
        return value

    def name(self) -> str:
        length = self.number()
        if length > _MAX_NAME_BYTES:
            raise RefusedBinaryError(f"a name has {length} bytes; the limit is {_MAX_NAME_BYTES}")
        try:
            return self.take(length).decode()
        except UnicodeDecodeError:
            raise RefusedBinaryError(f"the name before byte {self._position} is not UTF-8") from None

    def _advance(self, length: int) -> int:
        start = self._position
        if length > self._end - start:
            raise RefusedBinaryError(f"cut off at byte {start}: {length} bytes should follow, {self._end - start} do")
        self._position = start + length
        return start
