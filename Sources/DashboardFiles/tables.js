// The parts of the page that are words and figures.

import { bytes, decimal, element, milliseconds, perSecond, rate, say, span } from "./figures.js";
import { stagesOf } from "./graph.js";

const told = new WeakMap();

/** Makes a part anew only if what it shows is different. */
function refresh(target, shown, make) {
  const key = JSON.stringify(shown);
  if (told.get(target) === key) return;
  told.set(target, key);
  target.replaceChildren(...make());
}

/** The figures at the top. */
export function tiles(target, { overview, recent, network }) {
  const { status, members } = overview;
  const lost = members.filter(({ status: one }) => one === "dead" || one === "suspect").length;
  const share = status.memoryBytes > 0 ? (status.reservedBytes / status.memoryBytes) * 100 : 0;
  const shown = [
    ["Answers here", perSecond(recent.rate), "/s", recent.failed > 0 ? `${recent.failed} failed of late` : ""],
    ["Time of an answer", milliseconds(recent.median), "", recent.p99 ? `99 % within ${milliseconds(recent.p99)}` : "nothing asked of late"],
    ["Open requests", `${status.openRequests}`, "", `${status.counters.requestsRefused ?? 0} refused since start`],
    ["Members alive", `${status.membersAlive}`, "", lost > 0 ? `${lost} lost or suspect` : "all well"],
    ["Memory reserved", decimal(share, 0), " %", `${bytes(status.reservedBytes)} of ${bytes(status.memoryBytes)}`],
    ["Tensors sent", decimal(network.sent / 1e6, 2), " MB/s", `${decimal(network.received / 1e6, 2)} MB/s received`],
  ];
  refresh(target, shown, () => shown.map(([title, figure, unit, note]) => element("div", {},
    element("dt", {}, title),
    element("dd", {}, figure, unit ? element("small", {}, unit) : null),
    element("dd", { class: "note" }, note))));
}

/** What is wrong, and a lost connection. */
export function notices(target, overview, lost) {
  const shown = [
    ...(lost ? [["bad", lost]] : []),
    ...(overview?.status.health ?? []).map((line) => ["warn", line]),
  ];
  refresh(target, shown, () => shown.map(([kind, text]) =>
    element("p", { class: `notice ${kind}` }, text)));
}

/** A member's status as people read it. */
function standing(member) {
  if (member.status !== "alive") {
    return [member.status, member.status === "suspect" ? "warn" : "bad"];
  }
  if (member.isLeaving) return ["leaving", "warn"];
  if (!member.isSelf && !member.isConnected) return ["alive, no link", "warn"];
  return ["alive", "good"];
}

/** The members. */
export function members(target, overview, running) {
  const shown = overview.members.map((member) => [
    member.name + (member.isSelf ? " (this agent)" : ""), standing(member),
    stagesOf(member, running).join(", "), member.address,
    milliseconds(member.roundTripMicroseconds), rate(member.bytesPerSecond),
    member.threads ?? "-", bytes(member.memoryBytes),
    member.operationsPerMicrosecond
      ? `${decimal(member.operationsPerMicrosecond / 1000, 1)} GOP/s` : "-",
  ]);
  const heads = ["Name", "Status", "Stage", "Address", "Round trip", "Link", "Threads", "Memory", "Speed"];
  refresh(target, shown, () => [
    element("thead", {}, element("tr", {}, heads.map((head, index) =>
      element("th", { scope: "col", class: index > 3 ? "number" : null }, head)))),
    element("tbody", {}, shown.map((cells) => element("tr", {}, cells.map((cell, index) => {
      if (index === 0) return element("th", { scope: "row" }, cell);
      if (index === 1) {
        return element("td", {}, element("span", { class: `tag ${cell[1]}` }, cell[0]));
      }
      const kind = [index > 3 ? "number" : "", cell === "-" || cell === "" ? "blank" : ""];
      return element("td", { class: kind.join(" ").trim() || null, "data-name": heads[index] },
        `${cell}`);
    })))),
  ]);
}

/** Every measured link. */
export function links(target, overview) {
  const names = new Map(overview.members.map((member) => [member.id, member.name]));
  const shown = overview.links.map((link) => [
    names.get(link.from) ?? link.from.slice(0, 8), names.get(link.to) ?? link.to.slice(0, 8),
    rate(link.bytesPerSecond), milliseconds(link.roundTripMicroseconds)]);
  refresh(target, shown, () => [
    element("thead", {}, element("tr", {}, ["From", "To", "Rate", "Round trip"].map((head, index) =>
      element("th", { scope: "col", class: index > 1 ? "number" : null }, head)))),
    element("tbody", {}, shown.map((cells) => element("tr", {}, cells.map((cell, index) =>
      element("td", { class: index > 1 ? "number" : "long" }, cell))))),
  ]);
}

/** What runs for the chosen model. */
export class PlanPart {
  constructor(target) {
    this.target = target;
    this.facts = element("dl", { class: "facts" });
    this.stages = element("ol", { class: "stages" });
    this.alternates = element("ul", { class: "plain" });
    this.reasons = element("ul", { class: "plain" });
    this.alternatesTitle = element("summary");
    this.whole = [this.facts, this.stages,
      element("details", {}, this.alternatesTitle, this.alternates),
      element("details", {}, element("summary", {}, "Why each node has its part"), this.reasons)];
    this.none = element("p", { class: "empty" });
    target.append(this.none);
  }

