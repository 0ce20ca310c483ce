// The drawing of the mesh: members on an ellipse, links between them, and the way of a request under
// the chosen plan.

import { decimal, drawn, milliseconds, rate } from "./figures.js";

// A screen holds no more circles; the table has everybody.
const NODES_MAX = 40;
// Lost members are shown for a while beside those that live, not instead of them.
const LOST_MAX = 6;

export class Graph {
  constructor(holder) {
    this.holder = holder;
    this.svg = drawn("svg", { role: "img" });
    this.layers = {};
    this.svg.append(drawn("defs", {}, drawn("marker", {
      id: "arrow", viewBox: "0 0 8 8", refX: 7, refY: 4, markerWidth: 10, markerHeight: 10,
      markerUnits: "userSpaceOnUse", orient: "auto",
    }, drawn("path", { class: "arrow", d: "M0 0 8 4 0 8Z" }))));
    for (const name of ["links", "flows", "words", "nodes"]) {
      this.layers[name] = drawn("g");
      this.svg.append(this.layers[name]);
    }
    holder.append(this.svg);
    new ResizeObserver(() => this.last && this.show(...this.last)).observe(holder);
  }

  /** Shows the mesh, with the plan that was chosen if one runs. */
  show(overview, running) {
    this.last = [overview, running];
    const width = Math.max(280, Math.min(680, this.holder.clientWidth));
    const height = width < 480 ? Math.round(width * 1.12) : Math.round(width * 0.78);
    this.svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    const nodes = this.place(shown(overview.members), width, height);
    const flows = flowsOf(running, nodes);
    this.keep("links", this.links(overview.links, nodes));
    const moves = (running?.load.answersPerSecond ?? 0) > 0;
    this.keep("flows", flows.flatMap((flow) => this.flow(flow, moves)));
    this.keep("nodes", nodes.map((node) => this.node(node, running, nodes.length)));
    this.keep("words", this.words(overview.links, nodes, flows, width, height));
    this.clear();
    this.svg.setAttribute("aria-label", description(nodes, running));
  }

  place(members, width, height) {
    const count = members.length;
    const radius = count <= 8 ? 25 : count <= 16 ? 18 : 11;
    const first = count === 2 ? Math.PI : -Math.PI / 2;
    const across = width / 2 - (count <= 16 ? 62 : 40);
    const down = height / 2 - (count <= 8 ? 66 : 40);
    return members.map((member, index) => {
      const angle = first + (index * 2 * Math.PI) / Math.max(1, count);
      const far = count === 1 ? 0 : 1;
      return {
        member, radius, x: width / 2 + far * across * Math.cos(angle),
        y: height / 2 + far * down * Math.sin(angle),
        // Its words go outwards, away from the links.
        isUpper: count > 2 && count <= 8 && Math.sin(angle) < -0.3,
      };
    });
  }

  links(links, nodes) {
    const byNode = new Map(nodes.map((node) => [node.member.id, node]));
    const pairs = new Map();
    for (const link of links) {
      const [one, other] = [byNode.get(link.from), byNode.get(link.to)];
      if (!one || !other) continue;
      const key = [link.from, link.to].sort().join();
      const pair = pairs.get(key) ?? { key, one, other, words: [], speed: 0 };
      pair.speed = Math.max(pair.speed, link.bytesPerSecond ?? 0);
      pair.words.push(`${one.member.name} to ${other.member.name}: ${rate(link.bytesPerSecond)}, `
        + `round trip ${milliseconds(link.roundTripMicroseconds)}`);
      pairs.set(key, pair);
    }
    return [...pairs.values()].map((pair) => ({
      key: pair.key, name: "line", title: pair.words.join("\n"),
      options: {
        class: "link", x1: pair.one.x, y1: pair.one.y, x2: pair.other.x, y2: pair.other.y,
        // A step of a width for each tenfold rate above 1 MB/s.
        "stroke-width": pair.speed > 0
          ? Math.min(6, Math.max(1, 1 + 1.4 * Math.log10(pair.speed / 1e6))) : 1,
        "stroke-dasharray": pair.speed > 0 ? "none" : "2 4",
      },
    }));
  }

