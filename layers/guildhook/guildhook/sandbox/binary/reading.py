"""A cursor over an untrusted binary: every length is checked against the bytes that are left."""

_MAX_NAME_BYTES = 1_000


class RefusedBinaryError(Exception):
    """The binary is malformed, exceeds a limit or uses an unsupported feature. The text is the reason."""


class Reader:
    """Reads `data` from `position` to `end`, and never beyond. All methods raise RefusedBinaryError."""

    __slots__ = ("_data", "_end", "_position")

    def __init__(self, data: bytes, position: int, end: int) -> None:
        self._data, self._position, self._end = data, position, end

    @property
    def exhausted(self) -> bool:
        return self._position >= self._end

    @property
    def remaining(self) -> int:
        """The number of bytes that are left."""
        return self._end - self._position

    @property
    def position(self) -> int:
        """The position in the whole binary."""
        return self._position

    def byte(self) -> int:
        return self._data[self._advance(1)]

    def take(self, length: int) -> bytes:
        start = self._advance(length)
        return self._data[start : start + length]

    def expect(self, header: bytes, otherwise: str) -> None:
        """Skip `header`. If other bytes are there, `otherwise` becomes the reason of the refusal."""
        if self.take(len(header)) != header:
            raise RefusedBinaryError(otherwise)

    def skip(self, length: int) -> None:
        self._advance(length)

    def part(self, length: int) -> "Reader":
        """A reader of the next `length` bytes, which this reader skips."""
        start = self._advance(length)
        return Reader(self._data, start, start + length)

    def section(self) -> tuple[int, "Reader"]:
        """The id of the next section, and a reader of its contents."""
        return self.byte(), self.part(self.number())

    def number(self) -> int:
        """The next number: unsigned, 32 bits, LEB128."""
        # Inlined instead of a call for each byte: an upload can hold a million numbers.
        data, position, end = self._data, self._position, self._end
        value = 0
        for shift in range(0, 35, 7):
            if position >= end:
                raise RefusedBinaryError(
                    f"the file is cut off at byte {position}, inside a number; build or upload it again"
                )
            byte = data[position]
            position += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                break
        else:
            value = 1 << 32
        if value >> 32:
            raise RefusedBinaryError(f"the number that ends before byte {position} does not fit into 32 bits")
        self._position = position
        return value

    def name(self) -> str:
        length = self.number()
        if length > _MAX_NAME_BYTES:
            raise RefusedBinaryError(f"it has a name of {length} bytes; the limit is {_MAX_NAME_BYTES}")
        try:
            return self.take(length).decode()
        except UnicodeDecodeError:
            raise RefusedBinaryError(f"the name that ends before byte {self._position} is not UTF-8") from None

    def _advance(self, length: int) -> int:
        start = self._position
        if length > self._end - start:
            raise RefusedBinaryError(
                f"the file is cut off at byte {start}: {length} bytes should follow, and {self._end - start} do; "
                "build or upload it again"
            )
        self._position = start + length
        return start
