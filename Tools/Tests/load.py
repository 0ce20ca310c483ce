"""Requests from many clients at once, each answer checked."""

import http.client
import threading
import time

import kserve

# How long after its deadline a request is still waited for.
ANSWER_SECONDS = 10


class Record:
    """One request as its client saw it."""

    __slots__ = ("entry", "item", "sent", "ended", "logits", "error", "cut_off", "plan",
                 "status", "left_out")

    def __init__(self, entry, item, sent):
        self.entry, self.item, self.sent = entry, item, sent
        self.ended = self.logits = self.error = self.plan = self.status = None
        # The branches that the answer says it does without.
        self.left_out = None
        # At how many entries that went away the request had been before.
        self.cut_off = 0


class Load:
    """Threads that send items in turn to entries in turn; an item is an array, or arrays by name.

    A request whose entry is gone (its connection is refused or breaks) is sent again to the next
    entry, as any client of several servers does; it stays one request. So does one whose entry says
    that it is leaving. Whatever else a living entry answers is final: an error from it is a lost
    request. Entries that a test has taken away are left out until it says that they are back.
    """

    def __init__(self, entries, model, items, threads=16, per_second=None, input_name="image",
                 output_name="logits", deadline=None):
        self.entries, self.model, self.items = list(entries), model, items
        self.period = threads / per_second if per_second else 0
        self.input_name, self.output_name, self.deadline = input_name, output_name, deadline
        self.records, self._lock, self._next = [], threading.Lock(), 0
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._work, args=(index,), daemon=True)
                         for index in range(threads)]

    def start(self):
        """Begins."""
        for thread in self._threads:
            thread.start()
        return self

    @property
    def count(self):
        """Requests that have ended."""
        with self._lock:
            return len(self.records)

    def stop(self):
        """Sends no more, waits for what is open, gives all records."""
        self._stop.set()
        for thread in self._threads:
            thread.join()
        return self.records

    def _work(self, index):
        clients = {}
        begin = time.monotonic() + self.period * index / len(self._threads)
        turn = index
        while not self._stop.is_set():
            if self.period:
                # On a timetable of its own: slow answers do not thin the load.
                self._stop.wait(max(0, begin - time.monotonic()))
                begin = max(begin + self.period, time.monotonic() - self.period)
            with self._lock:
                item = self._next % len(self.items)
                self._next += 1
            record = self._request(clients, turn, item)
            turn += 1
            with self._lock:
                self.records.append(record)
        for client in clients.values():
            client.close()

    def _request(self, clients, turn, item):
        record = Record(None, item, time.monotonic())
        for attempt in range(len(self.entries)):
            agent = self.entries[(turn + attempt) % len(self.entries)]
            if agent.is_away:
                continue
            record.entry, process = agent.name, agent.process
            client = clients.get(agent.name)
            if client is None or client.port != agent.port:
                client = clients[agent.name] = (
                    agent.client(self.deadline + ANSWER_SECONDS) if self.deadline
                    else agent.client())
            try:
                inputs = self.items[item]
                if not isinstance(inputs, dict):
                    inputs = {self.input_name: inputs}
                answer = client.infer(self.model, inputs, deadline=self.deadline)
                record.logits = answer.outputs[self.output_name].data
                record.plan = answer.parameters.get("tessera_plan")
                record.left_out = answer.parameters.get("tessera_left_out")
                record.error = record.status = None
                break
            except kserve.Refused as error:
                record.error, record.status = f"{agent.name}: {error}", error.status
                if error.status == 503 and "is leaving" in error.reason:
                    record.cut_off += 1
                    continue
                break
            except (OSError, http.client.HTTPException) as error:
                record.error = f"{agent.name}: {type(error).__name__}: {error}"
                if self._still_there(agent, process):
                    break
                record.cut_off += 1
        record.ended = time.monotonic()
        return record

    @staticmethod
    def _still_there(agent, process):
        # A killed process is gone a moment after its connections are.
        deadline = time.monotonic() + 1
        while serves(agent, process) and time.monotonic() < deadline:
            time.sleep(0.01)
        return serves(agent, process)


def serves(agent, process):
    """Whether an entry is still the process that was asked, and nobody told it to go."""
    return agent.process is process and agent.runs and not (agent.is_away or agent.is_leaving)


def pause(records, after):
    """The longest time without an answer that began at or after a moment, in seconds."""
    times = sorted(record.ended for record in records if record.error is None)
    longest, last = 0.0, after
    for moment in times:
        if moment <= after:
            continue
        longest, last = max(longest, moment - last), moment
    return longest


def wrong(records, expected):
    """The answered requests whose bytes are not those expected for their item."""
    return [record for record in records
            if record.error is None and record.logits != expected[record.item]]


def lost(records):
    """The requests without an answer."""
    return [record for record in records if record.error is not None]
