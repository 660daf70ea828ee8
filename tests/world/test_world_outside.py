"""The etcd outside of the machines: it answers with its client files only, and machines know where it is."""

import pytest

from world.outside import ON_MACHINES, OutsideEtcd
from world.standin import dial, etcdapi


@pytest.fixture
def etcd(tmp_path, addresses):
    made = OutsideEtcd(tmp_path / "etcd", addresses.etcd)
    yield made
    made.stop()


def test_only_who_has_the_client_files_is_answered(etcd, tmp_path, addresses):
    url = f"https://{addresses.etcd}:2379"
    ca, cert, key = (str(tmp_path / "etcd" / name) for name in ON_MACHINES)
    client = etcdapi.Client([url], ca, cert, key)
    assert client.put_if("/a", "b", 0) and [row[:2] for row in client.get("/a")] == [("/a", "b")]
    with pytest.raises((dial.Unreachable, etcdapi.EtcdError)):
        etcdapi.Client([url], ca, None, None).get("/a")
    etcd.stop()
    with pytest.raises(dial.Unreachable):
        client.get("/a")


def test_a_machine_knows_its_name_and_has_the_files_if_it_was_given_them(etcd, tmp_path, addresses):
    for name, given in (("with", True), ("without", False)):
        disk = tmp_path / name
        (disk / "etc").mkdir(parents=True)
        etcd.introduce(disk, given)
        assert (disk / "etc/hosts").read_text() == f"{addresses.etcd} etcd.demo.internal\n"
        assert [(disk / place).exists() for place in ON_MACHINES.values()] == [given] * 3
    assert (tmp_path / "with" / ON_MACHINES["client.key"]).stat().st_mode & 0o777 == 0o600
