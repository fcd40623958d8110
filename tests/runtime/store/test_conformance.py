"""Every store, on every server that we have, does what every store must do."""

import os
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait

import pytest

from scythe_runtime.errors import StoreError
from scythe_runtime.store import check, open_store
from scythe_runtime.store._once import OnceStore
from scythe_runtime.store._s3 import S3Store
from scythe_runtime.testing import StoreTestCase

from .proxy import FaultyProxy, half_body, lost_answer, refusal, reset
from .servers import MOTO_PAGE_SIZE, Server, new_bucket


class TestFolderStore(StoreTestCase):
    """A local folder, with characters in its path that a URI must encode."""

    page_size = 100

    @pytest.fixture
    def store(self, tmp_path):
        """Return a store in a folder that does not exist yet."""
        return open_store((tmp_path / "my runs #1 ü").as_uri())


class TestOnceStore(StoreTestCase):
    """A store that need not be asked again."""

    page_size = 100

    @pytest.fixture
    def store(self, tmp_path):
        """Return one that keeps everything."""
        return OnceStore(open_store((tmp_path / "runs").as_uri()), ("",))


class TestS3Store(StoreTestCase):
    """A prefix of a bucket."""

    page_size = MOTO_PAGE_SIZE

    @pytest.fixture
    def store(self, bucket):
        """Return a store below a prefix of a new bucket."""
        return open_store(f"s3://{bucket}/some/prefix")


class FolderServer(StoreTestCase):
    """A prefix of a bucket of a server that keeps objects as files."""

    @pytest.fixture
    def server(self):
        """Return the server."""
        raise NotImplementedError

    @pytest.fixture
    def store(self, aws, server, monkeypatch):
        """Return a store below a prefix of a new bucket."""
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        return open_store(f"s3://{new_bucket(server.url)}/some/prefix")

    def test_long_listings(self, store, server):
        """More objects than a page holds are all listed; they are laid down as files, which is faster."""
        folder = server.folder / store.bucket / store.prefix / "many"
        folder.mkdir(parents=True)
        names = [f"{i:04d}" for i in range(self.page_size + 3)]
        for name in names:
            (folder / name).touch()
        assert self._keys(store, "many/") == [f"many/{name}" for name in names]

    def test_an_object_in_the_way(self, store, impatient):
        """These servers hold no key below another; the refusal is one line, and nothing is harmed."""
        store = S3Store(store.bucket, store.prefix, client=impatient())
        store.put("a", b"1")
        with pytest.raises(StoreError, match="cannot write") as got:
            store.put("a/b", b"2")
        assert len(str(got.value).splitlines()) == 1
        assert store.get("a") == b"1"

    def test_trouble_on_the_way(self, store, server, monkeypatch, tmp_path):
        """Throttling, cut connections and half bodies are waited out; a large file goes in parts."""
        monkeypatch.setattr("scythe_runtime.store._s3._MULTIPART_FROM_BYTES", 9 * 1024**2)
        source = tmp_path / "large"
        source.write_bytes(bytes(range(250)) * 40_000)
        with FaultyProxy(server.url) as proxy:
            monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
            store = open_store(store.root_uri)
            for faults in ([refusal(503, "SlowDown")], [reset, half_body], [lost_answer]):
                proxy.faults.extend(faults)
                store.put("large", source)
                assert store.fetch("large", tmp_path / "back").read_bytes() == source.read_bytes()
                assert [found.key for found in store.list("")] == ["large"]
            assert not proxy.faults
            assert any("partNumber=" in path for _, path in proxy.requests)

    def test_a_server_that_is_killed_and_comes_back(self, aws, server, monkeypatch):
        """Puts wait until it is there again, and each object is stored whole."""
        own = Server(server.name)
        try:
            monkeypatch.setenv("AWS_ENDPOINT_URL", own.url)
            store = open_store(f"s3://{new_bucket(own.url)}/p")
            content = {f"k{i:02d}": os.urandom(300_000) for i in range(24)}
            with ThreadPoolExecutor(3) as pool:
                puts = [pool.submit(store.put, key, data) for key, data in content.items()]
                wait(puts, return_when=FIRST_COMPLETED)
                own.kill()
                own.start()
                for put in puts:
                    put.result(60)
            assert {found.key: store.get(found.key) for found in store.list("")} == content
        finally:
            own.stop()


class TestLocalbucket(FolderServer):
    """localbucket honours create."""

    @pytest.fixture
    def server(self, localbucket):
        """Return the server."""
        return localbucket

    def test_it_can_claim(self, store):
        """A create put really refuses."""
        assert store.honours_create()


class TestRclone(FolderServer):
    """rclone's does not know create."""

    @pytest.fixture
    def server(self, rclone):
        """Return the server."""
        return rclone

    def test_it_cannot_claim(self, store):
        """That is found out."""
        assert not store.honours_create()

    @pytest.mark.parametrize(
        ("variable", "code"),
        [
            ("AWS_SECRET_ACCESS_KEY", "SignatureDoesNotMatch"),
            ("AWS_ACCESS_KEY_ID", "InvalidAccessKeyId"),
        ],
    )
    def test_wrong_credentials(self, store, monkeypatch, variable, code):
        """A key that this server does not know, and a wrong secret, are told apart in one line."""
        monkeypatch.setenv(variable, "something-else")
        with pytest.raises(StoreError, match=code) as got:
            check(store)
        assert "Check AWS_ACCESS_KEY_ID" in str(got.value)
        assert "something-else" not in str(got.value)
