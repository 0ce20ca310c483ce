"""Manual pages and completions, as Tools/manuals makes them."""

import os
import re
import shutil
import subprocess
import tempfile
import unittest

import support
from support import mesh

COMMANDS = ("agent", "check", "doctor", "drain", "events", "infer", "members", "mesh", "model",
            "plan", "simulate", "status", "token", "top", "version")


class Manuals(support.Case):
    """The output of one run of the tool."""

    @classmethod
    def setUpClass(cls):
        """Runs it."""
        cls.folder = tempfile.mkdtemp(prefix="tessera-manuals-")
        subprocess.run([os.path.join(mesh.ROOT, "Tools", "manuals"), "--program", mesh.TESSERA,
                        cls.folder], check=True)
        cls.pages = os.path.join(cls.folder, "man", "man1")

    @classmethod
    def tearDownClass(cls):
        """Removes what it made."""
        shutil.rmtree(cls.folder, ignore_errors=True)

    def test_every_command(self):
        """Each command has a page that names each of its options."""
        names = set(os.listdir(self.pages))
        self.assertLessEqual({f"tessera-{name}.1" for name in COMMANDS} | {"tessera.1"}, names)
        for name in sorted(names):
            words = name.removesuffix(".1").split("-")
            with open(os.path.join(self.pages, name), encoding="utf-8") as file:
                text = file.read()
            help_text = mesh.check(*words[1:], "--help").out
            options = set(re.findall(r"^  (?:-\w, )?(--[a-z-]+)", help_text, re.MULTILINE))
            for option in options:
                self.assertIn(option.replace("-", "\\-"), text, name)
            for part in ("NAME", "SYNOPSIS", "OPTIONS", "SEE ALSO"):
                self.assertIn(f".SH {part}\n", text, name)

    @unittest.skipUnless(shutil.which("man"), "no man")
    def test_pages_are_right(self):
        """man shows every page without a warning."""
        for name in sorted(os.listdir(self.pages)):
            result = subprocess.run(
                ["man", "--warnings", "-l", os.path.join(self.pages, name)],
                capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL,
                env={**os.environ, "MANWIDTH": "80", "LC_ALL": "C.UTF-8", "MANPAGER": "cat"})
            self.assertEqual((0, ""), (result.returncode, result.stderr), name)
            self.assertIn(name.removesuffix(".1"), result.stdout)
            self.assertNotIn("\\", result.stdout)

    @unittest.skipUnless(shutil.which("mandoc"), "no mandoc")
    def test_mandoc(self):
        """mandoc finds no error in them."""
        for name in sorted(os.listdir(self.pages)):
            subprocess.run(["mandoc", "-T", "lint", "-W", "error",
                            os.path.join(self.pages, name)], check=True)

    def test_bash(self):
        """Bash takes the completions, and they complete commands and options."""
        path = os.path.join(self.folder, "bash-completion", "tessera")
        subprocess.run(["bash", "-n", path], check=True)
        for line, word in (("tessera do", "doctor"), ("tessera doctor --da", "--data-dir"),
                           ("tessera model li", "list")):
            words = line.split(" ")
            script = (f"source '{path}'; COMP_WORDS=({line}); COMP_CWORD={len(words) - 1}; "
                      f"COMP_LINE='{line}'; COMP_POINT={len(line)}; "
                      f"_tessera tessera '{words[-1]}' '{words[-2]}'; "
                      "printf '%s\\n' \"${COMPREPLY[@]}\"")
            result = subprocess.run(["bash", "-c", script], capture_output=True, text=True,
                                    timeout=60)
            self.assertIn(word, result.stdout.split(), (line, result.stderr))

    def test_other_shells(self):
        """Zsh and fish take theirs, where they are installed."""
        checks = (["zsh", "-n", "zsh/_tessera"], ["fish", "--no-execute", "fish/tessera.fish"])
        for shell, flag, name in checks:
            path = os.path.join(self.folder, name)
            with open(path, encoding="utf-8") as file:
                self.assertIn("doctor", file.read())
            if shutil.which(shell):
                subprocess.run([shell, flag, path], check=True)

    def test_wrong_program(self):
        """A program that is not there is said."""
        result = subprocess.run(
            [os.path.join(mesh.ROOT, "Tools", "manuals"), "--program", "/no/such", self.folder],
            capture_output=True, text=True)
        self.assertNotEqual(0, result.returncode)
        self.assertIn("--program", result.stderr)


if __name__ == "__main__":
    unittest.main()
