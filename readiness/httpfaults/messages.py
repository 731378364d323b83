"""HTTP/1.1 messages as they pass: heads that keep their bytes, bodies that come piece by piece (RFC 9112)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from readiness.httpfaults.wire import Lost, Unreadable, Wire

_HEX = frozenset(b"0123456789abcdefABCDEF")
_SIZE_LINE_BYTES = 4096


class Head:
    """The head of a message; `raw` is what came, and what is sent on where nothing is to change."""

    __slots__ = ("fields", "raw", "start")

    def __init__(self, raw: bytes) -> None:
        lines = raw[:-4].split(b"\r\n")
        self.raw = raw
        self.start = lines[0]
        fields: dict[bytes, bytes] = {}
        for line in lines[1:]:
            name, colon, value = line.partition(b":")
            if not colon or not name or name[-1] in b" \t" or name[0] in b" \t":
                raise Unreadable("a header without a name")
            name = name.lower()
            value = value.strip(b" \t")
            fields[name] = fields[name] + b"," + value if name in fields else value
        self.fields = fields

    def framing(self) -> tuple[int | None, bool]:
        """Give the body's length in bytes (None: not told) and whether it comes in chunks."""
        coding = self.fields.get(b"transfer-encoding")
        length = self.fields.get(b"content-length")
        if coding is not None:
            if length is not None or coding.lower() != b"chunked":
                raise Unreadable("a length that is told twice, or a transfer coding other than chunked")
            return None, True
        if length is None:
            return None, False
        told = {part.strip() for part in length.split(b",")}
        if len(told) != 1 or not (text := told.pop()).isdigit():
            raise Unreadable("a length that is no number")
        return int(text), False

    def says(self, name: bytes, word: bytes) -> bool:
        """Whether a field that is a list of words has this one."""
        value = self.fields.get(name)
        return value is not None and word in [part.strip() for part in value.lower().split(b",")]

    def rewritten(self, *, drop: Iterable[bytes] = (), add: Mapping[bytes, bytes] | None = None) -> bytes:
        """Give the head without some fields and with others; the order and the case of the rest stay."""
        added = add or {}
        gone = {name.lower() for name in (*drop, *added)}
        lines = self.raw[:-4].split(b"\r\n")
        kept = [line for line in lines[1:] if line.partition(b":")[0].lower() not in gone]
        return b"\r\n".join([lines[0], *kept, *(b"%s: %s" % pair for pair in added.items()), b"", b""])

    def with_length(self, length: int, *, add: Mapping[bytes, bytes] | None = None) -> bytes:
        """Give the head for a body of this length that comes in one piece."""
        told = {**(add or {}), b"Content-Length": b"%d" % length}
        return self.rewritten(drop=(b"transfer-encoding", b"expect", b"trailer"), add=told)


class Body:
    """The body of one message, taken off the wire as it comes."""

    __slots__ = ("_left", "_phase", "chunked", "finished", "until_end", "wire")

    def __init__(self, wire: Wire, length: int | None, chunked: bool, *, until_end: bool = False) -> None:
        self.wire = wire
        self.chunked = chunked
        self.until_end = until_end and not chunked and length is None
        self._left = length or 0
        self._phase = "size"
        self.finished = not chunked and not self.until_end and not length

    def take(self) -> tuple[bytes, bytes]:
        """Give what has come of it: the bytes as they are, and the content they carry."""
        if self.finished:
            return b"", b""
        buffer = self.wire.buffer
        if self.chunked:
            return self._take_chunks(buffer)
        n = len(buffer) if self.until_end else min(len(buffer), self._left)
        raw = bytes(buffer[:n])
        del buffer[:n]
        if not self.until_end:
            self._left -= n
            self.finished = self._left == 0
        return raw, raw

    def _take_chunks(self, buffer: bytearray) -> tuple[bytes, bytes]:
        at = 0
        data = bytearray()
        while not self.finished:
            if self._phase == "data":
                n = min(len(buffer) - at, self._left)
                data += buffer[at : at + n]
                at += n
                self._left -= n
                if self._left:
                    break
                self._phase = "end of data"
            end = buffer.find(b"\r\n", at)
            if end < 0:
                if len(buffer) - at > _SIZE_LINE_BYTES:
                    raise Unreadable("a chunk without a size")
                break
            self._line(bytes(buffer[at:end]))
            at = end + 2
        raw = bytes(buffer[:at])
        del buffer[:at]
        return raw, bytes(data)

    def _line(self, line: bytes) -> None:
        if self._phase == "end of data":
            if line:
                raise Unreadable("a chunk that is longer than its size")
            self._phase = "size"
        elif self._phase == "trailer":
            self.finished = not line
        else:
            size = line.partition(b";")[0].strip()
            if not size or len(size) > 16 or not _HEX.issuperset(size):
                raise Unreadable("a chunk size that is no number")
            self._left = int(size, 16)
            self._phase = "data" if self._left else "trailer"

    async def next(self) -> tuple[bytes, bytes]:
        """Give the next piece as soon as there is one; nothing once the body is finished."""
        while True:
            raw, data = self.take()
            if raw or self.finished:
                return raw, data
            if not await self.wire.fill():
                if not self.until_end:
                    raise Lost
                self.finished = True

    async def collect(self, limit_bytes: int) -> tuple[bytes, bytes]:
        """Give all of it, or, where it is longer than the limit, its begin: then `finished` is still False."""
        raw, data = bytearray(), bytearray()
        while not self.finished and len(raw) <= limit_bytes:
            more, content = await self.next()
            raw += more
            data += content
        return bytes(raw), bytes(data)

    async def discard(self) -> None:
        """Read to its end and keep nothing."""
        while not self.finished:
            await self.next()


class Request(Head):
    """A request whose head is here and whose body comes."""

    __slots__ = ("body", "keeps", "method", "path")

    def __init__(self, raw: bytes, wire: Wire) -> None:
        super().__init__(raw)
        words = self.start.split(b" ")
        if len(words) != 3 or not words[2].startswith(b"HTTP/1."):
            raise Unreadable("no request line")
        self.method = words[0].decode("latin-1")
        self.path = words[1].partition(b"?")[0].decode("latin-1")
        self.body = Body(wire, *self.framing())
        closes = self.says(b"connection", b"close")
        self.keeps = not closes and (words[2] != b"HTTP/1.0" or self.says(b"connection", b"keep-alive"))

    @property
    def waits(self) -> bool:
        """Whether its sender waits for `100 Continue` before it sends the body."""
        return not self.body.finished and self.says(b"expect", b"100-continue")


class Response(Head):
    """A response to a request of the method `to`, whose head is here and whose body comes."""

    __slots__ = ("body", "keeps", "status")

    def __init__(self, raw: bytes, wire: Wire, *, to: str) -> None:
        super().__init__(raw)
        words = self.start.split(b" ", 2)
        if len(words) < 2 or not words[0].startswith(b"HTTP/1.") or len(words[1]) != 3 or not words[1].isdigit():
            raise Unreadable("no status line")
        self.status = int(words[1])
        if to == "HEAD" or self.status < 200 or self.status in (204, 304):
            self.body = Body(wire, 0, chunked=False)
        else:
            self.body = Body(wire, *self.framing(), until_end=True)
        closes = self.says(b"connection", b"close") or self.body.until_end
        self.keeps = not closes and (words[0] != b"HTTP/1.0" or self.says(b"connection", b"keep-alive"))
