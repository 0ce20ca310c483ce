// Drop an image and see the answer.

import { decimal, element, milliseconds, say } from "./figures.js";
import { credentials, refusal } from "./stream.js";

export class Classify {
  /** `find` gives an element by its id; `onRefused` is called when an answer needs a token. */
  constructor(find, onRefused) {
    this.onRefused = onRefused;
    this.card = find("try");
    this.title = find("try-model");
    this.answer = find("answer");
    this.picture = find("picture");
    this.drop = find("drop");
    this.model = null;
    this.asked = 0;
    const file = find("file");
    file.addEventListener("change", () => file.files[0] && this.ask(file.files[0]));
    for (const kind of ["dragenter", "dragover"]) {
      this.drop.addEventListener(kind, (event) => {
        event.preventDefault();
        this.drop.classList.add("over");
      });
    }
    for (const kind of ["dragleave", "drop"]) {
      this.drop.addEventListener(kind, () => this.drop.classList.remove("over"));
    }
    this.drop.addEventListener("drop", (event) => {
      event.preventDefault();
      const dropped = event.dataTransfer.files[0];
      if (dropped) this.ask(dropped);
    });
  }

  /** Asks this model from now on, if it takes images. */
  show(running) {
    const model = running?.takesImages ? running.plan.model : null;
    if (model === this.model) return;
    this.model = model;
    this.asked += 1;
    this.card.hidden = model === null;
    say(this.title, model === null ? "" : `What ${model} sees`);
    this.answer.replaceChildren();
  }

  async ask(file) {
    const number = this.asked += 1;
    if (this.picture.src) URL.revokeObjectURL(this.picture.src);
    this.picture.src = URL.createObjectURL(file);
    this.picture.hidden = false;
    this.answer.replaceChildren(element("p", { class: "quiet" }, "asking…"));
    let shown;
    try {
      const path = `/tessera/v1/models/${encodeURIComponent(this.model)}/classify`;
      const answer = await fetch(path, {
        method: "POST", body: file,
        headers: { ...credentials(), "Content-Type": "application/octet-stream" },
      });
      if (!answer.ok) throw await refusal(answer);
      shown = this.classes(await answer.json());
    } catch (error) {
      if (error.needsToken) this.onRefused();
      shown = [element("p", { class: "notice bad" }, `No answer: ${error.message}`)];
    }
    // Another image was chosen meanwhile.
    if (number === this.asked) this.answer.replaceChildren(...shown);
  }

  classes(document) {
    return [
      element("ol", { class: "classes" }, document.classes.map((one) => {
        const percent = one.probability * 100;
        const bar = element("div", { class: "bar" }, element("i", { class: "now" }));
        bar.firstChild.style.width = `${percent}%`;
        return element("li", {}, element("p", {},
          element("span", {}, one.label ?? `class ${one.index}`),
          element("b", {}, `${decimal(percent, 1)} %`)), bar);
      })),
      element("p", { class: "quiet" }, `Answered in ${milliseconds(document.milliseconds * 1000)} `
        + `under plan ${document.plan.slice(0, 8)}.`),
    ];
  }
}
