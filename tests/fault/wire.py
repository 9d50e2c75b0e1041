"""wire - a relay that speaks for the next version: between two services, on Unix sockets, it adds fields this version does not know to
packets and to the events in them, and sends kinds of packet that it never heard of.

Knows just enough of ZMTP 3 (greeting, frames) and of protobuf (tags, lengths) for that.
"""
import os
import socket
import struct
import threading

MARKER = b"desg-next-version"
GREETING_BYTES = 64
COMMAND, LONG, MORE = 4, 2, 1
BATCH, BATCH_ITEM, ITEM_EVENT = 2, 4, 2  # fields of Packet, Batch, Item
NEW_PACKET_FIELD, NEW_EVENT_FIELD, NEW_KIND = 1900, 2000, 77


def varint(value):
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def read_varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7


def text_field(number, content):
    return varint(number << 3 | 2) + varint(len(content)) + content


def rewrite(message, number, change):
    """The message with change() applied to the content of each length-delimited field of that number."""
    out, at = b"", 0
    while at < len(message):
        begin = at
        tag, at = read_varint(message, at)
        kind = tag & 7
        if kind == 0:
            _, at = read_varint(message, at)
        elif kind == 1:
            at += 8
        elif kind == 5:
            at += 4
        elif kind == 2:
            length, at = read_varint(message, at)
            content = message[at:at + length]
            at += length
            if tag >> 3 == number:
                out += text_field(number, change(content))
                continue
        else:
            raise ValueError(f"wire type {kind}")
        out += message[begin:at]
    return out


def of_next_version(packet):
    """The same packet as the next version would write it: more fields, at the end of it and of each event."""
    add_to_event = lambda event: event + text_field(NEW_EVENT_FIELD, MARKER) if event else event
    add_to_item = lambda item: rewrite(item, ITEM_EVENT, add_to_event)
    add_to_batch = lambda batch: rewrite(batch, BATCH_ITEM, add_to_item) + text_field(NEW_PACKET_FIELD, MARKER)
    return rewrite(packet, BATCH, add_to_batch) + text_field(NEW_PACKET_FIELD, MARKER)


def frame(body, flags=0):
    return struct.pack(">BQ", flags | LONG, len(body)) + body if len(body) > 255 else bytes([flags, len(body)]) + body


class Relay:
    """Takes connections on path and passes them on to target, as the next version where is_next()."""

    def __init__(self, path, target, is_next, unknown_every=40):
        self.path, self.target, self.is_next, self.unknown_every = path, target, is_next, unknown_every
        self.rewritten = self.unknown = 0
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen(64)
        self.open = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            far = socket.socket(socket.AF_UNIX)
            try:
                far.connect(self.target)
            except OSError:
                near.close()
                continue
            self.open += [near, far]
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=self._pass_on, args=(source, sink), daemon=True).start()

    @staticmethod
    def _read(source, count):
        data = b""
        while len(data) < count:
            piece = source.recv(count - len(data))
            if not piece:
                raise EOFError
            data += piece
        return data

    @staticmethod
    def _greet(source, sink):
        """Either side says the rest of it only after the other's beginning."""
        left = GREETING_BYTES
        while left:
            piece = source.recv(left)
            if not piece:
                raise EOFError
            sink.sendall(piece)
            left -= len(piece)

    def _pass_on(self, source, sink):
        try:
            self._greet(source, sink)
            count = 0
            while True:
                flags = self._read(source, 1)[0]
                length = struct.unpack(">Q", self._read(source, 8))[0] if flags & LONG else self._read(source, 1)[0]
                body = self._read(source, length)
                if flags & (COMMAND | MORE):
                    sink.sendall(frame(body, flags & (COMMAND | MORE)))
                    continue
                count += 1
                if self.is_next():
                    body = of_next_version(body)
                    self.rewritten += 1
                sink.sendall(frame(body))
                if count % self.unknown_every == 3:
                    sink.sendall(frame(text_field(NEW_KIND, MARKER)))
                    self.unknown += 1
        except (OSError, EOFError, ValueError, IndexError):
            for end in (source, sink):
                try:
                    end.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
                end.close()

    def close(self):
        self.listener.close()
        for end in self.open:
            end.close()
        if os.path.exists(self.path):
            os.unlink(self.path)
