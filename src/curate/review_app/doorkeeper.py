"""Who is signed in: by a link that works once, or by name and password. Neither secret nor cookie is ever written down.

Sessions live in the server's memory. A session of somebody with an account ends when the account is removed, or gets
another password; a role that changes counts from the next look at the accounts on, within FRESH_S.
"""

from __future__ import annotations

import hashlib
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from curate.reviewers import LONGEST, LONGEST_NAME, Account, Role, may_sign_in

FRESH_S = 1.0  # for so long the accounts are taken as they were read
IDLE_S = 12 * 3600.0  # without a request: who was away for a night signs in again
# Wrong passwords: ten at once, then one in ten seconds for each name, whoever tries it; so 8,640 a day. An address,
# behind which a whole office may be, gets five times that.
NAME_TRIES_PER_S, ADDRESS_TRIES_PER_S, TRIES_AT_ONCE = 0.1, 0.5, 10.0
MOST_NAMES = 10_000  # remembered by a Rate; beyond, those that have all their requests left are forgotten


class TooManyTries(Exception):
    """Somebody guesses passwords."""


@dataclass(frozen=True)
class Visitor:
    """Who asks."""

    name: str
    role: Role


@dataclass(frozen=True)
class _Visit:
    """role: without an account. password: the hash of their account when it began, None = they had none."""

    name: str
    role: Role
    password: str | None
    seen: float = 0.0


class Doorkeeper:
    """Links that sign people in, once each, passwords that do, and the cookies they get for it.

    accounts: reads who has one. clock: seconds. Digests are compared, not secrets, so that the time tells nothing.
    """

    def __init__(
        self, accounts: Callable[[], Mapping[str, Account]] = dict, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._read = accounts
        self._clock = clock
        self._accounts: Mapping[str, Account] = {}
        self._read_at = float("-inf")
        self._links: dict[str, _Visit] = {}
        self._used: dict[str, str] = {}
        self._visits: dict[str, _Visit] = {}
        self._lock = threading.Lock()
        self._names = Rate(NAME_TRIES_PER_S, TRIES_AT_ONCE, clock)
        self._addresses = Rate(ADDRESS_TRIES_PER_S, TRIES_AT_ONCE, clock)

    # ---- Accounts

    @property
    def is_fresh(self) -> bool:
        """Whether the accounts were read a moment ago."""
        return self._clock() - self._read_at < FRESH_S

    def refresh(self) -> None:
        """Read the accounts. Raises StoreError."""
        began = self._clock()
        self._accounts = self._read()
        self._read_at = began

    @property
    def has_accounts(self) -> bool:
        return bool(self._accounts)

    def has_account(self, name: str) -> bool:
        return name in self._accounts

    # ---- Signing in and out

    def new_link(self, reviewer: str, role: Role = "reviewer") -> str:
        """A token that signs this person in, once. role: of who has no account."""
        token = secrets.token_urlsafe(24)
        account = self._accounts.get(reviewer)
        with self._lock:
            self._links[_digest(token)] = _Visit(reviewer, role, account.password if account else None)
        return token

    def sign_in(self, token: str, instead_of: str = "") -> str | None:
        """The cookie for a token; None if there is no such one or it was used. instead_of: a cookie that then ends."""
        with self._lock:
            visit = self._links.pop(_digest(token), None)
            if visit is None:
                return None
            self._used[_digest(token)] = visit.name
            return self._begin(visit, instead_of)

    def used_by(self, token: str) -> str | None:
        """Who signed in with that token before."""
        return self._used.get(_digest(token))

    def allow_try(self, name: str, address: str) -> None:
        """Count a try at a password. Raises TooManyTries when that name or that address had too many."""
        if not self._addresses.take(address) or not self._names.take(name):
            raise TooManyTries

    def forget_try(self, name: str, address: str) -> None:
        """Don't count a try: the password was right."""
        self._addresses.give_back(address)
        self._names.give_back(name)

    def sign_in_by_password(self, name: str, password: str, instead_of: str = "") -> str | None:
        """The cookie for a name and its password; None if they don't fit. Takes some hundredths of a second."""
        self.refresh()
        account = self._accounts.get(name) if len(name) <= LONGEST_NAME else None
        if not may_sign_in(account, password[: LONGEST + 1]) or account is None:
            return None
        with self._lock:
            return self._begin(_Visit(name, account.role, account.password), instead_of)

    def _begin(self, visit: _Visit, instead_of: str) -> str:
        now = self._clock()
        self._visits = {name: one for name, one in self._visits.items() if now - one.seen < IDLE_S}
        self._visits.pop(_digest(instead_of), None)
        cookie = secrets.token_urlsafe(32)
        self._visits[_digest(cookie)] = replace(visit, seen=now)
        return cookie

    def sign_out(self, cookie: str) -> None:
        """End a session."""
        with self._lock:
            self._visits.pop(_digest(cookie), None)

    def visitor(self, cookie: str) -> Visitor | None:
        """Whose cookie it is, by the accounts as they were last read."""
        with self._lock:
            visit, now = self._visits.get(_digest(cookie)), self._clock()
            if visit is None:
                return None
            account = self._accounts.get(visit.name)
            ended = visit.password is not None and (account is None or account.password != visit.password)
            if ended or now - visit.seen >= IDLE_S:
                del self._visits[_digest(cookie)]
                return None
            self._visits[_digest(cookie)] = replace(visit, seen=now)
            return Visitor(visit.name, account.role if account else visit.role)


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


class Rate:
    """So many requests in a second, and so many at once; of each name by itself."""

    def __init__(self, per_s: float, burst: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_s = per_s
        self._burst = burst
        self._clock = clock
        self._left: dict[str, tuple[float, float]] = {}
        self._lock = threading.Lock()

    def take(self, name: str) -> bool:
        """Whether one more is all right now."""
        now = self._clock()
        with self._lock:
            if len(self._left) >= MOST_NAMES:
                self._forget(now)
            left, since = self._left.get(name, (self._burst, now))
            left = min(self._burst, left + (now - since) * self._per_s)
            self._left[name] = (left - 1 if left >= 1 else left, now)
            return left >= 1

    def give_back(self, name: str) -> None:
        """Let one that was taken not count."""
        with self._lock:
            if name in self._left:
                left, since = self._left[name]
                self._left[name] = (min(self._burst, left + 1), since)

    def _forget(self, now: float) -> None:
        """Leave out the names that have all their requests left; if guessers use up more names than that, all."""
        kept = {one: had for one, had in self._left.items() if had[0] + (now - had[1]) * self._per_s < self._burst}
        self._left = kept if len(kept) < MOST_NAMES else {}
