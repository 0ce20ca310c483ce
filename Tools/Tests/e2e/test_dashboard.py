"""The dashboard of a live mesh in a real browser."""

import http.client
import http.server
import json
import os
import threading
import unittest

import numpy

import browser
import support
import test_image
from support import load, mesh

# Text if it is treated as such; else it would change the page's title.
HOSTILE = "<img src=x onerror=document.title='owned'>"
NAMES = ["kitchen", "cellar", "attic", "garage"]
TOKEN = "a token of 24 characters"
# Where the pictures of Docs/Dashboard.md go, if they are wanted (Docs/images).
PICTURES = os.environ.get("TESSERA_PICTURES")

# Pairs of words in the drawing that lie over each other.
OVERLAPS = """(() => {
  const texts = [...document.querySelectorAll("#graph svg text")].filter((text) =>
    text.textContent && getComputedStyle(text).visibility === "visible");
  const boxes = texts.map((text) => text.getBBox());
  const found = [];
  boxes.forEach((one, first) => boxes.slice(first + 1).forEach((other, offset) => {
    if (one.x < other.x + other.width && other.x < one.x + one.width
        && one.y < other.y + other.height && other.y < one.y + one.height) {
      found.push(`${texts[first].textContent} | ${texts[first + 1 + offset].textContent}`);
    }
  }));
  return found;
})()"""
# Every text's contrast with what is behind it, as WCAG 2 counts it: those below the ratio for text.
CONTRASTS = """(() => {
  const parse = (text) => (text.match(/[0-9.]+/g) ?? []).map(Number);
  const light = (rgb) => rgb.slice(0, 3).map((value) => value / 255)
    .map((value) => (value <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4))
    .reduce((sum, value, index) => sum + value * [0.2126, 0.7152, 0.0722][index], 0);
  const ground = (element) => {
    for (let one = element; one; one = one.parentElement) {
      const color = parse(getComputedStyle(one).backgroundColor);
      if (color.length === 3 || color[3] === 1) return color;
    }
    return [255, 255, 255];
  };
  const found = [];
  for (const element of document.querySelectorAll("body *")) {
    const own = [...element.childNodes].some((node) =>
      node.nodeType === Node.TEXT_NODE && node.textContent.trim());
    if (!own || !element.checkVisibility() || element.closest("option")) continue;
    if (element.tagName === "title") continue;
    const style = getComputedStyle(element);
    const isDrawn = element instanceof SVGElement;
    const one = light(parse(isDrawn ? style.fill : style.color));
    const other = light(ground(element));
    const ratio = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
    if (ratio < 4.5) found.push(`${ratio.toFixed(2)}: ${element.textContent.slice(0, 40)}`);
  }
  return found;
})()"""

# Controls without a label, pictures without words, and tables without heads.
UNLABELLED = """[
  ...[...document.querySelectorAll("select, input")].filter((one) => one.labels.length === 0),
  ...document.querySelectorAll("img:not([alt]), svg[role=img]:not([aria-label])"),
  ...[...document.querySelectorAll("table")].filter((one) => !one.querySelector("th[scope=col]")),
  ...[...document.querySelectorAll("button, summary")].filter((one) => !one.innerText.trim()),
].map((one) => one.outerHTML.slice(0, 80))"""


class Impostor:
    """A server with an agent's dashboard, and with an agent's stream in which all names are hostile.

    Agents take no such names; a page must not rest on that. Use it with `with`.
    """

    def __init__(self, agent):
        source = agent

        def spoil(value, key=""):
            if isinstance(value, dict):
                # What the page tells things apart by stays.
                return {name: spoil(one, name) for name, one in value.items()}
            if isinstance(value, list):
                return [spoil(one, key) for one in value]
            is_word = isinstance(value, str) and key not in ("id", "from", "to", "status", "kind")
            return HOSTILE if is_word else value

        class Handler(http.server.BaseHTTPRequestHandler):
            """Passes on the files and spoils the stream."""

            def log_message(self, *_):
                """Says nothing."""

            def do_GET(self):
                """Answers the page."""
                connection = http.client.HTTPConnection(source.host, source.port, timeout=30)
                connection.request("GET", self.path)
                answer = connection.getresponse()
                self.send_response(answer.status)
                for name, value in answer.getheaders():
                    if name.lower() not in ("transfer-encoding", "connection", "content-length"):
                        self.send_header(name, value)
                self.end_headers()
                try:
                    if not self.path.endswith("/stream"):
                        self.wfile.write(answer.read())
                        return
                    for line in answer:
                        if line.startswith(b"data: "):
                            document = json.loads(line[6:])
                            if isinstance(document, dict):
                                document["status"]["health"] = [HOSTILE]
                            line = b"data: " + json.dumps(spoil(document)).encode() + b"\n"
                        self.wfile.write(line)
                        self.wfile.flush()
                except OSError:
                    pass  # The page has gone.
                finally:
                    connection.close()

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.api = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


