"""The API over TLS, with the clients that people use."""

import os
import shutil
import socket
import ssl
import subprocess
import unittest

import numpy
import tritonclient.grpc
import tritonclient.http

import support
from support import mesh

NAMES = "subjectAltName=DNS:localhost,IP:127.0.0.1"
AUTHORITY = """
[ca]
default_ca = here
[here]
database = index
serial = serial
new_certs_dir = .
default_md = sha256
policy = any
copy_extensions = copy
[any]
commonName = supplied
"""


class Authority:
    """Signs certificates, in a folder of its own."""

    def __init__(self, folder):
        self.folder = folder
        os.makedirs(folder)
        with open(os.path.join(folder, "config"), "w", encoding="ascii") as file:
            file.write(AUTHORITY)
        open(os.path.join(folder, "index"), "w", encoding="ascii").close()
        with open(os.path.join(folder, "serial"), "w", encoding="ascii") as file:
            file.write("1000\n")
        self.run("req", "-x509", "-new", *self.key("ca"), "-subj", "/CN=test authority",
                 "-days", "2", "-out", "ca.pem")
        self.certificate = os.path.join(folder, "ca.pem")

    def run(self, *arguments):
        """Runs openssl in the folder."""
        result = subprocess.run(["openssl", *arguments], cwd=self.folder, capture_output=True,
                                text=True, timeout=60)
        if result.returncode != 0:
            raise mesh.Failed(f"openssl {arguments[0]}: {result.stderr}")

    @staticmethod
    def key(name):
        """What makes a new key."""
        return ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
                name + ".key")

    def issue(self, name, ends="20991231235959Z"):
        """Makes a certificate and its key; gives their paths."""
        self.run("req", "-new", *self.key(name), "-subj", f"/CN={name}", "-addext", NAMES,
                 "-out", name + ".request")
        self.run("ca", "-batch", "-notext", "-config", "config", "-cert", "ca.pem", "-keyfile",
                 "ca.key", "-in", name + ".request", "-startdate", "20200101000000Z", "-enddate",
                 ends, "-out", name + ".pem")
        return [os.path.join(self.folder, name + ending) for ending in (".pem", ".key")]


@unittest.skipUnless(shutil.which("openssl") and shutil.which("curl"), "needs openssl and curl")
class TLS(support.Case):
    """One agent with a certificate."""

    def setUp(self):
        """Makes the certificates."""
        self.agents = mesh.Mesh([], discovery="none")
        self.addCleanup(self.agents.close)
        self.authority = Authority(os.path.join(self.agents.folder, "authority"))

    def start(self, certificate, key):
        """An agent with these files."""
        flags = {"api_certificate": certificate, "api_key": key}
        agent = self.agents.make("a", **{name: path for name, path in flags.items() if path})
        return agent.start()

    def curl(self, url, *flags):
        """What curl gets: the version of HTTP, the status and the exit code."""
        result = subprocess.run(
            ["curl", "--silent", "--show-error", "--output", "/dev/null", "--max-time", "20",
             "--write-out", "%{http_version} %{http_code}", *flags, url], capture_output=True,
            text=True, timeout=30)
        return result.returncode, result.stdout

    def serial(self, agent):
        """The number of the certificate that the agent shows."""
        context = ssl.create_default_context(cafile=self.authority.certificate)
        with socket.create_connection((agent.host, agent.port), 10) as plain:
            with context.wrap_socket(plain, server_hostname="127.0.0.1") as secured:
                return secured.getpeercert()["serialNumber"]

    def test_clients(self):
        """curl, tritonclient and the commands speak with it, and only over TLS."""
        agent = self.start(*self.authority.issue("one")).await_ready()
        trusted = ("--cacert", self.authority.certificate)
        url = f"https://{agent.host}:{agent.port}/v2/health/live"
        self.assertEqual((0, "1.1 200"), self.curl(url, *trusted, "--http1.1"))
        self.assertEqual((0, "2 200"), self.curl(url, *trusted, "--http2"))
        self.assertEqual(60, self.curl(url)[0])
        self.assertNotEqual(0, self.curl(url, *trusted, "--tls-max", "1.1")[0])
        self.assertNotEqual(0, self.curl(url.replace("https", "http"))[0])

        flags = ("--api", f"https://{agent.host}:{agent.port}")
        trust = (*flags, "--ca-file", self.authority.certificate)
        self.assertIn("NAME", mesh.check("members", *trust).out)
        self.assert_fails(mesh.run("members", *flags), 69, "--ca-file")
        mesh.check("model", "add", support.file(support.CNN), "--name", support.CNN, *trust,
                   "--token-file", agent.token_file, "--copies", "1")
        images = numpy.load(support.IMAGES)[:4]
        results = []
        for module, client in (
                (tritonclient.http, tritonclient.http.InferenceServerClient(
                    f"localhost:{agent.port}", ssl=True,
                    ssl_options={"ca_certs": self.authority.certificate})),
                (tritonclient.grpc, tritonclient.grpc.InferenceServerClient(
                    agent.grpc.replace("127.0.0.1", "localhost"), ssl=True,
                    root_certificates=self.authority.certificate))):
            self.assertTrue(client.is_server_live())
            tensor = module.InferInput("image", list(images.shape), "FP32")
            tensor.set_data_from_numpy(images)
            results.append(client.infer(support.CNN, [tensor]).as_numpy("logits"))
            client.close()
        self.assertEqual((4, 10), results[0].shape)
        self.assertTrue((results[0] == results[1]).all())
        plain = tritonclient.grpc.InferenceServerClient(agent.grpc)
        with self.assertRaises(tritonclient.grpc.InferenceServerException):
            plain.is_server_live(client_timeout=5)

    def test_reload(self):
        """New files are taken over; wrong ones change nothing."""
        certificate, key = self.authority.issue("one")
        agent = self.start(certificate, key).await_ready()
        first = self.serial(agent)
        for new, old in zip(self.authority.issue("two"), (certificate, key)):
            os.replace(new, old)
        mesh.wait(10, "the new certificate is shown", lambda: self.serial(agent) != first)
        second = self.serial(agent)
        os.replace(self.authority.issue("three")[0], certificate)
        mesh.wait(10, "the agent says what is wrong",
                  lambda: "the key does not belong" in agent.tail())
        self.assertEqual(second, self.serial(agent))

    def test_wrong(self):
        """An agent does not start with what cannot serve, and says why."""
        certificate, key = self.authority.issue("one")
        expired = self.authority.issue("old", ends="20200201000000Z")
        other = self.authority.issue("other")[1]
        open_key = os.path.join(self.agents.folder, "open.key")
        shutil.copy(key, open_key)
        os.chmod(open_key, 0o644)
        sealed = os.path.join(self.authority.folder, "sealed.key")
        self.authority.run("pkey", "-in", key, "-aes256", "-passout", "pass:x", "-out", sealed)
        os.chmod(sealed, 0o600)
        for files, code, word in (
                ((certificate, other), 1, "the key does not belong"),
                (expired, 1, "expired"), ((certificate, open_key), 1, "chmod o="),
                ((certificate, "/no/such.key"), 1, "/no/such.key"),
                ((key, key), 1, "holds none"), ((certificate, certificate), 1, "chmod"),
                ((certificate, sealed), 1, "password"), ((certificate, ""), 64, "both")):
            os.chmod(certificate, 0o644)
            agent = self.start(*files)
            self.assertEqual(code, agent.process.wait(30), agent.tail())
            agent._ended()
            self.assertIn(word, agent.tail(), files)
            os.remove(agent.log)


if __name__ == "__main__":
    unittest.main()
