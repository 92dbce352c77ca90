"""Images that a chat message names: out of a data URI, or from a host that the server may ask."""

import asyncio
import base64
import ipaddress
import socket
from functools import partial
from urllib.parse import urlsplit

import httpx2

from miras.errors import ImageError
from miras.serve.http.refusals import Refusal
from miras.serve.http.serving import run
from miras.serve.http.settings import ServerSettings

__all__ = ["image_bytes", "public_address"]

_SECONDS = 10.0
"""For a whole image from elsewhere."""
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
"""Addresses of IPv6 that lead to the address of IPv4 in their last 32 bits."""


async def image_bytes(address: str, settings: ServerSettings) -> bytes:
    """What a data URI holds, or what lies at an address whose host is allowed.

    Raises ImageError for a broken URI, Refusal for a host that is not allowed, not public or does not deliver.
    """
    if address.startswith("data:"):
        head, comma, content = address.partition(",")
        if not comma or not head.endswith(";base64"):
            raise ImageError("an image in a data URI is written as data:image/png;base64,…; write it so")
        try:
            return await run(partial(base64.b64decode, content, validate=True))
        except ValueError as error:
            raise ImageError(f"the image's data URI is no base64 ({error}); encode the file again") from error
    try:
        async with asyncio.timeout(_SECONDS):
            return await _fetched(address, settings)
    except (TimeoutError, httpx2.HTTPError, OSError, UnicodeError) as error:
        raise _refused(f"could not be fetched ({type(error).__name__})") from error


async def _fetched(address: str, settings: ServerSettings) -> bytes:
    try:
        parts = urlsplit(address)
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise _refused("has no readable address") from error
    if parts.scheme not in ("http", "https") or parts.username is not None:
        raise _refused("is given by neither a data URI nor a plain http(s) address")
    if host not in map(str.lower, settings.image_hosts):
        raise _refused("lies on a host that this server does not ask; see --allow-host")
    known = await public_address(host, port or (443 if parts.scheme == "https" else 80))
    there = httpx2.URL(address).copy_with(host=known)
    # asked by the address that was checked, so that the name cannot lead elsewhere a moment later
    headers, extensions = {"Host": parts.netloc}, {"sni_hostname": host}
    async with (
        httpx2.AsyncClient(follow_redirects=False, trust_env=False, timeout=_SECONDS) as client,
        client.stream("GET", there, headers=headers, extensions=extensions) as response,
    ):
        if response.status_code != 200:
            raise _refused(f"was answered with status {response.status_code}; redirects are not followed")
        content = bytearray()
        async for piece in response.aiter_bytes():
            content += piece
            if len(content) > settings.body_bytes:
                raise _refused(f"has more than {settings.body_bytes:,} bytes")
    return bytes(content)


async def public_address(host: str, port: int) -> str:
    """The address of a host. Raises Refusal where any of its addresses is private, local or reserved."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = [str(entry[4][0]) for entry in found]
    if not addresses or not all(map(_is_public, addresses)):
        raise _refused("lies on a host with a private address, which is never asked")
    return addresses[0]


def _is_public(written: str) -> bool:
    """Whether an address is one host's, anywhere in the world; of IPv4 within IPv6, where that leads counts."""
    address = ipaddress.ip_address(written)
    if isinstance(address, ipaddress.IPv6Address):
        within = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF) if address in _NAT64 else None
        address = address.ipv4_mapped or address.sixtofour or within or address
    return address.is_global and not address.is_multicast


def _refused(why: str) -> Refusal:
    return Refusal(400, "image_not_fetched", f"the image {why}; send it as data:image/png;base64,…", param="messages")
