"""Slides in object stores (S3 and whatever else fsspec reads), with the environment's credentials.

Credentials, endpoint and anonymous access are the environment's: ``AWS_PROFILE``,
``AWS_ENDPOINT_URL``, ``FSSPEC_S3_ANON`` and all else that botocore and fsspec know.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import fsspec
from fsspec.asyn import sync

from napari_past.slide.access.wire import Absent, Facts, NoRanges, Refused, TooLarge, Unanswered

_MARKS = ("ETag", "etag", "generation", "LastModified", "last_modified", "mtime", "created")
_S3 = {"connect_timeout": 10, "read_timeout": 20}
"""Seconds; botocore's own are 60."""
_SIGNS_OF_NO_KEYS = ("NoCredentials", "PartialCredentials", "TokenRetrieval", "ProfileNotFound")


class Bucket:
    """An object, or all objects below a prefix."""

    def __init__(self, address: str) -> None:
        options: dict[str, Any] = {"use_listings_cache": False}
        if address.lower().startswith(("s3:", "s3a:")):
            said = fsspec.config.conf.get("s3", {}).get("config_kwargs", {})
            options["config_kwargs"] = {**_S3, **said}
        self._fs, self._root = _reached(
            lambda: fsspec.core.url_to_fs(address.rstrip("/"), **options)
        )

    def head(self, key: str, n_bytes: int) -> tuple[Facts, bytes]:
        """Size, mark and the first bytes."""
        facts = self._facts(key)
        if n_bytes == 0 or facts.size == 0:
            return facts, b""
        again, data = self.fetch(key, 0, n_bytes)
        if again != facts:
            raise Unanswered("it is being replaced")
        return facts, data

    def fetch(self, key: str, start: int, stop: int) -> tuple[Facts, bytes]:
        """Bytes [start, stop) and the facts of the object that they are of.

        S3 tells both at once. Others are asked for the facts afterwards, so that bytes of an object
        that took another's place never come with the facts of the old one.
        """
        path = self._path(key)
        if self._is_s3:
            facts, data = _reached(lambda: sync(self._fs.loop, self._s3_part, path, start, stop))
        else:
            data = _reached(lambda: self._fs.cat_file(path, start=start, end=stop))
            facts = self._facts(key)
        if facts is None:
            raise NoRanges
        if len(data) != min(stop, facts.size) - start:
            raise Unanswered("the connection was dropped")
        return facts, data

    async def _s3_part(self, path: str, start: int, stop: int) -> tuple[Facts | None, bytes]:
        bucket, name, version = self._fs.split_path(path)
        which = {"VersionId": version} if version else {}
        answer = await self._fs._call_s3(
            "get_object", Bucket=bucket, Key=name, Range=f"bytes={start}-{stop - 1}", **which
        )
        body = answer["Body"]
        try:
            if "ContentRange" not in answer:
                return None, b""
            size = int(answer["ContentRange"].rpartition("/")[2])
            return Facts(size, str(answer["ETag"])), await body.read()
        finally:
            body.close()

    def _facts(self, key: str) -> Facts:
        path = self._path(key)
        info = _reached(lambda: self._fs.info(path, **self._fresh))
        if info.get("type") == "directory" or info.get("size") is None:
            raise Absent
        return Facts(int(info["size"]), next((str(info[k]) for k in _MARKS if info.get(k)), ""))

    def whole(self, key: str, limit: int) -> bytes:
        """All bytes of an object of at most `limit` bytes."""
        path = self._path(key)
        data: bytes = _reached(lambda: self._fs.cat_file(path, start=0, end=limit + 1))
        if len(data) > limit:
            raise TooLarge
        return data

    def listing(self) -> Mapping[str, int] | None:
        """Size of every object below the prefix."""
        found = _reached(lambda: self._fs.find(self._root, detail=True, **self._fresh))
        start = len(self._root.rstrip("/")) + 1
        return {path[start:]: int(info["size"]) for path, info in found.items()}

    @property
    def _fresh(self) -> dict[str, bool]:
        return {"refresh": True} if self._is_s3 else {}

    @property
    def _is_s3(self) -> bool:
        return "s3" in self._fs.protocol

    def _path(self, key: str) -> str:
        return f"{self._root.rstrip('/')}/{key}" if key else str(self._root)


def _reached(action: Any) -> Any:
    """What `action` returns; what it raises as one of the errors of the wire."""
    try:
        return action()
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        raise Absent from None
    except PermissionError:
        raise Refused(
            "reading is not allowed; check the credentials (AWS_PROFILE, AWS_ACCESS_KEY_ID …), or "
            "set FSSPEC_S3_ANON=true for a public bucket"
        ) from None
    except (ImportError, ValueError) as exc:
        if isinstance(exc, ImportError) or "Protocol not known" in str(exc):
            raise
        raise Refused("the store does not understand the request; check the address") from None
    except OSError as exc:
        if "not satisfiable" in str(exc):  # an empty object has no part
            return b""
        raise Unanswered(exc.strerror or type(exc).__name__) from None
    except Exception as exc:  # botocore's, google's and azure's trees share no base
        name = type(exc).__name__
        if name.startswith(_SIGNS_OF_NO_KEYS):
            raise Refused(
                "no credentials were found; set AWS_PROFILE or AWS_ACCESS_KEY_ID and "
                "AWS_SECRET_ACCESS_KEY, or FSSPEC_S3_ANON=true for a public bucket"
            ) from None
        raise Unanswered(name) from None
