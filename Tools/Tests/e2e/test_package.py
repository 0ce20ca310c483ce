"""The Debian package: what is in it, and that a clean system takes it."""

import base64
import json
import os
import re
import shutil
import subprocess
import tempfile
import unittest

import support
from support import mesh

import devices

TOOLS = ("dpkg-deb", "dpkg-shlibdeps", "patchelf", "strip")
MISSING = [tool for tool in TOOLS if not shutil.which(tool)]
LONG = os.environ.get("TESSERA_LONG") == "yes"
SECONDS = 60
SECRET = "/var/lib/tessera/mesh.secret"


def output(*command, **options):
    """What a command prints; it must succeed."""
    result = subprocess.run(command, capture_output=True, text=True, timeout=900, **options)
    if result.returncode != 0:
        raise mesh.Failed(f"{' '.join(map(str, command))} ended with {result.returncode}:\n"
                          f"{result.stdout[-2000:]}{result.stderr[-2000:]}")
    return result.stdout


@unittest.skipIf(MISSING, f"Tools/package needs {', '.join(MISSING)}")
class Package(support.Case):
    """One package of the program under test."""

    @classmethod
    def setUpClass(cls):
        """Makes it, without compression."""
        cls.folder = tempfile.mkdtemp(prefix="tessera-package-test-")
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        cls.file = output(
            os.path.join(mesh.ROOT, "Tools", "package"), "--program", mesh.TESSERA, "--quick",
            "--output", cls.folder).strip()
        cls.stage = os.path.join(cls.folder, "stage")
        output("dpkg-deb", "-R", cls.file, cls.stage)

    def path(self, *parts):
        """A path in the unpacked package."""
        return os.path.join(self.stage, *parts)

    def read(self, *parts):
        """A file of the unpacked package."""
        with open(self.path(*parts), encoding="utf-8") as file:
            return file.read()

    def test_control(self):
        """Name, version, dependencies; the settings are the administrator's; sums are right."""
        fields = dict(re.findall(r"^([\w-]+): (.*)$", self.read("DEBIAN", "control"), re.M))
        self.assertEqual("tessera", fields["Package"])
        self.assertEqual(mesh.check("--version").out.strip(), fields["Version"])
        self.assertEqual(output("dpkg", "--print-architecture").strip(), fields["Architecture"])
        for library in ("libc6", "libstdc++6", "zlib1g", "libzstd1", "libpng16-16", "libturbojpeg0",
                        "libavahi-compat-libdnssd1", "adduser"):
            self.assertIn(library, re.findall(r"[\w.+-]+", fields["Depends"]))
        self.assertEqual("/etc/tessera/agent.yaml\n", self.read("DEBIAN", "conffiles"))
        output("md5sum", "-c", "--quiet", self.path("DEBIAN", "md5sums"), cwd=self.stage)
        for script in ("postinst", "prerm", "postrm"):
            output("sh", "-n", self.path("DEBIAN", script))

    def test_contents(self):
        """Everything is in it, belongs to root, and nobody but its owner may write it."""
        lines = output("dpkg-deb", "-c", self.file).splitlines()
        names = set()
        for line in lines:
            mode, owner, *_, name = line.split()
            self.assertEqual("root/root", owner, line)
            self.assertNotIn("w", mode[4:], line)
            names.add(name.removeprefix("./"))
        self.assertLessEqual({
            "usr/bin/tessera", "lib/systemd/system/tessera.service", "etc/tessera/agent.yaml",
            "usr/share/man/man1/tessera.1.gz", "usr/share/man/man1/tessera-mesh-join.1.gz",
            "usr/share/bash-completion/completions/tessera",
            "usr/share/zsh/vendor-completions/_tessera",
            "usr/share/fish/vendor_completions.d/tessera.fish",
            "usr/share/doc/tessera/copyright", "usr/share/doc/tessera/changelog.gz",
            "usr/share/doc/tessera/CHANGELOG.md.gz"}, names)
        libraries = os.listdir(self.path("usr/lib/tessera"))
        for start in ("libopenvino.so", "libopenvino_c.so", "libtbb.so", "libswiftCore.so",
                      "libopenvino_onnx_frontend.so", "libopenvino_ir_frontend.so"):
            self.assertTrue(any(name.startswith(start) for name in libraries), start)

    def test_nothing_of_the_builder(self):
        """Programs look for libraries in the package and in the system, and nowhere else."""
        folder = self.path("usr/lib/tessera")
        files = {self.path("usr/bin/tessera"): "$ORIGIN/../lib/tessera"}
        files |= {os.path.join(folder, name): "$ORIGIN" for name in os.listdir(folder)}
        for file, wanted in files.items():
            self.assertEqual(wanted, output("patchelf", "--print-rpath", file).strip(), file)
        # It runs from where it was unpacked, with what it has beside itself.
        environment = {"PATH": "/usr/bin:/bin", "HOME": self.folder}
        text = output("ldd", self.path("usr/bin/tessera"), env=environment)
        self.assertNotIn("not found", text)
        for line in text.splitlines():
            if match := re.search(r"=> (\S+)", line):
                self.assertRegex(match[1], "^(/usr)?/lib|^" + re.escape(self.stage))
        version = output(self.path("usr/bin/tessera"), "--version", env=environment)
        self.assertEqual(mesh.check("--version").out, version)

    def test_settings(self):
        """The agent takes the settings as they come, and each that is commented out."""
        text = self.read("etc/tessera/agent.yaml")
        settings = os.path.join(self.folder, "all.yaml")
        with open(settings, "w", encoding="utf-8") as file:
            file.write(re.sub(r"^#(?=[a-z-]+:)", "", text, flags=re.M))
        for path in (self.path("etc/tessera/agent.yaml"), settings):
            mesh.check("agent", "--config", path, "--print-config")

    @unittest.skipUnless(shutil.which("systemd-analyze"), "no systemd-analyze")
    def test_service(self):
        """systemd takes the unit without a warning, and counts it as well shut in."""
        unit = self.path("lib/systemd/system/tessera.service")
        copy = os.path.join(self.folder, "tessera.service")
        with open(copy, "w", encoding="utf-8") as file:
            # What it starts must be there; the user is made when the package is installed.
            file.write(self.read("lib/systemd/system/tessera.service")
                       .replace("/usr/bin/tessera", self.path("usr/bin/tessera"))
                       .replace("=tessera\n", "=root\n", 2))
        result = subprocess.run(
            ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", copy],
            capture_output=True, text=True, timeout=120)
        self.assertEqual((0, ""), (result.returncode, result.stderr))
        text = output("systemd-analyze", "security", "--offline=yes", unit)
        exposure = float(re.search(r"Overall exposure level for \S+: ([\d.]+)", text)[1])
        self.assertLess(exposure, 2.0, text)

    @unittest.skipUnless(LONG, "a clean system to install into takes minutes: Tools/test --long")
    @unittest.skipIf(devices.MISSING, f"needs the packages {', '.join(devices.MISSING)}")
    @unittest.skipUnless(os.geteuid() == 0, "containers need root")
    def test_install(self):
        """Clean devices install it with apt, join, find each other by Avahi and answer."""
        root = os.path.join(self.folder, "root")
        devices.make_system(root)
        share = os.path.join(root, "srv")
        shutil.copy(self.file, os.path.join(share, "tessera.deb"))
        shutil.copy(support.file(support.CNN), share)
        shutil.copy(support.IMAGES, share)
        devices.inside(root, "apt-get", "-q", "update")
        devices.inside(root, "apt-get", "-q", "-y", "install", "/srv/tessera.deb")
        with devices.Network(self.folder, root, ["attic", "cellar"]) as (attic, cellar):
            self.join(attic, cellar)
            self.answer(attic, cellar)
            self.look(attic)
            self.shut_in(attic)
            self.come_back(attic, cellar)
            self.exchange(attic, cellar)
            self.go(attic, cellar)

    def await_both(self, *asked):
        """Waits until devices see both agents alive."""
        for device in asked:
            mesh.wait(SECONDS, lambda: f"{device.name} sees both: {device.journal()}", lambda: [
                "attic", "cellar"] == sorted(re.findall(
                    r"^(\w+)\*? .* alive ", device.call("tessera", "members").stdout, re.M)))

    def join(self, attic, cellar):
        """The story that the package tells at its installation."""
        for device in (attic, cellar):
            self.assertIn("waiting for its secret", device.journal())
        attic.run("tessera", "mesh", "join", "--new")
        cellar.run("tessera", "mesh", "join", text=attic.run("cat", SECRET))
        self.assertEqual("600 tessera\n", cellar.run("stat", "-c", "%a %U", SECRET))
        self.await_both(attic, cellar)
        mesh.wait(SECONDS, "mDNS", lambda: "mDNS" in attic.run("tessera", "status"))

    def answer(self, attic, cellar):
        """A model that is added at one is answered at the other, with the right bits."""
        attic.run("tessera", "model", "add", "/srv/digits-cnn.onnx", "--mode", "even", "--allow",
                  "single")
        cellar.run("tessera", "infer", "digits-cnn", "--input", "image=/srv/images.npy",
                   "--output-dir", "/tmp/out")
        path = os.path.join(self.folder, "logits.npy")
        with open(path, "wb") as file:
            file.write(base64.b64decode(cellar.run("base64", "/tmp/out/logits.npy")))
        logits = [item.data for item in support.kserve.load(path).items()]
        self.assertEqual(support.expected(), logits)

    def look(self, attic):
        """The doctor, run with all rights, looks at the service and finds what it needs."""
        found = json.loads(attic.call("tessera", "doctor", "--json").stdout)
        states = {check["check"]: check["state"] for check in found["checks"]}
        for name in ("agent", "members", "firewall", "OpenVINO", "mDNS", "peer port", "API port",
                     "data folder", "mesh secret"):
            self.assertEqual("ok", states.get(name), found)
        self.assertNotIn("failed", states.values(), found)

    def shut_in(self, attic):
        """The agent runs as its user, without rights, behind the filter of system calls."""
        status = attic.run("cat", f"/proc/{attic.main_process()}/status")
        for line in ("NoNewPrivs:\t1", "Seccomp:\t2", "CapBnd:\t0000000000000000"):
            self.assertIn(line + "\n", status)
        user = attic.run("id", "-u", "tessera").strip()
        self.assertIn(f"Uid:\t{user}\t", status)

    def come_back(self, attic, cellar):
        """An agent that is killed is started again; an upgrade restarts it in order."""
        before = cellar.main_process()
        # The shell's own: the system has no other.
        cellar.run("sh", "-c", f"kill -KILL {before}")
        mesh.wait(SECONDS, "another process", lambda: cellar.main_process() not in ("0", before))
        self.await_both(attic, cellar)
        before = attic.main_process()
        attic.run("dpkg", "-i", "/srv/tessera.deb")
        self.assertNotIn(attic.main_process(), ("0", before))
        self.await_both(attic, cellar)

    def exchange(self, attic, cellar):
        """The secret is exchanged; `systemctl reload` has it read at once."""
        before = [device.main_process() for device in (attic, cellar)]
        attic.run("tessera", "mesh", "accept", "--new")
        cellar.run("tessera", "mesh", "accept", text=attic.run("cat", SECRET))
        for step in ("use", "drop"):
            for device in (attic, cellar):
                device.run("tessera", "mesh", step)
                count = device.journal().count("uses=")
                device.run("systemctl", "reload", "tessera")
                mesh.wait(SECONDS, "it is read", lambda: device.call(
                    "tessera", "members").returncode == 0 and count <= device.journal().count(
                        "uses="))
        self.await_both(attic, cellar)
        self.assertEqual(before, [device.main_process() for device in (attic, cellar)])

    def go(self, attic, cellar):
        """Removed, the agent leaves in order and its data stays; purged, nothing stays."""
        cellar.run("apt-get", "-q", "-y", "remove", "tessera")
        mesh.wait(SECONDS, "the other saw it leave", lambda: re.search(
            r"^cellar .* left ", attic.run("tessera", "members"), re.M))
        cellar.run("test", "-e", SECRET, "-a", "-e", "/etc/tessera/agent.yaml")
        cellar.run("test", "!", "-e", "/usr/bin/tessera")
        cellar.run("apt-get", "-q", "-y", "purge", "tessera")
        for path in ("/var/lib/tessera", "/etc/tessera", "/lib/systemd/system/tessera.service",
                     "/usr/lib/tessera"):
            cellar.run("test", "!", "-e", path)


if __name__ == "__main__":
    unittest.main()
