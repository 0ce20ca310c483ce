"""A disk that is full, or fills up: what does not fit is refused, and all else goes on."""

import contextlib
import hashlib
import http.client
import os
import subprocess
import tempfile
import unittest

import support
from support import mesh

MEBIBYTE = 1 << 20
DISK_MEBIBYTES = 32
PIECE_BYTES = 64 << 10


def may_mount():
    """Whether this process may mount a disk of its own."""
    with tempfile.TemporaryDirectory() as folder:
        command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder]
        try:
            if subprocess.run(command, capture_output=True, check=False).returncode != 0:
                return False
        except OSError:
            return False
        subprocess.run(["umount", folder], check=True)
        return True


@unittest.skipUnless(may_mount(), "only who may mount a small disk")
class FullDisk(support.Case):
    """An agent whose data folder is a small disk, and whose quota is far above it."""

    def setUp(self):
        """Starts it, with a model."""
        self.agents = mesh.Mesh([], discovery="none", disk="1G")
        self.addCleanup(self.agents.close)
        self.agent = self.agents.make("a")
        os.mkdir(self.agent.folder, 0o700)
        size = f"size={DISK_MEBIBYTES}m,mode=700"
        subprocess.run(["mount", "-t", "tmpfs", "-o", size, "tmpfs", self.agent.folder],
                       check=True)
        self.addCleanup(lambda: subprocess.run(
            ["umount", "--lazy", self.agent.folder], check=True))
        self.agent.start().await_ready()
        self.agent.add(support.CNN, support.file(support.CNN))
        mesh.wait(60, "the model is served", lambda: self.agent.is_ready(support.CNN))

    def partial(self):
        """Files of the store that are not whole."""
        return [name for _, _, names in os.walk(os.path.join(self.agent.folder, "models"))
                for name in names if name.endswith(".partial")]

    def used(self):
        """Bytes that count against the quota."""
        client = self.agent.client()
        with contextlib.closing(client):
            text = client.call("GET", "/metrics")[2].decode()
        line = next(line for line in text.splitlines()
                    if line.startswith("tessera_disk_used_bytes "))
        return float(line.split()[1])

    def upload(self, byte_count, sent=None):
        """Sends a blob of zeros and gives status and body; or a part of one, and goes."""
        data = bytes(byte_count)
        name = hashlib.sha256(data).hexdigest()
        connection = http.client.HTTPConnection(self.agent.host, self.agent.port, timeout=60)
        with open(self.agent.token_file, encoding="ascii") as file:
            token = file.read().strip()
        with contextlib.closing(connection):
            connection.putrequest("PUT", f"/tessera/v1/blobs/{name}")
            connection.putheader("Authorization", f"Bearer {token}")
            connection.putheader("Content-Length", str(byte_count))
            connection.endheaders()
            for start in range(0, sent or byte_count, PIECE_BYTES):
                connection.send(data[start:start + PIECE_BYTES])
            if sent:
                return None
            response = connection.getresponse()
            return response.status, response.read().decode()

    def fill(self):
        """Takes all the room that there is; gives the file."""
        path = os.path.join(self.agent.folder, "filler")
        with open(path, "wb", buffering=0) as file:
            for size in (MEBIBYTE, 4096, 1):
                try:
                    while file.write(bytes(size)) == size:
                        pass
                except OSError:
                    pass
        return path

    def assert_serves(self):
        """Every answer is right."""
        logits = support.infer(self.agent, support.CNN, self.agents.folder)
        self.assertEqual(support.expected(), [item.data for item in logits.items()])

    def test_upload(self):
        """A blob that does not fit is refused with what to do, and leaves nothing behind."""
        before = self.used()
        status, text = self.upload(2 * DISK_MEBIBYTES * MEBIBYTE)
        self.assertEqual(507, status)
        for word in ("is full", "Make room", "--data-dir"):
            self.assertIn(word, text)
        self.assertEqual([], self.partial())
        self.assertEqual(before, self.used())
        self.assert_serves()
        self.assertEqual(201, self.upload(4 * MEBIBYTE)[0])

    def test_broken_upload(self):
        """An upload that breaks off leaves neither a file nor what it had reserved of the quota."""
        before = self.used()
        self.upload(16 * MEBIBYTE, sent=MEBIBYTE)
        mesh.wait(30, "the part is gone",
                  lambda: not self.partial() and self.used() == before)

    def test_full(self):
        """With no byte left requests are answered, changes refused, and room is taken up again."""
        filler = self.fill()
        self.assert_serves()
        result = mesh.run("model", "add", support.file(support.VIT), "--name", support.VIT,
                          "--api", self.agent.api, "--token-file", self.agent.token_file)
        self.assert_fails(result, 1, "full", "Make room")
        self.assertEqual([], self.partial())
        self.assert_serves()
        self.agent.leave()
        self.agent.start()
        self.assertEqual(1, self.agent.process.wait(30))
        self.agent._ended()
        self.assertIn("Free some space", self.agent.tail())
        os.remove(filler)
        self.agent.start().await_ready()
        mesh.wait(60, "the model is served", lambda: self.agent.is_ready(support.CNN))
        self.agent.add(support.VIT, support.file(support.VIT))
        self.assert_serves()


if __name__ == "__main__":
    unittest.main()
