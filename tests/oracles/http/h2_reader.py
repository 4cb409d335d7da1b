"""A hyper-h2 endpoint that says what it was told, frame by frame.

An entry is what one frame says: a head, a piece of a body, an end, a reset, a goaway. Each has a verdict: that
hyper-h2 reported it as an event, or why it did not. Behind an error, hyper-h2 reads no further; hyperframe and hpack,
which it is made of, still do, so that every byte has a second reading. What stops them stops the direction.
"""

import struct

import h2.frame_buffer
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    InformationalResponseReceived,
    RequestReceived,
    ResponseReceived,
    StreamEnded,
    StreamReset,
    TrailersReceived,
)
from h2.exceptions import FrameTooLargeError, ProtocolError
from h2.stream import StreamClosedBy
from hpack.exceptions import HPACKError, InvalidTableSizeError, OversizedHeaderListError
from hpack.hpack import Decoder, decode_integer
from hyperframe.exceptions import InvalidPaddingError
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    GoAwayFrame,
    HeadersFrame,
    PushPromiseFrame,
    RstStreamFrame,
)

import hpack_quick  # noqa: F401

# A limit of hyper-h2's own: RFC 9113 has none.
h2.frame_buffer.CONTINUATION_BACKLOG = 1 << 30

TABLE_MOST = 64 * 1024  # LIMIT_HPACK_TABLE_BYTES
FIELD_MOST = 64 * 1024  # of a name or a value, in nghttp2

# As in h2_oracle.c: verdicts, and what a reader of less memory need not have read any more.
TOLD, REFUSED, RESET_HERE, RESET_THERE, ENDED, UNKNOWN, CUT, ODD = range(8)
PAST_NOTHING, PAST_TABLE, PAST_FIELD = range(3)
CLOSED_BY = {
    StreamClosedBy.SEND_RST_STREAM: RESET_HERE,
    StreamClosedBy.RECV_RST_STREAM: RESET_THERE,
    StreamClosedBy.SEND_END_STREAM: ENDED,
    StreamClosedBy.RECV_END_STREAM: ENDED,
    None: UNKNOWN,
}

BETWEEN, INSIDE, STOPPED = range(3)
STREAM_MASK = 0x7FFFFFFF
HEADERS, PRIORITY, PUSH_PROMISE, WINDOW_UPDATE, ALTSVC = 1, 2, 5, 8, 10


def pack_fields(fields):
    lengths = [len(part) for field in fields for part in field]
    return b"".join(
        [struct.pack(f"<{1 + len(lengths)}I", len(fields), *lengths), *[part for field in fields for part in field]]
    )


class LenientDecoder(Decoder):
    """hpack's, whose complaints about sizes come when the block has been read."""

    def __init__(self):
        self.most = 0
        self.read = None
        self.failed = False
        self.past = PAST_NOTHING
        super().__init__()

    @property
    def max_header_list_size(self):
        return 1 << 40

    @max_header_list_size.setter
    def max_header_list_size(self, value):
        self.most = value

    def decode(self, data, raw=False):
        self.read = None
        self.excess = False
        try:
            fields = super().decode(data, raw=True)
        except HPACKError:
            self.failed = True
            raise
        self.read = fields
        if any(len(name) > FIELD_MOST or len(value) > FIELD_MOST for name, value in fields):
            self.past = PAST_FIELD
        if self.excess:
            raise InvalidTableSizeError("table larger than allowed")
        if sum(32 + len(name) + len(value) for name, value in fields) > self.most:
            raise OversizedHeaderListError("fields longer than allowed")
        return fields

    def _update_encoding_context(self, data):
        size, consumed = decode_integer(data, 5)
        if size > self.max_allowed_table_size:
            self.excess = True
            if size > TABLE_MOST:
                raise InvalidTableSizeError("table larger than anybody keeps")
        if size > TABLE_MOST:
            self.past = PAST_TABLE
        self.header_table_size = size
        return consumed

    def _assert_valid_table_size(self):
        if self.header_table_size > self.max_allowed_table_size:
            self.excess = True


class PaddingBuffer(h2.frame_buffer.FrameBuffer):
    """hyperframe lets padding reach over a priority, and over a promised stream."""

    def _update_header_buffer(self, frame):
        before = 0
        if isinstance(frame, HeadersFrame):
            before = 5 if "PRIORITY" in frame.flags else 0
        elif isinstance(frame, PushPromiseFrame):
            before = 5
        if before and frame.pad_length and frame.pad_length > frame.body_len - before:
            raise ProtocolError("Padding over what stands before the fields.")
        return super()._update_header_buffer(frame)


