"""What an encoded picture says of its own size, before a decoder makes room for it."""

from __future__ import annotations

import re
import struct

_NO_FRAMES = (0xC4, 0xC8, 0xCC)
"""Markers among those of JPEG's frames that are none: tables and an extension."""
_ALONE = (0x01, *range(0xD0, 0xD9))
"""Markers without a length."""
_CODESTREAM = b"\xff\x4f\xff\x51"
_JPEG_XR = re.compile(rb"WMPHOTO\0.{2}(.).(.{8})", re.DOTALL)


def encoded_size(data: bytes) -> tuple[int, int] | None:
    """(height, width) in px of a JPEG, JPEG-LS, JPEG 2000, JPEG XR, PNG or WebP stream, or None.

    Sources: ITU-T T.81 B.2.2, T.87 C.2.2, T.800 A.5.1 and I.4, T.832 8.3; PNG 11.2.1; RFC 6386
    9.1, RFC 9649.
    """
    if data[:2] == b"\xff\xd8":
        return _jpeg(data)
    if data[:8] == b"\x89PNG\r\n\x1a\n" and len(data) >= 24:
        width_px, height_px = struct.unpack(">II", data[16:24])
        return height_px, width_px
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP" and len(data) >= 30:
        return _webp(data)
    if data[:4] == b"II\xbc\x01" or data[:8] == b"WMPHOTO\0":
        return _jpeg_xr(data)
    place = _codestream_place(data)
    if place is not None and len(data) >= place + 24:
        right, bottom, left, top = struct.unpack(">IIII", data[place + 8 : place + 24])
        return bottom - top, right - left
    return None


def _codestream_place(data: bytes) -> int | None:
    """Where the codestream of JPEG 2000 begins, alone or in the boxes of a JP2 file."""
    if data[:4] == _CODESTREAM:
        return 0
    place = 0
    while place + 16 <= len(data):
        size, kind = struct.unpack(">I4s", data[place : place + 8])
        if kind == b"jp2c":
            return place + (16 if size == 1 else 8)
        if size == 1:
            size = int.from_bytes(data[place + 8 : place + 16], "big")
        if size < 8:
            break
        place += size
    return None


def _jpeg_xr(data: bytes) -> tuple[int, int] | None:
    """Of the largest picture: the one of transparency follows that of colours."""
    sizes = []
    for flags, stated in _JPEG_XR.findall(data):
        is_short = flags[0] & 0x80
        width, height = struct.unpack(">HH4x" if is_short else ">II", stated)
        sizes.append((height + 1, width + 1))
    return max(sizes, key=lambda size: size[0] * size[1]) if sizes else None


def _jpeg(data: bytes) -> tuple[int, int] | None:
    """Of the largest frame: a stream with several must not hide one behind another."""
    sizes = []
    place = 2
    while place + 9 <= len(data):
        if data[place] != 0xFF:
            # inside a scan every FF is followed by 00 or a restart, so the next other is a marker
            found = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]").search(data, place)
            if found is None:
                break
            place = found.start()
            continue
        marker = data[place + 1]
        if marker in _ALONE or marker in (0x00, 0xFF):
            place += 1 if marker == 0xFF else 2
            continue
        if (0xC0 <= marker <= 0xCF and marker not in _NO_FRAMES) or marker == 0xF7:
            sizes.append(struct.unpack(">HH", data[place + 5 : place + 9]))
        place += 2 + struct.unpack(">H", data[place + 2 : place + 4])[0]
    return max(sizes, key=lambda size: size[0] * size[1]) if sizes else None


def _webp(data: bytes) -> tuple[int, int]:
    kind = data[12:16]
    if kind == b"VP8X":
        width = int.from_bytes(data[24:27], "little") + 1
        return int.from_bytes(data[27:30], "little") + 1, width
    if kind == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        return (bits >> 14 & 0x3FFF) + 1, (bits & 0x3FFF) + 1
    width, height = struct.unpack("<HH", data[26:30])
    return height & 0x3FFF, width & 0x3FFF