  flow({ from, to }, moves) {
    const path = arc(from, to);
    const key = `${from.member.id}>${to.member.id}`;
    return [
      { key: `${key} ground`, name: "path",
        options: { class: "flow-ground", d: path } },
      { key, name: "path",
        options: { class: moves ? "flow moves" : "flow", d: path, "marker-end": "url(#arrow)" } },
    ];
  }

  node(node, running, count) {
    const { member, x, y, radius, isUpper } = node;
    const stages = stagesOf(member, running);
    const group = ["node"];
    if (member.isSelf) group.push("self");
    if (stages.length > 0) group.push("used");
    if (member.status === "dead" || member.status === "left") group.push("bad");
    else if (member.status !== "alive" || member.isLeaving || !member.isConnected) {
      group.push("warn");
    }
    const lines = [
      { name: "circle", options: { class: "ring", cx: x, cy: y, r: radius + 5 } },
      { name: "circle", options: { class: "body", cx: x, cy: y, r: radius } },
      { name: "text", options: { class: "stage", x, y: y + 5 },
        text: radius < 18 ? "" : member.status === "dead" ? "✕" : stages.join(" ") },
      { name: "text", options: { class: "name", x, y: y + (isUpper ? -radius - 23 : radius + 19) },
        text: shorten(member.name) },
    ];
    if (count <= 8) {
      const speed = member.operationsPerMicrosecond;
      const detail = member.status !== "alive" ? member.status
        : member.isLeaving ? "leaving"
          : speed ? `${decimal(speed / 1000, speed < 10000 ? 1 : 0)} GOP/s` : "";
      lines.push({ name: "text",
        options: { class: "detail", x, y: y + (isUpper ? -radius - 9 : radius + 34) },
        text: detail });
    }
    return {
      key: member.id, name: "g", options: { class: group.join(" ") }, parts: lines,
      title: `${member.name}, ${member.status}`
        + (stages.length > 0 ? `, stage ${stages.join(", ")}` : ""),
    };
  }

  words(links, nodes, flows, width, height) {
    if (nodes.length > 12) return [];
    const used = new Set(flows.flatMap(({ from, to }) => [
      [from.member.id, to.member.id].sort().join()]));
    const byNode = new Map(nodes.map((node) => [node.member.id, node]));
    const speeds = new Map();
    for (const link of links) {
      const key = [link.from, link.to].sort().join();
      if (link.bytesPerSecond) {
        speeds.set(key, Math.max(speeds.get(key) ?? 0, link.bytesPerSecond));
      }
    }
    // Where there is little room only what the plan uses is named; the table has the rest.
    const hasRoom = nodes.length <= 4 && width >= 480;
    return [...speeds].filter(([key]) => hasRoom || used.has(key)).flatMap(([key, speed]) => {
      const [one, other] = key.split(",").map((id) => byNode.get(id));
      if (!one || !other) return [];
      // Lines across the middle would carry their words all at the same place.
      const middle = Math.hypot((one.x + other.x - width) / 2, (one.y + other.y - height) / 2);
      const at = middle < 30 && nodes.length > 2 ? 0.33 : 0.5;
      return [{
        key, name: "text", text: rate(speed),
        options: {
          class: "rate", x: one.x + (other.x - one.x) * at, y: one.y + (other.y - one.y) * at + 4,
        },
      }];
    });
  }

  /** Leaves out rates that would lie over other words; the table of links has them. */
  clear() {
    const taken = [...this.layers.nodes.querySelectorAll("text")].map((text) => text.getBBox());
    for (const word of this.layers.words.children) {
      const box = word.getBBox();
      const isFree = !taken.some((other) => box.x < other.x + other.width
        && other.x < box.x + box.width && box.y < other.y + other.height
        && other.y < box.y + box.height);
      word.setAttribute("visibility", isFree ? "visible" : "hidden");
      if (isFree) taken.push(box);
    }
  }

