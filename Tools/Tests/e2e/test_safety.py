"""Who may call an agent's API, and what its limits and secrets are worth."""

import os
import unittest

import support
from support import mesh


class Tokens(support.Case):
    """Tokens made, used, and taken away while the agent runs."""

    def token(self, agent, *arguments):
        """Runs `tessera token` on an agent's file."""
        return mesh.check("token", *arguments, "--data-dir", agent.folder).out

    def status(self, agent, token, method="GET", path="/tessera/v1/status"):
        """What the agent answers to who presents a token."""
        client = agent.client()
        try:
            headers = {"Authorization": f"Bearer {token}"} if token else {}
            return client.call(method, path, headers=headers)[0]
        finally:
            client.close()

    def test_life(self):
        """An agent beyond loopback needs a token before it starts; later ones hold at once."""
        agents = mesh.Mesh([], discovery="none")
        try:
            agent = agents.make("a", api="0.0.0.0:0")
            agent.start()
            self.assertEqual(64, agent.process.wait(30), agent.tail())
            agent._ended()
            for word in ("tessera token add", "--api-anonymous", "beyond this machine"):
                self.assertIn(word, agent.tail())
            reader = self.token(agent, "add", "grafana", "--right", "read").strip()
            self.assertRegex(reader, "^[0-9a-f]{64}$")
            agent.start().await_ready()
            agent.host = "127.0.0.1"
            self.assertEqual([401, 401, 200], [
                self.status(agent, token) for token in (None, "f" * 64, reader)])
            drain = ("POST", "/tessera/v1/drain")
            self.assertEqual([401, 403], [
                self.status(agent, token, *drain) for token in (None, reader)])
            # The agent's user needs to name no token, whatever the agent listens on.
            home = {"TESSERA_DATA_DIR": agent.folder}
            mesh.check("status", "--api", agent.api, environment=home)
            self.assert_fails(mesh.run("status", "--api", agent.api), 1, "token")
            # Another machine's agent does not get to see it.
            self.assert_fails(
                mesh.run("drain", "--api", "http://192.0.2.1:8700", environment=home), 1,
                "an agent of another machine")

            path = os.path.join(agents.folder, "operator")
            self.token(agent, "add", "operator", "--right", "admin", "--output", path)
            self.assertEqual(0o600, os.stat(path).st_mode & 0o777)
            with open(path, encoding="ascii") as file:
                operator = file.read().strip()
            mesh.wait(10, "the new token is known", lambda: self.status(agent, operator) == 200)
            listed = self.token(agent, "list")
            self.assertRegex(listed, r"(?m)^grafana +read +\d{4}-\d\d-\d\dT")
            self.assertRegex(listed, r"(?m)^operator +admin +")
            with open(os.path.join(agent.folder, "api.tokens"), encoding="ascii") as file:
                kept = file.read()
            for text in (reader, operator):
                self.assertNotIn(text, listed + kept)
            twice = mesh.run("token", "add", "operator", "--data-dir", agent.folder)
            self.assert_fails(twice, 1, "already")
            self.token(agent, "remove", "grafana")
            mesh.wait(10, "the old token is refused", lambda: self.status(agent, reader) == 401)
            # A file that cannot be read changes nothing.
            with open(os.path.join(agent.folder, "api.tokens"), "a", encoding="ascii") as file:
                file.write("nonsense\n")
            mesh.wait(10, "the agent says what is wrong", lambda: "line 2 of" in agent.tail())
            self.assertEqual(200, self.status(agent, operator))
            mesh.check("drain", "--api", agent.api, "--token-file", path)
            self.assertEqual(0, agent.process.wait(mesh.LEAVE_SECONDS))
            agent._ended()
            agent.start()
            self.assertEqual(1, agent.process.wait(30))
            agent._ended()
            self.assertIn("line 2 of", agent.tail())
        finally:
            agents.close()

    def test_admin_token(self):
        """The admin token outlives a restart, can be exchanged, and is made anew if others may
        have read it."""
        agents = mesh.Mesh([], discovery="none")
        self.addCleanup(agents.close)
        agent = agents.make("a").start().await_ready()

        def read():
            with open(agent.token_file, encoding="ascii") as file:
                return file.read().strip()

        def may_change(token):
            return self.status(agent, token, "DELETE", "/tessera/v1/models/none") == 404
        first = read()
        self.assertRegex(first, "^[0-9a-f]{64}$")
        for end in (agent.kill, agent.leave):
            end()
            agent.start().await_ready()
            self.assertEqual(first, read())
            self.assertTrue(may_change(first))
        self.token(agent, "rotate")
        second = read()
        self.assertNotEqual(first, second)
        mesh.wait(10, "the new token is known", lambda: may_change(second))
        self.assertFalse(may_change(first))
        # What is no token changes nothing, and neither does none.
        os.remove(agent.token_file)
        mesh.wait(10, "it says so", lambda: agent.said("the tokens of the API stay"))
        self.assertTrue(may_change(second))
        self.assert_fails(mesh.run("token", "rotate", "--data-dir", agent.folder), 2, "first start")
        agent.leave()
        for text, mode in ((second, 0o644), ("x" * 64, 0o600)):
            with open(agent.token_file, "w", encoding="ascii") as file:
                file.write(text)
            os.chmod(agent.token_file, mode)
            agent.start().await_ready()
            self.assertTrue(agent.said("makes a new admin token", "tessera token rotate"))
            self.assertNotIn(read(), (first, second, text))
            self.assertEqual(0o600, os.stat(agent.token_file).st_mode & 0o777)
            self.assertTrue(may_change(read()))
            agent.leave()

    def test_anonymous(self):
        """Who says so serves beyond loopback without tokens, but nobody changes anything."""
        agents = mesh.Mesh([], discovery="none")
        try:
            agent = agents.make("a", api="0.0.0.0:0", api_anonymous="read").start().await_ready()
            agent.host = "127.0.0.1"
            self.assertEqual(200, self.status(agent, None))
            infer = "/v2/models/none/infer"
            self.assertEqual(401, self.status(agent, None, "POST", infer))
            self.assertEqual(401, self.status(agent, None, "POST", "/tessera/v1/drain"))
            closed = agents.make("b", api_anonymous="none").start().await_ready()
            self.assertEqual(401, self.status(closed, None))
            result = mesh.run("agent", "--api-anonymous", "admin", "--print-config")
            self.assert_fails(result, 64, "none, read or infer")
        finally:
            agents.close()


if __name__ == "__main__":
    unittest.main()