  show(model, running) {
    if (!model || !running) {
      say(this.none, model ? `${model.name} is not served: ${model.reason ?? "no plan runs for it"}.`
        : "The mesh has no model yet. Add one with: tessera model add FILE");
      if (!this.none.isConnected) this.target.replaceChildren(this.none);
      return;
    }
    if (!this.facts.isConnected) this.target.replaceChildren(...this.whole);
    const { plan, load } = running;
    this.showFacts(plan, load);
    this.showStages(plan, load);
    this.showMore(plan);
  }

  showFacts(plan, load) {
    const period = load.periodMicroseconds ?? plan.predictedPeriodMicroseconds;
    const basis = load.periodMicroseconds ? "measured" : "expected";
    const shown = [
      ["Plan", `${plan.plan.slice(0, 8)}, epoch ${plan.epoch}, proposed by ${plan.proposer}`],
      ["In a stream", `an answer per ${milliseconds(period)} (${basis}), so at most `
        + `${perSecond(1e6 / Math.max(1, period))}/s; no plan can beat `
        + `${milliseconds(plan.boundMicroseconds)}`],
      ["One alone", `${milliseconds(load.latencyMicroseconds ?? plan.predictedLatencyMicroseconds)}`
        + `, up to ${plan.window} in flight`],
      ["Limit", plan.bottleneck],
      ["Exact", plan.exactness],
    ];
    refresh(this.facts, shown, () => shown.flatMap(([name, text]) =>
      [element("dt", {}, name), element("dd", {}, text)]));
  }

  showStages(plan, load) {
    const shown = plan.stages.map((stage, index) => ({
      stage, limits: index === load.bottleneck, limit: load.limit,
      full: Math.round((load.fullShares[index] ?? 0) * 100),
      now: Math.round((load.currentShares[index] ?? 0) * 100),
    }));
    refresh(this.stages, shown, () => shown.map((one, index) => stageItem(one, index)));
  }

  showMore(plan) {
    const armed = plan.alternates.filter(({ isArmed }) => isArmed).length;
    say(this.alternatesTitle, `Alternates: ${armed} of ${plan.alternates.length} ready`);
    refresh(this.alternates, plan.alternates, () => plan.alternates.map((one) => element("li", {},
      element("span", { class: `tag ${one.isArmed ? "good" : "warn"}` },
        one.isArmed ? "ready" : "not ready"),
      ` without ${one.without}`,
      one.changes.length > 0 ? `: ${one.changes.join("; ")}` : "",
      one.isArmed ? "" : ` (${one.reason ?? "it is being prepared"})`)));
    const reasons = [...plan.used.map((note) => ({ ...note, isUsed: true })), ...plan.leftOut];
    refresh(this.reasons, reasons, () => reasons.map((note) => element("li", {},
      element("b", {}, note.node), note.isUsed ? ": " : " has no part: ", note.reason)));
  }
}

function stageItem({ stage, limits, limit, full, now }, index) {
  const measured = stage.measuredMicroseconds;
  const operators = stage.first === stage.last ? `operator ${stage.first}`
    : `operators ${stage.first} to ${stage.last}`;
  const bar = element("div", {
    class: "bar", role: "img",
    "aria-label": `busy ${now} % now, ${full} % when the mesh answers as much as it can`,
  }, element("i", { class: "full" }), element("i", { class: "now" }));
  // Not as an attribute in the page, which its policy forbids.
  bar.children[0].style.width = `${full}%`;
  bar.children[1].style.width = `${now}%`;
  return element("li", { class: limits ? "limits" : null },
    element("div", { class: "stage-head" },
      element("b", {}, `Stage ${index + 1}`),
      element("span", { class: "who" }, stage.nodes.join(", ")),
      element("span", { class: "tag" }, stage.mode),
      limits ? element("span", { class: "tag warn" }, `bottleneck: ${limit}`) : null),
    bar,
    element("p", { class: "stage-words" },
      `busy ${now} % now, ${full} % at full load; ${operators}; `
      + (measured === undefined || measured === null
        ? `${milliseconds(stage.predictedMicroseconds)} expected`
        : `${milliseconds(measured)} measured, ${milliseconds(stage.predictedMicroseconds)} expected`)
      + `; links ${milliseconds(stage.linkMicroseconds)}; ${bytes(stage.memoryBytes)}`));
}

/** A list of what happened, newest first. */
export function log(target, entries, empty) {
  refresh(target, entries, () => entries.length === 0
    ? [element("li", { class: "empty" }, element("p", {}, empty))]
    : entries.map(({ time, kind, text, note }) => element("li", {},
      element("time", {}, time),
      element("p", {}, kind ? element("span", { class: "kind" }, `${kind}: `) : null, text,
        note ? element("span", { class: "quiet" }, ` — ${note}`) : null))));
}

/** The choices of a list, with the one that is chosen kept. */
export function choices(select, names, chosen) {
  refresh(select, names, () => names.map(([value, text]) => element("option", { value }, text)));
  if (select.value !== chosen) select.value = chosen;
}

/** Where the agent is and how long it has been there. */
export function place(status) {
  return `${status.name} of mesh ${status.mesh}, up for ${span(status.uptimeMicroseconds)}, `
    + `version ${status.release}`;
}
