"""TensorBoard's event files, read by nothing but their published format: framing with masked CRC-32C,
protobuf wire format, purge at session starts. read(folder) gives {tag: [(step, value)]} as a viewer
would show it; run as a program it prints them."""
import os
import struct
import sys


def table():
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
        yield byte


TABLE = list(table())


def crc32c(data):
    c = 0xFFFFFFFF
    for byte in data:
        c = TABLE[(c ^ byte) & 0xFF] ^ c >> 8
    return c ^ 0xFFFFFFFF


assert crc32c(b"123456789") == 0xE3069283  # the check value of the polynomial (RFC 3720)


def masked(data):
    c = crc32c(data)
    return ((c >> 15 | c << 17) + 0xA282EAD8) & 0xFFFFFFFF


def records(path):
    """Yields whole records; raises ValueError at a wrong sum or a cut."""
    with open(path, "rb") as f:
        data = f.read()
    at = 0
    while at < len(data):
        if at + 12 > len(data):
            raise ValueError(f"{path}: cut in a head at {at}")
        length, check = struct.unpack_from("<QI", data, at)
        if check != masked(data[at : at + 8]):
            raise ValueError(f"{path}: wrong sum of the length at {at}")
        body = data[at + 12 : at + 12 + length]
        if at + 16 + length > len(data):
            raise ValueError(f"{path}: cut in a record at {at}")
        if struct.unpack_from("<I", data, at + 12 + length)[0] != masked(body):
            raise ValueError(f"{path}: wrong sum of the record at {at}")
        yield body
        at += 16 + length


def varint(data, at):
    value = shift = 0
    while True:
        value |= (data[at] & 0x7F) << shift
        shift += 7
        at += 1
        if data[at - 1] < 0x80:
            return value, at


def fields(data):
    at = 0
    while at < len(data):
        key, at = varint(data, at)
        number, wire = key >> 3, key & 7
        if wire == 0:
            value, at = varint(data, at)
        elif wire == 1:
            value, at = struct.unpack_from("<d", data, at)[0], at + 8
        elif wire == 5:
            value, at = struct.unpack_from("<f", data, at)[0], at + 4
        else:
            assert wire == 2, wire
            length, at = varint(data, at)
            value, at = data[at : at + length], at + length
        yield number, value


def files(folder):
    return [os.path.join(folder, n) for n in sorted(os.listdir(folder)) if n.startswith("events.out.tfevents.")]


def read(folder):
    shown = {}
    for path in files(folder):
        first = True
        for record in records(path):
            event = dict(fields(record))
            assert event[1] > 1.5e9, "wall time"
            if first:
                assert event[3] == b"brain.Event:2", event
                first = False
            if 7 in event and dict(fields(event[7])).get(1) == 1:  # session start: purge from its step on
                for tag in shown:
                    shown[tag] = [e for e in shown[tag] if e[0] < event.get(2, 0)]
            if 5 in event:
                for number, value in fields(event[5]):
                    assert number == 1
                    one = dict(fields(value))
                    shown.setdefault(one[1].decode(), []).append((event[2], one[2]))
    return shown


if __name__ == "__main__":
    for tag, curve in sorted(read(sys.argv[1]).items()):
        print(tag, curve)
