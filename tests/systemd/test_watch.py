"""What the watch takes for an ended network, on a computer that is busy: no machine is needed to see that."""

import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from systemd import watch
from systemd.dial import Dial
from world.client import wait_until

# Another one for each process, so that two may run at once.
ADDRESS = f"127.251.{os.getpid() >> 8 & 255}.{os.getpid() % 254 + 1}"
PORT = 23799


class Port:
    """A port that takes no more than one connection, so that the next one's first packet is lost, until it is served."""

    def __init__(self):
        self.listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind((ADDRESS, PORT))
        self.listener.listen(0)
        self._filler = socket.create_connection((ADDRESS, PORT), 5)

    def serve(self) -> None:
        """From now on everybody is let in."""
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                self.listener.accept()[0].close()
            except OSError:
                return

    def end(self) -> None:
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self._filler.close()


@pytest.fixture
def port() -> Iterator[Port]:
    made = Port()
    yield made
    made.end()


class Unit:
    """A machine's cgroups as files; the unit runs from the beginning."""

    def __init__(self, folder: Path):
        self.cgroup, self.unit, self.pid = folder, "leaving.service", 0
        for name in (self.unit, "containerd.service", "kubelet.service", "etcd.scope"):
            (folder / "system.slice" / name).mkdir(parents=True)
            self.set(name, 1)

    def set(self, name: str, populated: int) -> None:
        (self.cgroup / "system.slice" / name / "cgroup.events").write_text(f"populated {populated}\nfrozen 0\n")


@pytest.fixture
def unit(tmp_path, monkeypatch) -> Unit:
    monkeypatch.setattr(watch, "ETCD_PORT", PORT)
    monkeypatch.setattr(watch, "etcd_scope", lambda machine: machine.cgroup / "system.slice/etcd.scope")
    return Unit(tmp_path)


@pytest.fixture
def asked(monkeypatch) -> list[float]:
    """For how long a dial was waited for, each time: the second time the unit has been seen to run after the first."""
    waits = []

    class Asked(Dial):
        def answered(self, seconds: float) -> bool | None:
            waits.append(seconds)
            return super().answered(seconds)

    monkeypatch.setattr(watch, "Dial", Asked)
    return waits


def watching(unit: Unit) -> watch.Watch:
    return watch.Watch(unit, ADDRESS, lambda: True)


def test_an_answer_that_is_late_is_an_answer(unit, port, asked):
    with watching(unit) as seeing:
        wait_until(lambda: len(asked) > 1)
        # The kernel asks again a second after the first time.
        port.serve()
        wait_until(lambda: seeing.seen.samples > 3)
    assert not seeing.seen.broken and seeing.seen.ran


def test_who_never_answers_has_no_network(unit, port, monkeypatch):
    monkeypatch.setattr(watch, "ANSWER_SECONDS", 1.5)
    with watching(unit) as seeing:
        wait_until(lambda: "the network" in seeing.seen.broken)
    assert seeing.seen.broken["the network"] < watch.DIAL_SECONDS, "since it was asked"


def test_who_does_not_answer_until_the_unit_ends_has_none_either(unit, port, asked):
    with watching(unit) as seeing:
        wait_until(lambda: len(asked) > 1)
        unit.set(unit.unit, 0)
        wait_until(lambda: seeing.seen.ended is not None)
    assert set(seeing.seen.broken) == {"the network"}


def test_a_unit_that_ends_and_begins_anew_while_others_are_asked_proves_nothing(unit, port, monkeypatch):
    began_anew = threading.Event()

    class EndsTheUnit(Dial):
        def answered(self, seconds: float) -> bool:
            if not began_anew.is_set():
                unit.set(unit.unit, 0)
                unit.set("etcd.scope", 0)
            return True

    def begin_anew() -> bool:
        unit.set("etcd.scope", 1)
        unit.set(unit.unit, 1)
        began_anew.set()
        return True

    port.serve()
    monkeypatch.setattr(watch, "Dial", EndsTheUnit)
    with watch.Watch(unit, ADDRESS, begin_anew) as seeing:
        wait_until(lambda: began_anew.is_set() or seeing.seen.ended is not None)
        if not began_anew.is_set():
            begin_anew()
        wait_until(lambda: seeing.seen.samples > 1)
    assert not seeing.seen.broken


def test_a_unit_that_ends_sooner_proves_nothing(unit, port, monkeypatch):
    monkeypatch.setattr(watch, "DIAL_SECONDS", 3.0)
    with watching(unit) as seeing:
        wait_until(lambda: seeing.seen.ran)
        unit.set(unit.unit, 0)
        wait_until(lambda: seeing.seen.ended is not None)
    assert seeing.seen.broken == {}


def test_what_else_ends_is_seen_although_the_network_keeps_it_waiting(unit, port, monkeypatch, asked):
    monkeypatch.setattr(watch, "DIAL_SECONDS", 3.0)
    unit.set("kubelet.service", 0)
    with watching(unit) as seeing:
        wait_until(lambda: "kubelet" in seeing.seen.broken)
        assert len(asked) < 2
        unit.set(unit.unit, 0)
    assert set(seeing.seen.broken) == {"kubelet"}


def test_who_ends_in_the_middle_of_an_answer_was_there():
    listener = socket.create_server((ADDRESS, PORT))
    with Dial(ADDRESS, PORT) as dial:
        # The kernel has let it in, nobody has accepted it: now it is reset.
        listener.close()
        assert dial.answered(5) is True
    with Dial(ADDRESS, PORT) as dial:
        assert dial.answered(5) is True, "a port that refuses is an answer"


def test_no_way_there_is_no_answer():
    with Dial("255.255.255.255", PORT) as dial:
        assert dial.answered(5) is False


def test_an_etcd_that_ends_is_no_end_of_the_network(unit, monkeypatch):
    """Over and over, at every moment of a dial."""
    monkeypatch.setattr(watch, "PAUSE", 0.0)
    end = time.monotonic() + 30
    with watching(unit) as seeing:
        while seeing.seen.samples < 2000 and time.monotonic() < end:
            listener = socket.create_server((ADDRESS, PORT))
            time.sleep(0.003)
            listener.close()
    assert seeing.seen.broken == {} and seeing.seen.samples >= 2000
