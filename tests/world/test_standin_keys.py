"""Where the stand-in's keys come from."""

import os

import pytest

from world.standin import keys, pki


def public(key):
    return pki.public_pem(key)


@pytest.fixture
def pool(tmp_path, monkeypatch):
    """A pool of two keys."""
    monkeypatch.setattr(keys, "POOL", str(tmp_path / "pool"))
    monkeypatch.setattr(keys, "SIZE", 2)
    keys.fill()
    return {public(keys.load(tmp_path / "pool" / name)) for name in os.listdir(tmp_path / "pool")}


def test_leaves_take_a_key_of_the_pool_and_authorities_never(pool):
    assert len(pool) == 2
    assert {public(keys.leaf()) for _ in range(20)} <= pool
    fresh = {public(pki.new_ca("a")[1]), public(pki.new_ca("b")[1])}
    assert len(fresh) == 2 and not fresh & pool


def test_other_kinds_and_a_missing_pool_cost_a_new_key_each(pool, monkeypatch):
    monkeypatch.setattr(keys, "algorithm", "ECDSA-P256")
    assert len({public(keys.leaf()) for _ in range(3)} - pool) == 3
    monkeypatch.setattr(keys, "algorithm", "RSA-2048")
    monkeypatch.setattr(keys, "POOL", "/nonexistent")
    assert len({public(keys.leaf()) for _ in range(3)} - pool) == 3


def test_the_pool_is_for_its_owner_alone(pool, tmp_path):
    assert os.stat(keys.POOL).st_mode & 0o777 == 0o700
    assert all(os.stat(tmp_path / "pool" / name).st_mode & 0o777 == 0o600 for name in os.listdir(keys.POOL))
