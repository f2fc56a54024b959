import errno
import hashlib
import http.server
import io
import pickle
import tarfile
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from torchvision import datasets
from torchvision.datasets import utils

from trainlab.data.cifar10 import CIFAR10

NAMES = ["plane", "car"]
BATCHES = [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]


def md5(content):
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


class Server(http.server.ThreadingHTTPServer):
    """Serves one archive; `sent` bytes of it, or all if None."""

    def __init__(self, content):
        super().__init__(("127.0.0.1", 0), Handler)
        self.content, self.sent, self.requests = content, None, 0


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.requests += 1
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.server.content)))
        self.end_headers()
        self.wfile.write(self.server.content[: self.server.sent])

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def pixels():
    """Two images a batch; row i of the official layout is red, green, blue of image i, each row by row."""
    return np.random.default_rng(0).integers(0, 256, (6, 2, 3072), dtype=np.uint8)


@pytest.fixture(scope="module")
def members(pixels):
    batches = {name: {"data": part, "labels": [1, 0]} for name, part in zip(BATCHES, pixels, strict=True)}
    batches["batches.meta"] = {"label_names": NAMES}
    return {name: pickle.dumps(batch, protocol=2) for name, batch in batches.items()}


@pytest.fixture
def server(members, monkeypatch):
    """A small archive in the official layout, in place of the official one."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    checksums = [[name, md5(members[name])] for name in BATCHES]
    meta = {"filename": "batches.meta", "key": "label_names", "md5": md5(members["batches.meta"])}
    with Server(buffer.getvalue()) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}/cifar-10-python.tar.gz"
        for key, value in {
            "url": url,
            "tgz_md5": md5(server.content),
            "train_list": checksums[:5],
            "test_list": checksums[5:],
            "meta": meta,
        }.items():
            monkeypatch.setattr(datasets.CIFAR10, key, value)
        yield server
        server.shutdown()


@pytest.fixture
def offline(server):
    server.shutdown()
    server.server_close()


def test_pixels_labels_and_classes_are_those_of_the_archive(server, pixels, tmp_path):
    images = CIFAR10(str(tmp_path)).read()
    expected = torch.from_numpy(pixels.reshape(12, 3, 32, 32))
    assert torch.equal(images.train, expected[:10])
    assert torch.equal(images.test, expected[10:])
    assert images.train.dtype == torch.uint8
    assert images.train_labels.tolist() == [1, 0] * 5
    assert images.test_labels.tolist() == [1, 0]
    assert images.classes == tuple(NAMES)


def test_second_start_needs_no_network_and_gives_the_same_digest(server, tmp_path):
    first = CIFAR10(str(tmp_path)).read()
    server.shutdown()
    server.server_close()
    assert CIFAR10(str(tmp_path)).read().digest == first.digest


def test_processes_that_start_at_once_download_once(server, tmp_path):
    CIFAR10(str(tmp_path / "alone")).read()
    requests_of_one, server.requests = server.requests, 0
    with ThreadPoolExecutor(4) as threads:
        digests = {future.digest for future in threads.map(lambda _: CIFAR10(str(tmp_path)).read(), range(4))}
    assert len(digests) == 1
    assert server.requests == requests_of_one


def test_checking_and_counting_download_nothing(server, tmp_path):
    data = CIFAR10(str(tmp_path / "absent"))
    data.check()
    assert data.count_train_images() == 50_000
    assert data.image_shape == (3, 32, 32)
    assert server.requests == 0
    assert not (tmp_path / "absent").exists()


def test_start_after_a_cut_off_download(server, tmp_path):
    server.sent = len(server.content) // 2
    # Which one depends on whether Python's HTTP client notices the missing bytes before the checksum does.
    with pytest.raises((ValueError, ConnectionError), match=r"cifar-10-python\.tar\.gz"):
        CIFAR10(str(tmp_path)).read()
    server.sent = None
    assert len(CIFAR10(str(tmp_path)).read().train) == 10


def test_start_after_a_process_was_killed_while_downloading(server, tmp_path):
    (tmp_path / "cifar-10-python.tar.gz").write_bytes(server.content[:100])
    assert len(CIFAR10(str(tmp_path)).read().train) == 10


@pytest.mark.parametrize("name", [*BATCHES, "batches.meta"])
def test_damaged_unpacked_file_comes_again_from_the_archive_without_network(server, tmp_path, name):
    CIFAR10(str(tmp_path)).read()
    server.shutdown()
    server.server_close()
    (tmp_path / "cifar-10-batches-py" / name).write_bytes(b"half")
    assert len(CIFAR10(str(tmp_path)).read().train) == 10


def test_archive_that_fails_its_checksum_is_named(server, tmp_path):
    server.content = b"<html>log in to this network</html>"
    with pytest.raises(ValueError, match="fails its MD5 check: delete it and start again") as error:
        CIFAR10(str(tmp_path)).read()
    assert str(tmp_path / "cifar-10-python.tar.gz") in str(error.value)


def test_without_network_the_message_names_three_alternatives(offline, tmp_path):
    with pytest.raises(ConnectionError) as error:
        CIFAR10(str(tmp_path)).read()
    for way in ("data.root", "TRAINLAB_DATA", "data=image_folder", "data=shapes"):
        assert way in str(error.value)
    assert str(error.value).count("\n") <= 1


def test_damaged_archive_without_network_is_named(offline, tmp_path):
    archive = tmp_path / "cifar-10-python.tar.gz"
    archive.write_bytes(b"half")
    with pytest.raises(ConnectionError, match="incomplete or damaged") as error:
        CIFAR10(str(tmp_path)).read()
    assert str(archive) in str(error.value)


def test_full_disk_is_not_taken_for_a_lack_of_network(server, tmp_path, monkeypatch):
    def write(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(utils, "_urlretrieve", write)
    with pytest.raises(OSError, match="No space left") as error:
        CIFAR10(str(tmp_path)).read()
    assert error.value.errno == errno.ENOSPC


def test_one_plain_line_where_stderr_is_no_terminal(server, tmp_path, capsys):
    CIFAR10(str(tmp_path)).read()
    assert capsys.readouterr().err.splitlines() == [f"downloading CIFAR-10 to {tmp_path}"]


def test_read_only_folder_with_data_suffices(server, tmp_path, monkeypatch):
    CIFAR10(str(tmp_path)).read()
    before = sorted(Path(tmp_path).rglob("*"))
    (tmp_path / ".cifar10.lock").unlink()
    CIFAR10(str(tmp_path)).read()
    assert sorted(Path(tmp_path).rglob("*")) == [path for path in before if path.name != ".cifar10.lock"]
