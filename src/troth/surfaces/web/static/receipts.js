"use strict";
/* Pages that check receipts: one that is dropped, chosen or pasted, or all of somebody's.
   Every word shown is written in the page; what a receipt says is set as text, never as markup. */
(() => {
  const root = document.querySelector("[data-check]");
  if (!root) return;
  const { parsePolicy, readReceipt, verifyNote, utf8, b64, hex } = globalThis.trothProof;
  const { Memory, remember } = globalThis.trothHistory;
  const one = (name, from = root) => from.querySelector(`[data-${name}]`);
  const word = (key) => one("words")?.querySelector(`[data-key="${CSS.escape(key)}"]`)?.textContent;
  const policyText = one("policy").textContent, known = parsePolicy(policyText);
  const ledger = root.dataset.check, alone = "alone" in root.dataset;
  const HEADER = "c2sp.org/tlog-proof@v1";

  /* Where the browser keeps nothing for us, memory lasts as long as the page. */
  const kept = (() => {
    try {
      localStorage.setItem("troth.try", "");
      localStorage.removeItem("troth.try");
      return localStorage;
    } catch {
      const held = new Map();
      return { getItem: (k) => held.get(k) ?? null, setItem: (k, v) => held.set(k, v) };
    }
  })();
  const memory = async () => new Memory(kept, (await known).logs[0].name);

  let mayAsk = !alone;
  async function tile(path) {
    if (!mayAsk) throw new TypeError("nobody is asked");
    const answer = await fetch(ledger + path, { credentials: "omit" });
    if (!answer.ok) throw new TypeError("no such tile");
    return new Uint8Array(await answer.arrayBuffer());
  }

  /* Verdict on one receipt: a code that the page has words for, and what was proven. */
  async function judge(raw) {
    let found;
    try {
      found = await readReceipt(raw, await known, true);
    } catch (fault) {
      const text = new TextDecoder().decode(raw);
      const bare = text.startsWith(HEADER) && !text.includes("\n\u2014 ");
      const code = fault.code === "malformed" ? "altered" : fault.code;
      return { code: bare ? "unsigned" : code ?? "unable", found: null };
    }
    const code = await remember(await memory(), found.head, found.note, tile);
    return { code, found };
  }

  const when = (text) => {
    const at = new Date(text);
    if (Number.isNaN(at.getTime())) return text;
    const lang = document.documentElement.lang;
    const wanted = {
      day: "numeric", month: "long", year: "numeric", hour: "2-digit", minute: "2-digit",
      timeZoneName: "short",
    };
    return at.toLocaleString([lang === "en" ? "en-GB" : lang, "en-GB"], wanted);
  };

  function row(list, label, text) {
    const line = document.createElement("div");
    for (const [tag, said] of [["dt", label], ["dd", text]]) {
      const cell = document.createElement(tag);
      cell.textContent = said;
      line.append(cell);
    }
    list.append(line);
  }

  /* What the event says; called only with an event whose proof holds. */
  function facts(text, list) {
    const said = JSON.parse(text);
    row(list, word("type"), word(said.type) ?? said.type);
    if (said.at) row(list, word("at"), when(said.at));
    if (said.n) row(list, word("n"), String(said.n));
    for (const [name, value] of Object.entries(said)) {
      const label = word("field:" + name);
      if (!label || value === null) continue;
      const parts = Array.isArray(value) ? value : [value];
      row(list, label, parts.map((each) => word("value:" + each) ?? String(each)).join(", "));
    }
  }

  function say(code, found, place) {
    const shown = one("say-" + code).content.cloneNode(true);
    const fill = {
      index: found && String(found.index + 1n), size: found && String(found.head.size),
      origin: found && found.head.origin,
    };
    for (const spot of shown.querySelectorAll("[data-fill]")) {
      spot.textContent = fill[spot.dataset.fill] ?? "";
    }
    place.replaceChildren(shown);
    place.dataset.verdict = code;
    const text = found?.event ?? found?.statement;
    if (text) {
      const told = one("say-facts").content.cloneNode(true);
      facts(text, told.querySelector("dl"));
      told.querySelector("pre").textContent = text;
      place.append(told);
    } else if (found) place.append(one("say-erased").content.cloneNode(true));
    if (code === "histories") evidence(place);
  }

  /* Both signed heads, to hand to whoever should see them. */
  async function evidence(place) {
    const link = place.querySelector("a[download]");
    const notes = (await memory()).get().evidence;
    if (link && notes) link.href = URL.createObjectURL(new Blob([notes.join("\n")]));
  }

  async function tell(raw) {
    const place = one("verdict");
    place.replaceChildren();
    const { code, found } = await judge(raw);
    say(code, found, place);
  }

  function listen(form) {
    const text = form.querySelector("textarea"), file = form.querySelector("input[type=file]");
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      const chosen = file.files[0];
      if (chosen) tell(new Uint8Array(await chosen.arrayBuffer()));
      else tell(utf8(text.value.replaceAll("\r\n", "\n")));
    });
    file.addEventListener("change", () => form.requestSubmit());
    text.addEventListener("input", () => { file.value = ""; });
    for (const kind of ["dragover", "drop"]) {
      document.addEventListener(kind, async (event) => {
        event.preventDefault();
        const dropped = event.dataTransfer?.files[0];
        if (kind === "drop" && dropped) tell(new Uint8Array(await dropped.arrayBuffer()));
      });
    }
    form.hidden = false;
  }

  /* The newest head the ledger publishes: remembered, and compared with what was seen before. */
  async function greet() {
    const place = one("known");
    let code = "later";
    try {
      const answer = await fetch(ledger + "checkpoint", { credentials: "omit" });
      if (answer.ok) {
        const note = await answer.text(), head = await verifyNote(note, await known);
        code = await remember(await memory(), head, note, tile);
      }
    } catch (fault) {
      code = fault.code ?? "later";
    }
    const held = (await memory()).get();
    if (place && code === "one") {
      place.querySelector("b").textContent = held.size;
      place.hidden = false;
    }
    if (!["one", "later"].includes(code)) say(code, null, one("verdict"));
    return code;
  }

  /* All of somebody's receipts: each one, that no number is missing, that each names the one
     before it, and that what was seen here before is still there. */
  async function checkAll(button) {
    const bar = one("progress"), total = Number(button.dataset.all), place = one("verdict");
    button.disabled = true;
    bar.hidden = false;
    bar.max = total;
    const chains = new Map();
    let count = 0, waiting = 0, worst = "one", from = 0;
    for (;;) {
      const answer = await fetch(`${button.dataset.from}?from=${from}`).catch(() => null);
      if (!answer?.ok) { worst = "unreachable"; break; }
      const page = await answer.json();
      for (const [mark, text] of page.receipts) {
        const verdict = text ? await judge(utf8(text)) : { code: "waiting" };
        badge(mark, verdict.code);
        count += 1;
        bar.value = count;
        if (verdict.code === "waiting") waiting += 1;
        else if (verdict.code !== "one") worst = verdict.code;
        else link(chains, verdict.found);
      }
      if (page.next === null) break;
      from = page.next;
    }
    if (worst === "one" && ![...chains.values()].every(whole)) worst = "gap";
    if (worst === "one") for (const chain of chains.values()) store(chain);
    finish(place, worst, count - waiting, waiting);
    bar.hidden = true;
    button.disabled = false;
  }

  function link(chains, found) {
    if (!found.event) return;
    const said = JSON.parse(found.event);
    if (!chains.has(said.psid)) chains.set(said.psid, []);
    chains.get(said.psid)[said.n - 1] = { c: b64(found.c), prev: said.prev };
  }
  const chainName = (chain) => "troth.chain:" + hex(utf8(chain[0].c)).slice(0, 32);
  function whole(chain) {
    for (let i = 0; i < chain.length; i += 1) {
      if (!chain[i] || chain[i].prev !== (i ? chain[i - 1].c : "")) return false;
    }
    const seen = JSON.parse(kept.getItem(chainName(chain)) ?? "null");
    return !seen || chain[seen.n - 1]?.c === seen.c;
  }
  function store(chain) {
    kept.setItem(chainName(chain), JSON.stringify({ n: chain.length, c: chain.at(-1).c }));
  }

  function badge(mark, code) {
    const spot = root.querySelector(`[data-receipt="${CSS.escape(mark)}"]`);
    const shown = one("badge-" + code) ?? one("badge-altered");
    if (spot) spot.replaceChildren(shown.content.cloneNode(true));
  }

  function finish(place, code, count, waiting) {
    if (["one", "gap", "unreachable"].includes(code)) {
      const shown = one("all-" + code).content.cloneNode(true);
      const fill = { count: String(count), waiting: String(waiting) };
      for (const spot of shown.querySelectorAll("[data-fill]")) {
        spot.textContent = fill[spot.dataset.fill];
      }
      const rest = shown.querySelector("[data-waiting]");
      if (rest) rest.hidden = !waiting;
      place.replaceChildren(shown);
      place.dataset.verdict = "all-" + code;
    } else say(code, null, place);
    if (code !== "one") return;
    kept.setItem("troth.checked", JSON.stringify({ at: new Date().toISOString(), count }));
    last();
  }

  function last() {
    const place = one("last"), told = JSON.parse(kept.getItem("troth.checked") ?? "null");
    if (!place || !told) return;
    place.querySelector("time").textContent = when(told.at);
    place.hidden = false;
  }

  const form = root.querySelector("form[data-one]"), all = root.querySelector("button[data-all]");
  if (form) listen(form);
  if (all) {
    all.hidden = false;
    all.addEventListener("click", () => checkAll(all));
    last();
  }
  const ask = root.querySelector("button[data-ask]");
  ask?.addEventListener("click", async () => { mayAsk = true; await greet(); });
  /* A copy on a disk carries the head it was made under, and asks nobody unless told to. */
  async function carried() {
    const note = one("note").textContent, head = await verifyNote(note, await known);
    await remember(await memory(), head, note, tile);
  }
  (alone ? carried().catch(() => null) : greet()).finally(() => { root.dataset.ready = ""; });
})();
