"""Strangers who answer somewhere for a while: see strangers.py. One at the endpoint has the load balancer's place."""

from collections.abc import Callable
from pathlib import Path

from .balancer import Balancer
from .journal import Journal
from .strangers import Stranger


class Visits:
    """`where` finds the address that somebody means, that of the endpoint being the load balancer's."""

    def __init__(self, balancer: Balancer, where: Callable[[str], str], events: Journal):
        self._balancer, self._where, self._events = balancer, where, events
        self._strangers: dict[str, Stranger] = {}
        self._lent = balancer.mode

    def invite(self, at: str, answer: str, authority: Path | None, uid: str) -> str:
        """Lets a stranger answer at the endpoint, at a machine or at an address, and returns that address."""
        address = self._where(at)
        if address in self._strangers:
            raise ValueError(f"a stranger answers at {address} already")
        if address == self._where("endpoint"):
            self._lent = self._balancer.mode
            self._balancer.set_mode("none")
        try:
            self._strangers[address] = Stranger(address, answer, authority, uid)
        except (OSError, ValueError):
            self._give_back(address)
            raise
        self._events.write("stranger", address=address, answer=answer)
        return address

    def send_away(self, at: str | None) -> list[str]:
        """Ends the stranger at that place, or all of them. What was there before answers again."""
        gone = [self._where(at)] if at else list(self._strangers)
        for address in gone:
            if address not in self._strangers:
                raise ValueError(f"no stranger answers at {address}")
            self._strangers.pop(address).stop()
            self._give_back(address)
        return gone

    def must_be_none_at_the_endpoint(self) -> None:
        """Raises ValueError while a stranger has the load balancer's place."""
        if self._where("endpoint") in self._strangers:
            raise ValueError("a stranger answers at the endpoint: send it away first")

    def _give_back(self, address: str) -> None:
        if address == self._where("endpoint"):
            self._balancer.set_mode(self._lent)