@unittest.skipUnless(browser.program(), browser.MISSING)
class Dashboard(support.Case):
    """What a person sees who opens an agent in a browser."""

    def open(self, page, agent):
        """Opens an agent's dashboard and waits until it shows the agent."""
        page.open(agent.api + "/")
        mesh.wait(30, lambda: f"the page shows {agent.name}: {page.text()[:300]}",
                  lambda: agent.name in page.text("#place") and page.text("#state") == "ready")

    def names(self, page):
        """The members in the page's table, with their statuses."""
        return page.evaluate(
            "Object.fromEntries([...document.querySelectorAll('#members tbody tr')].map((row) =>"
            "[row.querySelector('th').textContent.replace(' (this agent)', ''),"
            " row.querySelector('.tag').textContent]))")

    def stages(self, page):
        """The nodes of each stage in the page's plan."""
        return page.evaluate("[...document.querySelectorAll('.stages .who')]"
                             ".map((who) => who.textContent.split(', '))")

    def assert_quiet(self, page, agent):
        """Nothing went wrong in the page, and it asked nobody but its agent."""
        page.drain()
        self.assertEqual([], page.errors)
        self.assertEqual([], page.console)
        foreign = [url for url in page.requests if url != "about:blank"
                   and not url.startswith((agent.api + "/", "blob:" + agent.api + "/"))]
        self.assertEqual([], foreign)

    def picture(self, page, name):
        """Keeps what is on the screen, if that is wanted."""
        if PICTURES:
            page.screenshot(os.path.join(PICTURES, f"dashboard-{name}.png"))

    def test_live(self):
        """Members, plan, rates and events of a live mesh; then one agent is killed."""
        with mesh.Mesh(NAMES) as agents:
            entry = agents["kitchen"]
            entry.add(support.CNN, support.file(support.CNN), "--mode", "even")
            agents.await_spread(support.CNN)
            work = load.Load([entry], support.CNN, support.images(), 2, per_second=40).start()
            with browser.Browser() as page:
                page.size(1280, 1000)
                self.open(page, entry)
                self.sees_the_mesh(page, agents)
                agents["garage"].kill()
                mesh.wait(30, lambda: f"the page shows the loss: {self.names(page)}",
                          lambda: self.names(page).get("garage") == "dead")
                mesh.wait(30, lambda: f"the page shows the next plan: {self.stages(page)}",
                          lambda: self.stages(page)
                          and all("garage" not in nodes for nodes in self.stages(page)))
                self.assertIn("lost or suspect", page.text("#tiles"))
                mesh.wait(20, "the loss is in the events",
                          lambda: "lossDetected" in page.text("#events"))
                self.assert_quiet(page, entry)
            self.assert_all_right(work.stop())

    def sees_the_mesh(self, page, agents):
        """The page shows what the API says."""
        entry = agents["kitchen"]
        mesh.wait(20, lambda: f"all members: {self.names(page)}",
                  lambda: self.names(page) == {name: "alive" for name in agents.agents})
        drawn = page.evaluate("[...document.querySelectorAll('#graph .node > title')]"
                              ".map((title) => title.textContent)")
        self.assertEqual(4, len(drawn), drawn)

        def agree():
            plan = entry.plan(support.CNN)
            return plan and self.stages(page) == [stage["nodes"] for stage in plan["stages"]]
        mesh.wait(20, lambda: f"the plan: {self.stages(page)}", agree)
        self.assertEqual(1, page.evaluate("document.querySelectorAll('.stages .limits').length"))
        self.assertIn("bottleneck", page.text(".stages"))
        # From the entry through the stages and back to the entry.
        self.assertGreaterEqual(page.evaluate("document.querySelectorAll('#graph .flow').length"), 4)
        mesh.wait(20, "answers per second",
                  lambda: float(page.text("#rate-now").removesuffix("/s") or 0) > 5)
        mesh.wait(20, "requests that move",
                  lambda: page.evaluate("document.querySelectorAll('.flow.moves').length") >= 4)
        mesh.wait(20, "the time of an answer", lambda: page.text("#time-now").endswith(" ms"))
        mesh.wait(20, "a measured stage", lambda: "measured," in page.text(".stages"))
        mesh.wait(20, "a measured link",
                  lambda: "B/s" in page.evaluate("document.querySelector('#links').textContent"))
        self.assertIn("decided", page.text("#history"))
        page.evaluate("(() => { const kind = document.querySelector('#kind'); kind.value = 'member';"
                      "kind.dispatchEvent(new Event('change', { bubbles: true })); })()")
        shown = set(page.evaluate(
            "[...document.querySelectorAll('#events .kind')].map((kind) => kind.textContent)"))
        self.assertEqual({"member: "}, shown)
        page.evaluate("(() => { const kind = document.querySelector('#kind'); kind.value = '';"
                      "kind.dispatchEvent(new Event('change', { bubbles: true })); })()")

    def test_layouts(self):
        """Desktop and phone, light and dark: nothing is cut off, all is readable and labelled."""
        with mesh.Mesh(NAMES) as agents:
            entry = agents["kitchen"]
            entry.add(support.CNN, support.file(support.CNN), "--mode", "even", "--image", "grey",
                      "--image-scale", "255")
            agents.await_spread(support.CNN)
            scan = os.path.join(agents.folder, "scan.png")
            with open(scan, "wb") as file:
                pixels = numpy.load(support.IMAGES)[2, 0] * 255
                file.write(test_image.png(pixels.round().astype(numpy.uint8)))
            work = load.Load([entry], support.CNN, support.images(), 4, per_second=60).start()
            with browser.Browser() as page:
                page.size(1280, 1000)
                self.open(page, entry)
                mesh.wait(20, "figures", lambda: page.text("#time-now").endswith(" ms")
                          and "measured," in page.text(".stages"))
                test_image.Images.choose(page, scan)
                mesh.wait(20, "what the model sees", lambda: page.text("#answer .classes li"))
                grounds = set()
                for name, width, height, is_dark in (
                        ("light", 1280, 1000, False), ("dark", 1280, 1000, True),
                        ("phone", 360, 780, False), ("phone-dark", 360, 780, True)):
                    page.size(width, height, is_dark, is_phone=width < 600)
                    mesh.wait(10, "the drawing fits", lambda: page.evaluate(
                        "document.querySelector('#graph svg').viewBox.baseVal.width"
                        " <= document.documentElement.clientWidth"))
                    self.assertEqual(width, page.evaluate("document.documentElement.scrollWidth"),
                                     f"{name} is wider than its screen")
                    self.assertEqual([], page.evaluate(CONTRASTS), name)
                    self.assertEqual([], page.evaluate(UNLABELLED), name)
                    self.assertEqual([], page.evaluate(OVERLAPS), name)
                    grounds.add(page.evaluate("getComputedStyle(document.body).backgroundColor"))
                    self.picture(page, name)
                self.assertEqual(2, len(grounds), "light and dark look the same")
                self.reached_by_keyboard(page)
                self.assert_quiet(page, entry)
            self.assert_all_right(work.stop())

    def reached_by_keyboard(self, page):
        """Tab goes to every control in the order of the page, and a chart is read with arrows."""
        page.size(1280, 1000)
        page.evaluate("document.activeElement.blur()")
        seen = []
        for _ in range(40):
            page.key("Tab")
            seen.append(page.evaluate(
                "document.activeElement.id || document.activeElement.getAttribute('class')"
                " || document.activeElement.tagName"))
            if seen[-1] == "chart":
                page.key("ArrowLeft")
                words = page.evaluate("document.activeElement.nextElementSibling.textContent")
                self.assertRegex(words, r"^\d\d:\d\d:\d\d: ")
            if seen[-1] == "events":
                break
        wanted = ["skip", "model", "SUMMARY", "chart", "history", "kind", "events"]
        self.assertEqual(wanted, [name for name in dict.fromkeys(seen) if name in wanted])

    def test_hostile_names(self):
        """Whatever a name or a text of the mesh is, it is text in the page."""
        with mesh.Mesh("ab") as agents:
            agents["a"].add(support.CNN, support.file(support.CNN), "--mode", "even")
            agents.await_spread(support.CNN)
            with Impostor(agents["a"]) as impostor, browser.Browser() as page:
                page.size(1280, 1000)
                page.open(impostor.api + "/")
                mesh.wait(30, lambda: f"the page shows the names: {page.text()[:300]}",
                          lambda: HOSTILE in page.text("#members"))
                for part in ("#place", "#members", "#plan", "#notices", "#graph svg", "#events"):
                    self.assertIn("<img src=x", page.evaluate(
                        f"document.querySelector('{part}').textContent"), part)
                self.assertIn(HOSTILE, page.evaluate("document.querySelector('#model').value"))
                self.assertEqual(0, page.evaluate(
                    "[...document.images].filter((one) => one.getAttribute('src') === 'x').length"))
                # Even markup could do nothing: the policy forbids it, and says so.
                page.evaluate(
                    f"document.querySelector('#notices').innerHTML = {json.dumps(HOSTILE)}")
                mesh.wait(10, "the policy forbids it", lambda: page.drain() or any(
                    "Content Security Policy" in text for _, text in page.console))
                self.assertNotEqual("owned", page.evaluate("document.title"))
                self.assertEqual([], page.errors)

    def test_agent_stops(self):
        """An open page does not hold up an agent that leaves, and finds it again."""
        with mesh.Mesh("a", discovery="none") as agents:
            agent = agents["a"]
            with browser.Browser() as page:
                self.open(page, agent)
                self.assertIn("no model yet", page.text("#plan"))
                port = agent.port
                code, seconds = agent.leave()
                self.assertEqual(0, code)
                self.assertLess(seconds, 15)
                mesh.wait(20, "the page says so", lambda: page.text("#state") == "no connection")
                self.assertIn("No connection to the agent", page.text("#notices"))
                # The page stays where it is.
                agent.flags = {**agent.flags, "api": f"127.0.0.1:{port}"}
                agent.start().await_ready()
                mesh.wait(20, "the page is back", lambda: page.text("#state") == "ready")
                self.assertEqual("", page.text("#notices"))

    def test_right(self):
        """Who may only look sees the mesh, and is asked for a token when he asks a model."""
        agents = mesh.Mesh([], discovery="none", api_anonymous="read")
        try:
            agent = agents.make("a").start().await_ready()
            token = mesh.check("token", "add", "asker", "--data-dir", agent.folder).out.strip()
            agent.add(support.CNN, support.file(support.CNN), "--image", "grey",
                      "--image-scale", "255", "--copies", "1")
            ask = ("(() => { const data = new DataTransfer();"
                   "data.items.add(new File(['no image'], 'x.png'));"
                   "const file = document.querySelector('#file'); file.files = data.files;"
                   "file.dispatchEvent(new Event('change')); })()")
            with browser.Browser() as page:
                self.open(page, agent)
                mesh.wait(30, "the model can be asked",
                          lambda: page.evaluate("!document.querySelector('#try').hidden"))
                self.assertTrue(page.evaluate("document.querySelector('#token-form').hidden"))
                page.evaluate(ask)
                mesh.wait(20, "a token is asked for", lambda: not page.evaluate(
                    "document.querySelector('#token-form').hidden"))
                self.assertIn("needs a token", page.text("#answer"))
                mesh.wait(10, "the token is known", lambda: agent.client().call(
                    "POST", "/v2/models/none/infer",
                    headers={"Authorization": f"Bearer {token}"})[0] == 404)
                page.evaluate(f"document.querySelector('#token').value = '{token}';"
                              "document.querySelector('#token-form button').click()")
                page.evaluate(ask)
                mesh.wait(20, "the file is looked at",
                          lambda: "neither a PNG nor a JPEG" in page.text("#answer"))
                self.assertEqual([], page.errors)
        finally:
            agents.close()

    def test_token(self):
        """A page of an agent with a token asks for it, and again if it was wrong."""
        agents = mesh.Mesh([], discovery="none")
        try:
            path = os.path.join(agents.folder, "token")
            with open(path, "w", encoding="utf-8") as file:
                file.write(TOKEN.replace(" ", "-") + "\n")
            agent = agents.make("a", api_token_file=path).start().await_ready()
            with browser.Browser() as page:
                page.open(agent.api + "/")
                mesh.wait(20, "a token is asked for", lambda: page.text("#state") == "needs a token")
                for word, state in (("wrong-token-wrong-token", "needs a token"),
                                    (TOKEN.replace(" ", "-"), "ready")):
                    page.evaluate(
                        f"document.querySelector('#token').value = '{word}';"
                        "document.querySelector('#token-form button').click()")
                    mesh.wait(20, f"the page is {state}", lambda: page.text("#state") == state)
                self.assertTrue(page.evaluate("document.querySelector('#token-form').hidden"))
                self.assertEqual([], page.errors)
        finally:
            agents.close()


if __name__ == "__main__":
    unittest.main()
