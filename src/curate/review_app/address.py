"""Where a review is served: how it may be called, and what its own pages are called to a browser."""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass
from functools import cached_property
from urllib.parse import urlsplit

from curate.errors import SettingsError

LOOPBACK = ("127.0.0.1", "localhost", "::1")
ANY = ("0.0.0.0", "::")  # noqa: S104  what is compared, not what is listened on
DEFAULT_PORTS = {"http": 80, "https": 443}  # which browsers leave out of names


@dataclass(frozen=True)
class Address:
    """What a server listens on, and how people reach it.

    public_url: through a proxy, as `origin_of` gives it; "" = directly. encrypted: whether the server itself does so.
    """

    port: int
    host: str = "127.0.0.1"
    public_url: str = ""
    encrypted: bool = False

    @property
    def is_open(self) -> bool:
        """Whether other machines can reach it."""
        return self.host not in LOOPBACK or bool(self.public_url)

    @property
    def is_secure(self) -> bool:
        """Whether what browsers send is encrypted on its way."""
        return self.public_url.startswith("https:") if self.public_url else self.encrypted

    @property
    def cookie(self) -> str:
        """The name of the cookie: another for each port, as browsers don't keep ports apart.

        Browsers take one that begins with __Host- from this very host alone, and only encrypted.
        """
        return f"{'__Host-' if self.is_secure else ''}curate-{self.port}"

    @property
    def url(self) -> str:
        """What people type."""
        return self.public_url or f"{self._scheme}://{self._named(socket.gethostname() if self._is_any else self.host)}"

    def serves(self, host: str, arrived_at: str) -> bool:
        """Whether that is a name of ours: one that nobody else can make point here (DNS rebinding).

        host: what the Host header says. arrived_at: the address of this machine to which the request came.
        """
        name = host.lower()
        return name in self._names or (self._is_any and name == self._named(arrived_at.removeprefix("::ffff:")).lower())

    def is_own_page(self, origin: str, host: str) -> bool:
        """Whether a page of that origin is ours. host: by which name it asks; proxies may have put another there."""
        if self.public_url and origin.lower() == self.public_url:
            return True
        return host.lower() != _name_in(self.public_url) and origin.lower() == f"{self._scheme}://{host.lower()}"

    @property
    def _scheme(self) -> str:
        return "https" if self.encrypted else "http"

    @property
    def _is_any(self) -> bool:
        return self.host in ANY

    @cached_property
    def _names(self) -> frozenset[str]:
        names = {*LOOPBACK, self.host} - set(ANY)
        if self._is_any:
            own = socket.gethostname()
            names |= {own, socket.getfqdn(), f"{own.partition('.')[0]}.local"}
        return frozenset({self._named(one).lower() for one in names} | {_name_in(self.public_url)} - {""})

    def _named(self, host: str) -> str:
        """A host with its port, as browsers write it."""
        name = f"[{host}]" if ":" in host else host
        return name if self.port == DEFAULT_PORTS[self._scheme] else f"{name}:{self.port}"


def origin_of(url: str) -> str:
    """The address as browsers name its pages' origin. Raises SettingsError for what is no address of a whole site."""
    try:
        parts = urlsplit(url.strip())
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    rest = parts.path.strip("/") or parts.query or parts.fragment or "@" in parts.netloc
    if parts.scheme not in DEFAULT_PORTS or not parts.hostname or rest:
        raise SettingsError(
            f"{url!r} can't be the public address of a review: expected a name without a path.",
            "Like this: --public-url https://labels.example",
        )
    name = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname  # in lower case
    return f"{parts.scheme}://{name}" + ("" if port in (None, DEFAULT_PORTS[parts.scheme]) else f":{port}")


def _name_in(origin: str) -> str:
    return origin.partition("://")[2]


def client_of(peer: str, forwarded_for: str, address: Address) -> str:
    """Who asks, as an address to count tries by.

    forwarded_for: of a header that counts only behind a proxy on this machine, which adds the last part of it. One
    customer has a whole /64 of IPv6.
    """
    if address.public_url and peer in LOOPBACK:
        peer = forwarded_for.rpartition(",")[2].strip() or peer
    try:
        found = ipaddress.ip_address(peer.partition("%")[0].removeprefix("::ffff:"))
    except ValueError:
        return peer[:64]
    return str(ipaddress.ip_network((found, 64), strict=False)) if found.version == 6 else str(found)