class Reader(H2Connection):
    def __init__(self, config):
        super().__init__(config)
        most = self.decoder.max_header_list_size
        self.decoder = LenientDecoder()
        self.decoder.max_header_list_size = most
        self.incoming_buffer = PaddingBuffer(server=not config.client_side)
        self.entries = []
        self.news = []  # events that its owner has not looked at
        self.refusal = ""  # why hyper-h2 reads no further
        self.stopped = ""  # why nobody does

    def hear(self, data):
        buffer = self.incoming_buffer
        if self.stopped:
            return
        try:
            buffer.add_data(data)
        except ProtocolError as error:
            self._refuse(error)
            self.stopped = str(error)
            return
        buffer.max_frame_size = 1 << 24 if self.refusal else self.max_inbound_frame_size
        while not self.stopped:
            try:
                frame = next(buffer)
            except StopIteration:
                return
            except FrameTooLargeError as error:
                self._refuse(error)
                buffer.max_frame_size = 1 << 24
            except InvalidPaddingError as error:
                self._refuse(error)
                if not self._strip():
                    self.stopped = str(error)
            except ProtocolError as error:
                self._refuse(error)
                if error.__cause__ is None or not self._skip():
                    self.stopped = str(error)
            else:
                self._take(frame)

    def end(self):
        """How the direction ends; of a DATA frame that is cut, what is there of its data."""
        if self.stopped:
            return STOPPED
        data = bytes(self.incoming_buffer._data)
        if not data and not self.incoming_buffer._headers_buffer and not self.incoming_buffer._preamble_len:
            return BETWEEN
        if len(data) > 9 and data[3] == 0 and not self.incoming_buffer._headers_buffer:
            length, stream = int.from_bytes(data[:3], "big"), int.from_bytes(data[5:9], "big") & STREAM_MASK
            start, most = 9, length
            if data[4] & 8:
                start, most = 10, length - 1 - data[9]
            piece = data[start : start + max(most, 0)]
            if stream and piece:
                self.entries.append(("B", CUT, self.decoder.past, stream, 0, piece))
        return INSIDE

    def _refuse(self, error):
        if self.refusal:
            return
        self.refusal = f"{type(error).__name__}: {error}"
        self._terminate_connection(getattr(error, "error_code", ErrorCodes.PROTOCOL_ERROR))

    def _skip(self):
        """Whether the frame that cannot be read is one whose error is its stream's, or nobody's."""
        data = self.incoming_buffer._data
        length = int.from_bytes(data[:3], "big")
        whose = data[3] in (PRIORITY, ALTSVC) or (data[3] == WINDOW_UPDATE and length == 4)
        if not whose or self.incoming_buffer._headers_buffer:
            return False
        if data[3] == PRIORITY and not int.from_bytes(data[5:9], "big") & STREAM_MASK:
            return False
        del data[: 9 + length]
        return True

    def _strip(self):
        """Whether the padding is as long as all that comes behind it: no error (RFC 9113 6.2, 6.6), and taken away."""
        data = self.incoming_buffer._data
        length, kind, pad = int.from_bytes(data[:3], "big"), data[3], data[9]
        before = 1 + (4 if kind == PUSH_PROMISE else 5 if kind == HEADERS and data[4] & 0x20 else 0)
        if kind not in (HEADERS, PUSH_PROMISE) or length != before + pad:
            return False
        data[:3] = (before - 1).to_bytes(3, "big")
        data[4] &= ~8
        del data[9 + before : 9 + length], data[9]
        return True

    def _take(self, frame):
        told = None
        self.decoder.read = None
        if not self.refusal:
            try:
                events = self._receive_frame(frame)
            except ProtocolError as error:
                self._refuse(error)
            else:
                self.news += events
                told = list(told_by(events))
        says = self._reading(frame)
        if says is None:
            self.stopped = "nobody reads it"
            return
        if told is None:
            verdict = REFUSED
        elif told == says:
            verdict = TOLD
        elif told:
            verdict = ODD
        else:
            verdict = CLOSED_BY[self._stream_closed_by(frame.stream_id)]
        for kind, stream, error, payload in says:
            packed = pack_fields(payload) if kind == "H" else payload
            self.entries.append((kind, verdict, self.decoder.past, stream, error, packed))

    def _reading(self, frame):
        """What the frame says by itself; None if its fields cannot be read, or it has no place anywhere."""
        stream, says = frame.stream_id, []
        # RFC 9113 6.10, 8.4
        if isinstance(frame, ContinuationFrame) or (isinstance(frame, PushPromiseFrame) and not self.config.client_side):
            return None
        if isinstance(frame, (HeadersFrame, PushPromiseFrame)):
            if self.decoder.read is None and not self.decoder.failed:
                try:
                    self.decoder.decode(frame.data)
                except HPACKError:
                    pass
            if self.decoder.read is None:
                return None
        if isinstance(frame, HeadersFrame):
            says.append(("H", stream, 0, self.decoder.read))
        elif isinstance(frame, DataFrame) and frame.data:
            says.append(("B", stream, 0, frame.data))
        elif isinstance(frame, RstStreamFrame):
            says.append(("R", stream, frame.error_code, b""))
        elif isinstance(frame, GoAwayFrame):
            says.append(("A", frame.last_stream_id & STREAM_MASK, frame.error_code, b""))
        if isinstance(frame, (HeadersFrame, DataFrame)) and "END_STREAM" in frame.flags:
            says.append(("E", stream, 0, b""))
        return says


HEADS = (RequestReceived, ResponseReceived, InformationalResponseReceived, TrailersReceived)


def told_by(events):
    """hyper-h2's events as entries."""
    for event in events:
        if isinstance(event, HEADS):
            yield ("H", event.stream_id, 0, list(event.headers))
        elif isinstance(event, DataReceived):
            if event.data:
                yield ("B", event.stream_id, 0, event.data)
        elif isinstance(event, StreamEnded):
            yield ("E", event.stream_id, 0, b"")
        elif isinstance(event, StreamReset):
            if event.remote_reset:
                yield ("R", event.stream_id, event.error_code, b"")
        elif isinstance(event, ConnectionTerminated):
            yield ("A", event.last_stream_id & STREAM_MASK, event.error_code, b"")
