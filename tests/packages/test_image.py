"""The image for containers: what is in it, and that the program runs from it alone."""

import gzip
import hashlib
import json
import os
import subprocess
import tarfile
from pathlib import Path

import pytest

from world import build


@pytest.fixture(scope="module")
def image(tmp_path_factory) -> dict[str, bytes]:
    """The files of the archive that `dev/image` makes."""
    assert build.build() == 0, "the build has failed"
    output = tmp_path_factory.mktemp("image") / "kubeboot.oci.tar"
    made = subprocess.run(
        [build.PROJECT / "dev/image", "--output", output, "--tag", "registry.example/kubeboot:1"],
        env={**os.environ, "KUBEBOOT_BINARY": str(build.binary())}, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert (made.returncode, made.stdout) == (0, f"{output}\n"), made.stderr
    with tarfile.open(output) as tar:
        return {each.name: tar.extractfile(each).read() for each in tar if each.isfile()}


def blob(image: dict[str, bytes], told: dict) -> bytes:
    """What a descriptor means; digest and size must be its own."""
    content = image[f"blobs/{told['digest'].replace(':', '/')}"]
    assert told["digest"] == f"sha256:{hashlib.sha256(content).hexdigest()}"
    assert told["size"] == len(content)
    return content


@pytest.fixture(scope="module")
def manifest(image) -> dict:
    (only,) = json.loads(image["index.json"])["manifests"]
    assert only["annotations"]["org.opencontainers.image.ref.name"] == "registry.example/kubeboot:1"
    return json.loads(blob(image, only))


def test_it_is_an_image_of_one_layer_that_nobody_in_particular_runs(image, manifest):
    assert json.loads(image["oci-layout"]) == {"imageLayoutVersion": "1.0.0"}
    config = json.loads(blob(image, manifest["config"]))
    (layer,) = manifest["layers"]
    assert config["rootfs"]["diff_ids"] == [f"sha256:{hashlib.sha256(gzip.decompress(blob(image, layer))).hexdigest()}"]
    assert config["config"]["User"].split(":")[0] not in ("", "0", "root")
    assert config["os"] == "linux"


def test_the_program_runs_from_it_alone(image, manifest, tmp_path):
    layer = tmp_path / "layer.tar.gz"
    layer.write_bytes(blob(image, manifest["layers"][0]))
    root = tmp_path / "root"
    with tarfile.open(layer) as tar:
        names = tar.getnames()
        tar.extractall(root, filter="tar")
    programs = [name for name in names if "/bin/" in name]
    assert programs == ["usr/bin/kubeboot"], "and nothing else is in it"
    run = ["unshare", "--mount", "--net", f"--root={root}", "--setuid=65534", "--setgid=65534", "--"]
    env = {"PATH": "/usr/bin"}
    done = subprocess.run([*run, "kubeboot", "elect", "--help"], capture_output=True, text=True, cwd="/", env=env)
    assert done.returncode == 0 and "--election" in done.stdout, done.stderr
    # Outside of a cluster it says what it lacks.
    done = subprocess.run([*run, "kubeboot", "elect", "--election=web"], capture_output=True, text=True, cwd="/", env=env)
    assert done.returncode == 2 and "KUBERNETES_SERVICE_HOST" in done.stderr, done
    assert Path(root / "usr/bin/kubeboot").stat().st_mode & 0o777 == 0o755
