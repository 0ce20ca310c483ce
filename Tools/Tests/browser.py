"""A headless Chromium, driven over its DevTools protocol through a pair of pipes.

Needs nothing but the browser: no driver, no package, no port.
"""

import base64
import json
import os
import select
import shutil
import signal
import subprocess
import tempfile
import time

# Debian's name, those of other systems, and whatever the machine's owner says.
NAMES = ["chromium", "chromium-browser", "google-chrome", "chrome"]
REPLY_SECONDS = 60


def program():
    """Where a Chromium is; None if the machine has none."""
    chosen = os.environ.get("TESSERA_BROWSER")
    found = [chosen] if chosen else [shutil.which(name) for name in NAMES]
    return next((path for path in found if path), None)


MISSING = ("there is no Chromium: Tools/setup --tests installs Debian's; elsewhere set "
           "TESSERA_BROWSER to the program")


class BrowserError(AssertionError):
    """The browser did not do what it was told."""


class Browser:
    """One browser with one page. Use it with `with`."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="tessera-browser-")
        self._buffer = b""
        self._next = 1
        self._session = None
        # What the page asked for, said and threw.
        self.requests, self.console, self.errors = [], [], []
        self.responses = {}

    def __enter__(self):
        to_browser, self._write = os.pipe()
        self._read, from_browser = os.pipe()

        def plumb():
            # The browser reads from 3 and writes to 4; first out of each other's way.
            ends = [os.dup(to_browser), os.dup(from_browser)]
            ends = [end if end > 4 else os.dup(end) for end in ends]
            os.dup2(ends[0], 3)
            os.dup2(ends[1], 4)
        flags = ["--headless=new", "--remote-debugging-pipe", "--disable-gpu", "--no-first-run",
                 "--disable-background-networking", "--disable-component-update", "--disable-sync",
                 "--disable-default-apps", "--disable-extensions", "--disable-dev-shm-usage",
                 "--hide-scrollbars", "--lang=en-US", "--no-proxy-server",
                 f"--user-data-dir={self.folder}"]
        if os.geteuid() == 0:
            # Its sandbox does not work for root; the pages are our own.
            flags.append("--no-sandbox")
        self.log = open(os.path.join(self.folder, "log"), "wb")
        self.process = subprocess.Popen(
            [program(), *flags, "about:blank"], preexec_fn=plumb, close_fds=False,
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, start_new_session=True,
            env={**os.environ, "LANG": "C.UTF-8", "HOME": self.folder})
        os.close(to_browser)
        os.close(from_browser)
        try:
            target = self.call("Target.createTarget", url="about:blank")["targetId"]
            self._session = self.call(
                "Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
            for domain in ("Page", "Runtime", "Network", "Log"):
                self.call(f"{domain}.enable")
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """Ends the browser with all its processes, by the group that was started for it."""
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()
        os.close(self._write)
        os.close(self._read)
        self.log.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    # Messages.

    def call(self, method, **parameters):
        """Calls a method of the protocol and gives its result."""
        number, self._next = self._next, self._next + 1
        message = {"id": number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        deadline = time.monotonic() + REPLY_SECONDS
        while True:
            reply = self._receive(deadline - time.monotonic())
            if reply is None:
                raise BrowserError(f"no reply to {method} within {REPLY_SECONDS} s")
            if reply.get("id") == number:
                if "error" in reply:
                    raise BrowserError(f"{method}: {reply['error']['message']}")
                return reply["result"]

    def _receive(self, seconds):
        """The next message, with what it tells noted; None if none comes in time."""
        deadline = time.monotonic() + seconds
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._read], [], [], max(0, deadline - time.monotonic()))
            if not ready:
                return None
            chunk = os.read(self._read, 1 << 16)
            if not chunk:
                with open(self.log.name, "rb") as log:
                    raise BrowserError(f"the browser ended: {log.read()[-2000:].decode()}")
            self._buffer += chunk
        text, self._buffer = self._buffer.split(b"\0", 1)
        message = json.loads(text)
        self._note(message.get("method"), message.get("params", {}))
        return message

    def _note(self, method, parameters):
        if method == "Network.requestWillBeSent":
            self.requests.append(parameters["request"]["url"])
        elif method == "Network.responseReceived":
            response = parameters["response"]
            self.responses[response["url"]] = response
        elif method == "Runtime.exceptionThrown":
            details = parameters["exceptionDetails"]
            self.errors.append(details.get("exception", {}).get("description", details["text"]))
        elif method == "Runtime.consoleAPICalled":
            words = [str(value.get("value", value.get("description")))
                     for value in parameters["args"]]
            self.console.append((parameters["type"], " ".join(words)))
        elif method == "Log.entryAdded":
            entry = parameters["entry"]
            self.console.append((entry["level"], f"{entry['text']} {entry.get('url', '')}"))

    def drain(self):
        """Takes in what the page told meanwhile."""
        while self._receive(0) is not None:
            pass

    # The page.

    def size(self, width, height, is_dark=False, is_phone=False):
        """Makes the screen so large, light or dark."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height,
                  deviceScaleFactor=1, mobile=is_phone)
        self.call("Emulation.setEmulatedMedia", features=[
            {"name": "prefers-color-scheme", "value": "dark" if is_dark else "light"}])

    def open(self, url):
        """Goes to a page."""
        result = self.call("Page.navigate", url=url)
        if "errorText" in result:
            raise BrowserError(f"{url}: {result['errorText']}")

    def evaluate(self, expression):
        """The value of an expression in the page, awaited."""
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True,
                           awaitPromise=True)
        if "exceptionDetails" in result:
            raise BrowserError(f"{expression}: {result['exceptionDetails']}")
        return result["result"].get("value")

    def text(self, selector="body"):
        """What the page shows in an element; empty if there is none."""
        return self.evaluate(f"document.querySelector({json.dumps(selector)})?.innerText ?? ''")

    def key(self, name):
        """Presses a key, such as Tab or ArrowLeft."""
        codes = {"Tab": 9, "Enter": 13, "Escape": 27, "ArrowLeft": 37, "ArrowRight": 39}
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=name, code=name,
                      windowsVirtualKeyCode=codes[name])

    def screenshot(self, path, whole=False):
        """Writes what is on the screen, or the whole page, as a PNG."""
        picture = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        with open(path, "wb") as file:
            file.write(base64.b64decode(picture["data"]))
