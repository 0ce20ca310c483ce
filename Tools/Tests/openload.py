"""Requests on a timetable that no slow answer delays: as many at once as it takes."""

import asyncio
import json
import math
import threading
import time

import kserve


class Record:
    """One request as its client saw it."""

    __slots__ = ("item", "sent", "ended", "status", "logits", "retry_after")

    def __init__(self, item, sent):
        self.item, self.sent = item, sent
        self.ended = self.status = self.logits = self.retry_after = None


class OpenLoad:
    """Sends `per_second` requests to entries in turn, whatever becomes of them.

    `per_second` may be changed meanwhile. Status 0 stands for a connection that broke."""

    def __init__(self, entries, model, items, per_second, deadline_seconds, input_name="image"):
        self.entries, self.model, self.items = list(entries), model, items
        self.per_second, self.deadline_seconds = per_second, deadline_seconds
        self.records, self.late, self._stop, self._idle = [], 0, False, {}
        self._bodies = [self._body(input_name, item) for item in items]
        self._thread = threading.Thread(target=lambda: asyncio.run(self._work()), daemon=True)

    def start(self):
        """Begins."""
        self._thread.start()
        return self

    def stop(self):
        """Sends no more, waits for what is open, gives all records."""
        self._stop = True
        self._thread.join()
        return self.records

    def _body(self, name, array):
        assert len(array.data) == math.prod(array.shape) * kserve.TYPES[array.descr][1]
        header = {"inputs": [{
            "name": name, "datatype": kserve.TYPES[array.descr][0], "shape": list(array.shape),
            "parameters": {"binary_data_size": len(array.data)}}],
            "parameters": {"binary_data_output": True,
                           "timeout": round(self.deadline_seconds * 1e6)}}
        text = json.dumps(header).encode()
        return text + array.data, len(text)

    async def _work(self):
        open_requests, due, number = set(), time.monotonic(), 0
        while not self._stop:
            await asyncio.sleep(max(0, due - time.monotonic()))
            # A client that cannot keep up says so, and does not make up for it with a burst.
            if time.monotonic() - due > 1:
                self.late += 1
                due = time.monotonic()
            due += 1 / self.per_second
            item = number % len(self.items)
            task = asyncio.create_task(
                self._request(self.entries[number % len(self.entries)], item))
            number += 1
            open_requests.add(task)
            task.add_done_callback(open_requests.discard)
        if open_requests:
            await asyncio.wait(open_requests)
        for idle in self._idle.values():
            for _, writer in idle:
                writer.close()

    async def _request(self, agent, item):
        record = Record(item, time.monotonic())
        try:
            record.status, record.retry_after, record.logits = await asyncio.wait_for(
                self._call(agent, item), self.deadline_seconds + 10)
        except (OSError, ValueError, asyncio.IncompleteReadError, asyncio.TimeoutError):
            record.status = 0
        record.ended = time.monotonic()
        self.records.append(record)

    async def _call(self, agent, item):
        idle = self._idle.setdefault(agent.name, [])
        reader, writer = idle.pop() if idle else await asyncio.open_connection(
            agent.host, agent.port)
        try:
            body, length = self._bodies[item]
            writer.write((f"POST /v2/models/{self.model}/infer HTTP/1.1\r\n"
                          f"Host: {agent.host}:{agent.port}\r\n"
                          f"{kserve.LENGTH_FIELD}: {length}\r\n"
                          "Content-Type: application/octet-stream\r\n"
                          f"Content-Length: {len(body)}\r\n\r\n").encode() + body)
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin1").split("\r\n")
            fields = dict(line.lower().split(": ", 1) for line in head[1:] if line)
            answer = await reader.readexactly(int(fields["content-length"]))
        except BaseException:
            writer.close()
            raise
        idle.append((reader, writer))
        status, retry_after = int(head[0].split()[1]), fields.get("retry-after")
        if status != 200:
            return status, retry_after, None
        return status, retry_after, answer[int(fields[kserve.LENGTH_FIELD.lower()]):]
