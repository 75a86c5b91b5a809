"use strict";
/* One history: consistency of two signed heads, computed from the public tiles (C2SP tlog-tiles)
   and checked by RFC 9162; and the memory of the newest head this browser saw of a ledger. */
globalThis.trothHistory = (() => {
  const { Wrong, HASH, bits, ones, same, b64, unb64, nodeHash } = globalThis.trothProof;
  const malformed = (message) => new Wrong("malformed", message);

  async function verifyConsistency(size1, size2, root1, root2, path) {
    if (size1 < 1n || size2 < size1) throw malformed("these sizes cannot be compared");
    if ([root1, root2, ...path].some((h) => h.length !== HASH)) throw malformed("a hash has 32 bytes");
    const broken = new Wrong("histories", "the later ledger does not continue the earlier one");
    if (size1 === size2) {
      if (path.length || !same(root1, root2)) throw broken;
      return;
    }
    const shift = bits(size1 & -size1) - 1;
    const inner = bits((size1 - 1n) ^ (size2 - 1n)) - shift;
    const border = ones((size1 - 1n) >> BigInt(inner + shift));
    const whole = size1 === 1n << BigInt(shift);
    const start = whole ? 0 : 1;
    if (path.length !== start + inner + border) throw broken;
    let old = whole ? root1 : path[0], now = old;
    const mask = (size1 - 1n) >> BigInt(shift);
    for (const [level, sibling] of path.slice(start).entries()) {
      if (level >= inner || (mask >> BigInt(level)) & 1n) {
        old = await nodeHash(sibling, old);
        now = await nodeHash(sibling, now);
      } else now = await nodeHash(now, sibling);
    }
    if (!same(old, root1) || !same(now, root2)) throw broken;
  }

  /* Tiles: `read(level, number)` gives a tile's hashes, as many as the asked size needs */

  async function rangeRoot(start, end, read) {
    const size = end - start;
    if (size & (size - 1n)) {
      const cut = 1n << BigInt(bits(size - 1n) - 1);
      return nodeHash(
        await rangeRoot(start, start + cut, read), await rangeRoot(start + cut, end, read));
    }
    const height = bits(size) - 1, inside = height % 8;
    const first = (start >> BigInt(height)) << BigInt(inside);
    const raw = await read((height - inside) / 8, first / 256n);
    const at = Number(first % 256n) * HASH, part = raw.slice(at, at + (HASH << inside));
    if (part.length !== HASH << inside) throw new Wrong("altered", "a tile is too short");
    let row = [];
    for (let i = 0; i < part.length; i += HASH) row.push(part.slice(i, i + HASH));
    while (row.length > 1) {
      const above = [];
      for (let i = 0; i < row.length; i += 2) above.push(await nodeHash(row[i], row[i + 1]));
      row = above;
    }
    return row[0];
  }

  async function consistencyPath(size1, size2, read) {
    const path = [];
    let start = 0n, end = size2, known = true;
    while (size1 !== end) {
      const cut = start + (1n << BigInt(bits(end - start - 1n) - 1));
      if (size1 <= cut) {
        path.push(await rangeRoot(cut, end, read));
        end = cut;
      } else {
        path.push(await rangeRoot(start, cut, read));
        start = cut;
        known = false;
      }
    }
    if (!known) path.push(await rangeRoot(start, end, read));
    return path.reverse();
  }

  function tilePath(level, tile, width) {
    const digits = String(tile), wide = digits.padStart(Math.ceil(digits.length / 3) * 3, "0");
    const groups = wide.match(/.{3}/g), last = groups.pop();
    const path = [...groups.map((g) => "x" + g), last].join("/");
    return `tile/${level}/${path}` + (width < 256n ? `.p/${width}` : "");
  }

  /* Reads tiles of a signed size by `get(path)`, each once. */
  function tileReader(size, get) {
    const had = new Map();
    return (level, tile) => {
      const left = (size >> BigInt(8 * level)) - tile * 256n, width = left < 256n ? left : 256n;
      const path = tilePath(level, tile, width);
      if (!had.has(path)) had.set(path, get(path));
      return had.get(path);
    };
  }

  /* What this browser saw of a ledger: the newest head, and older ones shown to be part of it.
     Once two histories were seen, both signed notes stay as evidence. */
  class Memory {
    constructor(store, origin) {
      this.store = store;
      this.name = "troth.ledger:" + origin;
    }
    get() {
      try { return JSON.parse(this.store.getItem(this.name)) ?? { heads: {} }; }
      catch { return { heads: {} }; }
    }
    put(held) { this.store.setItem(this.name, JSON.stringify(held)); }
    add(held, head, note) {
      held.heads[head.size] = b64(head.root);
      const sizes = Object.keys(held.heads).sort((a, b) => (BigInt(a) < BigInt(b) ? 1 : -1));
      for (const old of sizes.slice(500)) delete held.heads[old];
      if (!held.size || head.size > BigInt(held.size)) {
        Object.assign(held, { size: String(head.size), root: b64(head.root), note });
      }
      this.put(held);
    }
    split(held, head, note) {
      held.evidence ??= [held.note, note];
      this.put(held);
      return "histories";
    }
  }

  /* Compares a verified head with the memory: "one" history, "later" (nobody could be asked),
     "unproved" (what was sent does not fit), "histories". `get(path)` reads a public tile. */
  async function remember(memory, head, note, get) {
    const held = memory.get();
    if (held.evidence) return "histories";
    if (held.note && held.heads[head.size] !== undefined) {
      return held.heads[head.size] === b64(head.root) ? "one" : memory.split(held, head, note);
    }
    if (!held.note || !head.size) {
      if (head.size) memory.add(held, head, note);
      return "one";
    }
    const last = { size: BigInt(held.size), root: unb64(held.root) };
    const [old, now] = last.size < head.size ? [last, head] : [head, last];
    const read = tileReader(now.size, get);
    try {
      const path = await consistencyPath(old.size, now.size, read);
      await verifyConsistency(old.size, now.size, old.root, now.root, path);
    } catch (fault) {
      if (!(fault instanceof Wrong)) return "later";
      const [before, after] = await Promise.all(
        [old, now].map(async (each) => same(await rangeRoot(0n, each.size, read), each.root))
      ).catch(() => [false, false]);
      return before !== after ? memory.split(held, head, note) : "unproved";
    }
    memory.add(memory.get(), head, note);
    return "one";
  }

  return { verifyConsistency, rangeRoot, consistencyPath, tilePath, tileReader, Memory, remember };
})();
