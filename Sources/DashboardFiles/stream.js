// Reads the agent's stream of server-sent events with fetch, because an EventSource cannot present a
// token, and begins anew whenever it ends.

const RETRY_MILLISECONDS = 2000;
// Longer than the agent takes between two messages, however busy it is.
const SILENCE_MILLISECONDS = 15000;
const TOKEN = "tessera-token";

export const token = {
  get value() { return sessionStorage.getItem(TOKEN); },
  set value(text) { sessionStorage.setItem(TOKEN, text); },
};

/** The header fields of a call. */
export function credentials() {
  return token.value ? { Authorization: `Bearer ${token.value}` } : {};
}

/**
 * Gives each message to `onMessage(kind, document)` for ever; `onState(state, reason)` learns that
 * the stream began ("open"), ended ("lost") or wants a token ("token").
 */
export class Stream {
  constructor(path, onMessage, onState) {
    this.path = path;
    this.onMessage = onMessage;
    this.onState = onState;
    this.wake = null;
  }

  /** Does not wait any longer to begin anew. */
  hurry() { this.wake?.(); }

  async run() {
    for (;;) {
      try {
        await this.read();
        this.onState("lost", "the agent ended the stream");
      } catch (error) {
        if (error.needsToken) this.onState("token", error.message);
        else this.onState("lost", error.message);
      }
      await new Promise((resume) => {
        this.wake = resume;
        setTimeout(resume, RETRY_MILLISECONDS);
      });
    }
  }

  async read() {
    const abort = new AbortController();
    let silence;
    const alive = () => {
      clearTimeout(silence);
      silence = setTimeout(() => abort.abort(new Error("the agent is silent")), SILENCE_MILLISECONDS);
    };
    alive();
    try {
      const answer = await fetch(this.path, {
        headers: credentials(), cache: "no-store", signal: abort.signal,
      });
      if (!answer.ok) throw await refusal(answer);
      this.onState("open", "");
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      let text = "";
      for (;;) {
        const { value, done } = await reader.read();
        if (done) return;
        alive();
        text += value;
        const messages = text.split("\n\n");
        text = messages.pop();
        messages.forEach((message) => this.take(message));
      }
    } finally {
      clearTimeout(silence);
    }
  }

  take(message) {
    let kind = "message";
    let data = "";
    for (const line of message.split("\n")) {
      if (line.startsWith("event: ")) kind = line.slice(7);
      else if (line.startsWith("data: ")) data += line.slice(6);
    }
    if (data) this.onMessage(kind, JSON.parse(data));
  }
}

/** What the agent said when it refused a call. */
export async function refusal(answer) {
  let reason = `the agent answers with ${answer.status}`;
  try {
    reason = (await answer.json()).error ?? reason;
  } catch {
    // It said nothing more.
  }
  const error = new Error(reason);
  error.needsToken = answer.status === 401;
  return error;
}
