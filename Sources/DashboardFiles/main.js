// The dashboard: keeps what the agent's stream told, and shows it.

import { Chart, SECONDS } from "./charts.js";
import { Classify } from "./classify.js";
import { clock, milliseconds, perSecond, say } from "./figures.js";
import { Graph } from "./graph.js";
import { Stream, token } from "./stream.js";
import * as tables from "./tables.js";

// As many as the agent keeps at least would make the page slow.
const EVENTS_MAX = 500;
const HISTORY_MAX = 60;
// Rates are taken over as many seconds as the agent takes them.
const RATE_SECONDS = 5;
// Answers seldom come every second.
const TIME_SECONDS = 10;
const HISTORY_KINDS = ["decided", "unplannable", "roundFailed", "catalogue"];

const find = (id) => document.getElementById(id);
const state = {
  overview: null, before: null, traffic: new Map(), events: [], start: 0,
  model: null, kind: "", connection: "wait", reason: "",
};

const graph = new Graph(find("graph"));
const plan = new tables.PlanPart(find("plan"));
// Who may see the mesh need not be allowed to ask.
const classify = new Classify(find, () => askForToken(true));
const rates = new Chart(find("rate-chart"), {
  label: "Answers per second at this agent in the last five minutes", fillsGaps: true,
  lines: [{ name: "main", of: ({ answered }) => answered }],
  fault: ({ failed }) => failed > 0,
  unit: (value) => (value >= 10 || value === 0 ? value.toFixed(0) : value.toFixed(1)),
  legend: "",
  words: (second, ago) => `${moment(ago)}: ${second?.answered ?? 0} answered`
    + `${second?.failed ? `, ${second.failed} failed` : ""}.`,
});
const times = new Chart(find("time-chart"), {
  label: "Time of an answer in the last five minutes: half of them, and 99 of 100", fillsGaps: false,
  lines: [
    { name: "second", of: ({ p99Microseconds }) => p99Microseconds ?? null },
    { name: "main", of: ({ medianMicroseconds }) => medianMicroseconds ?? null },
  ],
  unit: (value) => `${(value / 1000).toFixed(value >= 10000 || value === 0 ? 0 : 1)} ms`,
  legend: "Lower line: half of the answers took no longer; upper line: 99 of 100.",
  words: (second, ago) => (second?.answered ? `${moment(ago)}: half within `
    + `${milliseconds(second.medianMicroseconds)}, 99 % within ${milliseconds(second.p99Microseconds)}.`
    : `${moment(ago)}: nothing was answered.`),
});

function moment(ago) {
  return clock(Date.now() - ago * 1000);
}

// The stream.

function take(kind, document) {
  if (kind === "overview") takeOverview(document);
  else if (kind === "events") takeEvents(document);
  show();
}

function takeOverview(overview) {
  const uptime = overview.status.uptimeMicroseconds;
  const before = state.overview;
  if (before && (before.status.id !== overview.status.id
    || before.status.uptimeMicroseconds > uptime)) {
    // It started again, and counts anew.
    state.traffic.clear();
    state.events = [];
  }
  state.before = before;
  state.overview = overview;
  const start = Date.now() - uptime / 1000;
  // What a message takes on its way varies; the times of old events must not.
  if (Math.abs(start - state.start) > 1500) state.start = start;
  for (const second of overview.traffic) state.traffic.set(second.second, second);
  const oldest = uptime / 1e6 - SECONDS - 5;
  for (const second of state.traffic.keys()) if (second < oldest) state.traffic.delete(second);
}

function takeEvents(events) {
  const last = state.events.at(-1)?.number ?? 0;
  state.events.push(...events.filter(({ number }) => number > last));
  if (state.events.length > EVENTS_MAX) {
    const surplus = state.events.length - EVENTS_MAX;
    const kept = state.events.slice(0, surplus).filter(({ kind }) => kind === "decided");
    state.events = [...kept.slice(-HISTORY_MAX), ...state.events.slice(surplus)];
  }
}

function connected(connection, reason) {
  if (connection === "open") state.events = [];
  Object.assign(state, { connection, reason });
  askForToken(connection === "token");
  show();
}

function askForToken(asks) {
  if (find("token-form").hidden !== asks) return;
  find("token-form").hidden = !asks;
  if (asks) find("token").focus();
}

// The page.

