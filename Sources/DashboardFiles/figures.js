// Figures as people read them, the same as the command line's, and elements without markup: whatever
// comes from the mesh goes into the page as text.

/** An element with a class, attributes and children; strings become text. */
export function element(name, options = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(options)) {
    if (value === null || value === undefined || value === false) continue;
    made.setAttribute(key, value === true ? "" : String(value));
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return made;
}

/** The same for an element of a drawing. */
export function drawn(name, options = {}, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(options)) {
    if (value !== null && value !== undefined) made.setAttribute(key, String(value));
  }
  made.append(...children);
  return made;
}

/** Sets a text only if it differs, so that what reads the page aloud is not disturbed. */
export function say(target, text) {
  if (target.textContent !== text) target.textContent = text;
}

/** A number with so many places. */
export function decimal(value, places = 1) {
  return Number.isFinite(value) ? value.toFixed(places) : "-";
}

/** Microseconds as milliseconds with three significant places or so. */
export function milliseconds(microseconds) {
  if (microseconds === null || microseconds === undefined) return "-";
  const value = microseconds / 1000;
  return `${decimal(value, value < 10 ? 2 : value < 100 ? 1 : 0)} ms`;
}

/** Bytes with a binary unit. */
export function bytes(count) {
  if (count === null || count === undefined) return "-";
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  let value = count;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${decimal(value, unit === 0 ? 0 : 1)} ${units[unit]}`;
}

/** Bytes per second. */
export function rate(bytesPerSecond) {
  if (!bytesPerSecond) return "-";
  const megabytes = bytesPerSecond / 1e6;
  if (megabytes >= 1000) return `${decimal(megabytes / 1000, 1)} GB/s`;
  return `${decimal(megabytes, megabytes < 10 ? 2 : 0)} MB/s`;
}

/** Something per second. */
export function perSecond(value) {
  return decimal(value, value < 10 ? 1 : 0);
}

/** A span as days, hours, minutes and seconds, the two greatest of them. */
export function span(microseconds) {
  const seconds = Math.floor(microseconds / 1e6);
  const parts = [[Math.floor(seconds / 86400), "d"], [Math.floor(seconds / 3600) % 24, "h"],
    [Math.floor(seconds / 60) % 60, "min"], [seconds % 60, "s"]];
  const first = parts.findIndex(([count]) => count > 0);
  if (first < 0) return "0 s";
  return parts.slice(first, first + 2).map(([count, unit]) => `${count} ${unit}`).join(" ");
}

/** A time of day, with two digits for each part everywhere. */
export function clock(milliseconds) {
  return new Date(milliseconds).toLocaleTimeString([], {
    hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23",
  });
}
