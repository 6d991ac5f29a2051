"""Slides on web servers: HTTP range requests through fsspec's session.

Proxies and passwords come from the environment (``HTTPS_PROXY``, ``~/.netrc``) and from fsspec's
own configuration, as everywhere in fsspec. Texts of aiohttp's errors hold whole addresses, and so
signatures; none of them is passed on.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import aiohttp
import fsspec
import yarl
from fsspec.asyn import sync

from napari_past.slide.access.wire import Absent, Facts, NoRanges, Refused, TooLarge, Unanswered

_CONNECT_S, _SILENT_S, _ATTEMPT_S = 10.0, 20.0, 120.0
_PASSING = (408, 425, 429, 500, 502, 503, 504)
_READY_MADE = re.compile(r"[!-~]+")
_PIECE_BYTES = 2**18


class Web:
    """A file, or a folder of files, at an address of HTTP or HTTPS."""

    def __init__(self, address: str) -> None:
        scheme = urlsplit(address).scheme.lower()
        said = fsspec.config.conf.get(scheme, {}).get("client_kwargs", {})
        self._fs: Any = fsspec.filesystem(scheme, client_kwargs={"trust_env": True, **said})
        self._address = address

    def head(self, key: str, n_bytes: int) -> tuple[Facts, bytes]:
        """Size, mark and the first bytes."""
        facts, data = self._sent(key, 0, n_bytes, n_bytes)
        if facts is None:
            raise NoRanges
        return facts, data

    def fetch(self, key: str, start: int, stop: int) -> tuple[Facts, bytes]:
        """Bytes [start, stop) and the facts that came along."""
        facts, data = self._sent(key, start, stop, stop - start)
        if facts is None:
            raise NoRanges
        if len(data) != min(stop, facts.size) - start:
            raise Unanswered("the connection was dropped")
        return facts, data

    def whole(self, key: str, limit: int) -> bytes:
        """All bytes of a file of at most `limit` bytes."""
        return self._sent(key, None, None, limit)[1]

    def listing(self) -> Mapping[str, int] | None:
        """None: web servers do not list what they hold."""
        return None

    def _sent(
        self, key: str, start: int | None, stop: int | None, limit: int
    ) -> tuple[Facts | None, bytes]:
        try:
            answer: tuple[Facts | None, bytes] = sync(
                self._fs.loop, self._get, self._url(key), start, stop, limit
            )
        except aiohttp.ClientConnectorCertificateError:
            raise Refused("its certificate is not trusted; ask who runs the server") from None
        except aiohttp.ClientConnectorDNSError:
            raise Unanswered("no host of that name is known") from None
        except aiohttp.ClientConnectorError as exc:
            raise Unanswered(exc.os_error.strerror or "no connection") from None
        except (TimeoutError, aiohttp.ServerTimeoutError):
            raise Unanswered("no answer in time") from None
        except aiohttp.InvalidURL:
            raise Refused("this is no valid address; check it") from None
        except (aiohttp.ClientError, OSError):
            raise Unanswered("the connection was dropped") from None
        return answer

    async def _get(
        self, url: yarl.URL, start: int | None, stop: int | None, limit: int
    ) -> tuple[Facts | None, bytes]:
        session = await self._fs.set_session()
        options = dict(self._fs.kwargs)
        headers = {**options.pop("headers", {}), "Accept-Encoding": "identity"}
        if stop is not None:
            headers["Range"] = f"bytes={start}-{stop - 1}"
        timeout = aiohttp.ClientTimeout(_ATTEMPT_S, sock_connect=_CONNECT_S, sock_read=_SILENT_S)
        async with session.get(url, headers=headers, timeout=timeout, **options) as answer:
            facts = _facts(answer, start)
            if stop is not None and facts is None:
                return None, b""
            return facts, await _body(answer, limit)

    def _url(self, key: str) -> yarl.URL:
        parts = urlsplit(self._address)
        path = f"{parts.path.rstrip('/')}/{key}" if key else parts.path
        text = urlunsplit((parts.scheme, parts.netloc, path, parts.query, ""))
        # a signature holds for the address as it was written
        return yarl.URL(text, encoded=_READY_MADE.fullmatch(text) is not None)


def _facts(answer: aiohttp.ClientResponse, start: int | None) -> Facts | None:
    """Size and mark of a part of a file; None for a whole file."""
    status = answer.status
    if status in (404, 410):
        raise Absent
    if status in _PASSING:
        asked = answer.headers.get("Retry-After", "")
        raise Unanswered(f"the server answers {status}", float(asked) if asked.isdecimal() else 0.0)
    if status in (401, 403, 407):
        raise Refused(
            f"the server answers {status}, which means that reading is not allowed; check the "
            "address, whether a signed link has expired, and the credentials"
        )
    if status == 416:
        return Facts(0, "")
    if status == 200:
        return None
    span = re.fullmatch(r"bytes (\d+)-\d+/(\d+)", answer.headers.get("Content-Range", ""))
    if status != 206 or span is None or int(span[1]) != start:
        raise Refused(f"the server answers {status}, which is no part of a file; download the file")
    mark = answer.headers.get("ETag") or answer.headers.get("Last-Modified") or ""
    return Facts(int(span[2]), mark)


async def _body(answer: aiohttp.ClientResponse, limit: int) -> bytes:
    if answer.status == 416:
        return b""
    out = bytearray()
    async for piece in answer.content.iter_chunked(_PIECE_BYTES):
        out += piece
        if len(out) > limit:
            raise TooLarge
        await asyncio.sleep(0)
    return bytes(out)