  // Elements live as long as what they stand for, so that nothing flickers or begins to move anew.
  keep(layer, wanted) {
    const parent = this.layers[layer];
    const old = new Map([...parent.children].map((child) => [child.key, child]));
    for (const want of wanted) {
      let child = old.get(want.key);
      if (!child || child.tagName !== want.name) {
        child?.remove();
        child = drawn(want.name);
        child.key = want.key;
        parent.append(child);
      }
      old.delete(want.key);
      apply(child, want);
    }
    old.forEach((child) => child.remove());
  }
}

function apply(target, want) {
  for (const [name, value] of Object.entries(want.options)) {
    if (target.getAttribute(name) !== String(value)) target.setAttribute(name, value);
  }
  if (want.text !== undefined && target.textContent !== want.text) target.textContent = want.text;
  if (want.title !== undefined) {
    let title = target.querySelector(":scope > title");
    if (!title) {
      title = drawn("title");
      target.prepend(title);
    }
    if (title.textContent !== want.title) title.textContent = want.title;
  }
  if (!want.parts) return;
  const parts = [...target.children].filter((child) => child.tagName !== "title");
  parts.slice(want.parts.length).forEach((child) => child.remove());
  want.parts.forEach((part, index) => {
    let child = parts[index];
    if (!child) {
      child = drawn(part.name);
      target.append(child);
    }
    apply(child, part);
  });
}

/** The members that are drawn. */
function shown(members) {
  const lives = members.filter(({ status }) => status === "alive" || status === "suspect");
  const lost = members.filter(({ status }) => status === "dead").slice(0, LOST_MAX);
  const chosen = new Set([...lives, ...lost].slice(0, NODES_MAX));
  return members.filter((member) => chosen.has(member));
}

/** The numbers of the stages that a member has a part in, from 1. */
export function stagesOf(member, running) {
  if (!running || member.status === "dead" || member.status === "left") return [];
  return running.plan.stages.flatMap((stage, index) =>
    stage.nodes.includes(member.name) ? [index + 1] : []);
}

/** From where to where a request of this agent goes. */
function flowsOf(running, nodes) {
  if (!running) return [];
  const entry = nodes.find(({ member }) => member.isSelf);
  const lives = nodes.filter(({ member }) => member.status !== "dead" && member.status !== "left");
  const steps = running.plan.stages.map((stage) =>
    lives.filter(({ member }) => stage.nodes.includes(member.name)));
  const ways = [[entry], ...steps, [entry]];
  const found = new Map();
  for (let index = 0; index + 1 < ways.length; index += 1) {
    for (const from of ways[index]) {
      for (const to of ways[index + 1]) {
        if (from && to && from !== to) found.set(`${from.member.id}>${to.member.id}`, { from, to });
      }
    }
  }
  return [...found.values()];
}

/** A bow from circle to circle, so that there and back are two. */
function arc(from, to) {
  const [dx, dy] = [to.x - from.x, to.y - from.y];
  const length = Math.hypot(dx, dy) || 1;
  const bend = Math.min(34, length * 0.14);
  const [mx, my] = [(from.x + to.x) / 2 - (dy / length) * bend,
    (from.y + to.y) / 2 + (dx / length) * bend];
  const edge = (node, gap) => {
    const [ex, ey] = [mx - node.x, my - node.y];
    const far = Math.hypot(ex, ey) || 1;
    return [node.x + (ex / far) * (node.radius + gap), node.y + (ey / far) * (node.radius + gap)];
  };
  const [[x1, y1], [x2, y2]] = [edge(from, 7), edge(to, 8)];
  const figures = [x1, y1, mx, my, x2, y2].map((value) => value.toFixed(1));
  return `M${figures[0]} ${figures[1]}Q${figures[2]} ${figures[3]} ${figures[4]} ${figures[5]}`;
}

function shorten(name) { return name.length > 14 ? `${name.slice(0, 13)}…` : name; }

function description(nodes, running) {
  const members = nodes.map(({ member }) => `${member.name} ${member.status}`).join(", ");
  const way = running ? running.plan.stages.map((stage, index) =>
    `stage ${index + 1} on ${stage.nodes.join(" and ")}`).join(", then ") : "no plan runs";
  return `The mesh: ${members}. ${way}.`;
}
