// Nothing is sent or stored before troth.consent({purpose: "site", given: true, notice}); GPC: never.
(() => {
  const doc = document, home = doc.currentScript.src.replace(/\/collect\.js.*/, "/api/v1/"), box = localStorage;
  const gpc = navigator.globalPrivacyControl === true, cred = { credentials: "include" };
  const hex = () => Array.from(crypto.getRandomValues(new Uint8Array(16)), (b) => (b + 256).toString(16).slice(1)).join("");
  const read = () => { try { return JSON.parse(box.troth) || {}; } catch { return {}; } };
  const keep = (said) => { try { said ? (box.troth = JSON.stringify(said)) : box.removeItem("troth"); } catch {} };
  const day = () => Date.now() / 864e5 | 0;
  const beacon = (events) => navigator.sendBeacon(home + "site/events", JSON.stringify({ v: 1, events }));
  let on, timer, waiting = [];
  const flush = () => {
    timer = clearTimeout(timer);
    if (on && waiting.length)
      beacon(waiting.splice(0, 50).map(([t, e]) => ({ ...e, ago: Math.max(0, (Date.now() - t) / 1e3 | 0) })));
  };
  const event = (kind, fields) => {
    if (!on) return;
    waiting.push([Date.now(), { ...fields, kind }]);
    if (waiting.length > 49) flush(); else timer ||= setTimeout(flush, 5e3);
  };
  const add = (to, name, text) => { const made = to.appendChild(doc.createElement(name)); made.textContent = text; return made; };
  const fill = async (slot) => {
    const told = await (await fetch(home + "content/" + slot.dataset.trothSlot, cred)).json();
    if (!on || !told.heading) return;
    slot.replaceChildren();
    add(slot, "h2", told.heading); add(slot, "p", told.text);
    const list = add(slot, "ul", "");
    told.items.forEach((i) => add(list, "li", i));
    if (told.link) add(slot, "a", told.link.text).href = told.link.href;
    if (told.why) add(slot, "small", told.why);
  };
  const start = () => {
    if (on) return;
    on = true;
    doc.querySelectorAll("[data-troth-view]").forEach((e) => event("view", { item: e.dataset.trothView, group: e.dataset.trothGroup }));
    doc.querySelectorAll("[data-troth-slot]").forEach((e) => fill(e).catch(() => {}));
  };
  const consent = async ({ purpose = "site", given, notice, method, forget }) => {
    const all = read(), [held, since] = all[purpose] || [], site = purpose === "site";
    if (site && (!given || gpc)) { on = false; waiting = []; }
    if (gpc && given) {
      if (held) { keep(); beacon([]); }
      return { state: "off" };
    }
    if (given && held === notice && day() - since < 390) { if (site) start(); return { state: "given" }; }
    if (!given && !held) return { state: "nobody" };
    const session = hex();
    const { token } = await (await fetch(`${home}site/token?session=${session}&notice=${notice}`, cred)).json();
    const told = await (await fetch(home + "site/consent", {
      ...cred, method: "POST", headers: { "content-type": "application/json", "idempotency-key": hex() },
      body: JSON.stringify({ purpose, given, notice, method, forget, session, token }),
    })).json();
    delete all[purpose];
    if (told.state === "given") { keep({ ...all, [purpose]: [notice, day()] }); if (site) start(); }
    else if (told.state) keep(site ? 0 : all);
    return told;
  };
  addEventListener("pagehide", flush);
  addEventListener("visibilitychange", () => doc.hidden && flush());
  window.troth = { consent, event };
})();
