"""Watches at the stand-in's API server: what they tell, from when on, and how they end."""

import json
import os
import threading

import pytest

from world.standin import dial, kubeconfig
from world.standin_lab import Lab, wait

WHERE = "/api/v1/namespaces/default/configmaps"


@pytest.fixture(scope="module")
def node():
    lab = Lab()
    made = lab.node()
    made.init()
    yield made
    lab.close()


class Watcher:
    """Reads a watch in a thread; `told` are its events so far, `over` is set at its end."""

    def __init__(self, node, query):
        self.told, self.over = [], threading.Event()
        os.environ["STANDIN_ROOT"] = node.root
        context = kubeconfig.Config.load("/etc/kubernetes/admin.conf").context()
        del os.environ["STANDIN_ROOT"]
        self._link = dial.connection(f"https://{node.address}:6443", context, 30.0)
        self._link.request("GET", f"{WHERE}?watch=1&{query}")
        self._answer = self._link.getresponse()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        while line := self._answer.readline():
            self.told.append(json.loads(line))
        self.over.set()

    def names(self):
        return [(each["type"], each["object"]["metadata"]["name"]) for each in self.told if each["type"] != "BOOKMARK"]


def make(node, name, **labels):
    return node.api("POST", WHERE, {"metadata": {"name": name, "labels": labels}, "data": {"a": "1"}})


def test_it_tells_what_comes_changes_and_goes_from_its_version_on(node):
    make(node, "before", watched="1")
    version = node.get(WHERE)["metadata"]["resourceVersion"]
    make(node, "since", watched="1")
    watcher = Watcher(node, f"resourceVersion={version}&labelSelector=watched=1&timeoutSeconds=60")
    make(node, "other")
    make(node, "later", watched="1")
    node.api("PATCH", f"{WHERE}/later", {"data": {"a": "2"}}, kind="application/merge-patch+json")
    node.api("DELETE", f"{WHERE}/since")
    node.api("PATCH", f"{WHERE}/later", {"metadata": {"labels": {"watched": None}}}, kind="application/merge-patch+json")
    wanted = [("ADDED", "since"), ("ADDED", "later"), ("MODIFIED", "later"), ("DELETED", "since"), ("DELETED", "later")]
    wait(lambda: watcher.names() == wanted, f"the events, which are {watcher.names()}")
    versions = [int(each["object"]["metadata"]["resourceVersion"]) for each in watcher.told]
    assert versions == sorted(versions) and versions[0] > int(version)
    assert watcher.told[2]["object"]["data"] == {"a": "2"}


def test_without_a_version_it_begins_with_all_that_is_there(node):
    make(node, "all-1", all="1")
    watcher = Watcher(node, "labelSelector=all=1&timeoutSeconds=60")
    wait(lambda: watcher.names() == [("ADDED", "all-1")], "what is there")
    make(node, "all-2", all="1")
    wait(lambda: watcher.names() == [("ADDED", "all-1"), ("ADDED", "all-2")], "what comes")


def test_it_ends_in_time_with_a_bookmark(node):
    version = make(node, "bookmarked", marked="1")["metadata"]["resourceVersion"]
    watcher = Watcher(node, f"resourceVersion={version}&labelSelector=marked=1&timeoutSeconds=1&allowWatchBookmarks=true")
    assert watcher.over.wait(20)
    assert [each["type"] for each in watcher.told] == ["BOOKMARK"]
    assert int(watcher.told[0]["object"]["metadata"]["resourceVersion"]) >= int(version)


def test_a_version_that_etcd_has_forgotten_is_too_old(node):
    old = make(node, "old")["metadata"]["resourceVersion"]
    make(node, "new")
    node.etcdctl("compact", make(node, "newer")["metadata"]["resourceVersion"])
    watcher = Watcher(node, f"resourceVersion={old}&timeoutSeconds=60")
    assert watcher.over.wait(20)
    (event,) = watcher.told
    assert event["type"] == "ERROR" and event["object"]["code"] == 410 and event["object"]["reason"] == "Expired"


def test_who_may_list_may_not_watch_by_that(node):
    status, text = node.answer("GET", "/api/v1/nodes?watch=true", config="/etc/kubernetes/kubelet.conf")
    assert status == 403 and 'cannot watch resource "nodes"' in text
