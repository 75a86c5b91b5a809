"use strict";
/* Compares the head in somebody's message with the ledger of today, from its public tiles. */
(() => {
  const box = document.querySelector("[data-anchor]");
  if (!box) return;
  const { parsePolicy, verifyNote, unb64, same } = globalThis.trothProof;
  const { consistencyPath, verifyConsistency, rangeRoot, tileReader } = globalThis.trothHistory;
  const place = box.querySelector("[data-answer]"), form = box.querySelector("form");
  const get = async (path) => {
    const answer = await fetch(box.dataset.anchor + path, { credentials: "omit" });
    if (!answer.ok) throw new TypeError("no such part of the ledger");
    return answer;
  };
  const tile = async (path) => new Uint8Array(await (await get(path)).arrayBuffer());

  async function compare(size, root) {
    const policy = await parsePolicy(box.querySelector("[data-policy]").textContent);
    policy.quorum = "none"; /* a head no witness saw yet is compared, too */
    const head = await verifyNote(await (await get("checkpoint")).text(), policy);
    if (size > head.size) return "later";
    const read = tileReader(head.size, tile);
    const path = await consistencyPath(size, head.size, read);
    try {
      await verifyConsistency(size, head.size, root, head.root, path);
      return "same";
    } catch {
      /* The tiles must lead to the signed head, else they say nothing about the message. */
      return same(await rangeRoot(0n, head.size, read), head.root) ? "other" : "broken";
    }
  }

  form.addEventListener("submit", async (event) => {
    const size = form.elements.size.value.replace(/[\s,.]/g, "");
    let root = null;
    try { root = unb64(form.elements.root.value.trim()); } catch { /* told below */ }
    event.preventDefault();
    let code = "unread";
    if (/^[1-9][0-9]{0,14}$/.test(size) && root?.length === 32) {
      try { code = await compare(BigInt(size), root); }
      catch (fault) { code = fault.code ? "broken" : ""; }
    }
    if (!code) form.submit(); /* nobody answers a script: let the house compare */
    else place.replaceChildren(
      box.querySelector(`[data-say="${code}"]`).content.cloneNode(true));
  });
})();