/** Sums of the last seconds that are over. */
function recent() {
  const end = Math.floor(state.overview.status.uptimeMicroseconds / 1e6) - 1;
  const last = (count) => Array.from({ length: count }, (_, index) =>
    state.traffic.get(end - index)).filter((second) => second);
  const sum = (seconds, of) => seconds.reduce((total, second) => total + of(second), 0);
  const answered = last(TIME_SECONDS).filter((second) => second.answered > 0);
  const medians = answered.map(({ medianMicroseconds }) => medianMicroseconds).sort((a, b) => a - b);
  return {
    end,
    rate: sum(last(RATE_SECONDS), (second) => second.answered) / Math.min(RATE_SECONDS, Math.max(1, end)),
    failed: sum(last(TIME_SECONDS), (second) => second.failed),
    median: medians[Math.floor(medians.length / 2)] ?? null,
    p99: answered.length > 0
      ? Math.max(...answered.map(({ p99Microseconds }) => p99Microseconds)) : null,
  };
}

/** Bytes of tensors per second between two overviews. */
function network() {
  const [now, before] = [state.overview.status, state.before?.status];
  const seconds = before ? (now.uptimeMicroseconds - before.uptimeMicroseconds) / 1e6 : 0;
  const gain = (name) => (seconds > 0
    ? Math.max(0, (now.counters[name] ?? 0) - (before.counters[name] ?? 0)) / seconds : 0);
  return { sent: gain("sliceBytesSent"), received: gain("sliceBytesReceived") };
}

function time(event) {
  return clock(state.start + event.atMicroseconds / 1000);
}

function show() {
  showState();
  const { overview } = state;
  if (!overview) return;
  const { models } = overview;
  if (!models.some(({ name }) => name === state.model)) {
    state.model = (models.find(({ isReady }) => isReady) ?? models[0])?.name ?? null;
  }
  const model = models.find(({ name }) => name === state.model);
  const running = overview.running.find((one) => one.plan.model === state.model);
  tables.choices(find("model"), models.map(({ name }) => [name, name]), state.model ?? "");
  find("model").hidden = models.length === 0;
  const figures = recent();
  tables.tiles(find("tiles"), { overview, recent: figures, network: network() });
  graph.show(overview, running);
  plan.show(model, running);
  classify.show(running);
  const marks = state.events.filter(({ kind }) => kind === "decided")
    .map(({ atMicroseconds }) => Math.floor(atMicroseconds / 1e6));
  rates.show(state.traffic, marks, figures.end);
  times.show(state.traffic, marks, figures.end);
  say(find("rate-now"), `${perSecond(figures.rate)}/s`);
  say(find("time-now"), figures.median === null ? "-" : milliseconds(figures.median));
  const alive = overview.members.filter(({ status }) => status === "alive").length;
  say(find("mesh-words"), `${alive} of ${overview.members.length} members alive`);
  tables.members(find("members"), overview, running);
  tables.links(find("links"), overview);
  showLogs();
}

function showState() {
  const { overview, connection, reason } = state;
  const status = overview?.status;
  const pill = find("state");
  let [word, look] = ["connecting", "wait"];
  if (connection === "token") [word, look] = ["needs a token", "wait"];
  else if (connection === "lost") [word, look] = ["no connection", "bad"];
  else if (status) [word, look] = status.isReady ? ["ready", "good"] : ["not ready", "wait"];
  say(pill, word);
  pill.dataset.state = look;
  if (status) {
    say(find("place"), tables.place(status));
    document.title = `${status.name} – Tessera`;
  }
  const lost = connection === "lost"
    ? `No connection to the agent (${reason}). What it said last stays here; trying again.` : null;
  tables.notices(find("notices"), overview && status.reason
    ? { status: { health: [`This agent is not ready: ${status.reason}`, ...status.health] } }
    : overview, lost);
}

function showLogs() {
  const newest = [...state.events].reverse();
  tables.log(find("history"), newest.filter(({ kind }) => HISTORY_KINDS.includes(kind))
    .slice(0, HISTORY_MAX).map((event) => {
      const why = event.kind === "decided" && newest.find(({ kind, model, number }) =>
        kind === "proposed" && model === event.model && number < event.number);
      return { time: time(event), text: event.text, note: why ? why.text : null };
    }), "No plan was decided since this agent started.");
  const kinds = [...new Set(state.events.map(({ kind }) => kind))].sort();
  if (state.kind && !kinds.includes(state.kind)) kinds.push(state.kind);
  tables.choices(find("kind"), [["", "all"], ...kinds.map((kind) => [kind, kind])], state.kind);
  tables.log(find("events"), newest.filter(({ kind }) => !state.kind || kind === state.kind)
    .map((event) => ({ time: time(event), kind: event.kind, text: event.text })),
  "Nothing has happened yet.");
}

find("model").addEventListener("change", (event) => {
  state.model = event.target.value;
  show();
});
find("kind").addEventListener("change", (event) => {
  state.kind = event.target.value;
  show();
});

const stream = new Stream("/tessera/v1/stream", take, connected);
find("token-form").addEventListener("submit", (event) => {
  event.preventDefault();
  token.value = find("token").value.trim();
  find("token").value = "";
  askForToken(false);
  stream.hurry();
});
stream.run();
