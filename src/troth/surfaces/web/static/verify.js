"use strict";
/* Checks receipts (c2sp.org/tlog-proof@v1) here, in the browser, by the rules of kernel/proof.py.
   Nothing of a receipt's content is looked at before its proof holds. Numbers are BigInt. */
globalThis.trothProof = (() => {
  const HASH = 32, SALT = 32, MAX_BYTES = 1 << 20, MAX_SIGNATURES = 64, MAX_LINES = 1000;
  const HEADER = "c2sp.org/tlog-proof@v1", UNTIL = "#log-until";
  const DASH = "\u2014 ", NOTE = 1, COSIGNATURE = 4;
  const SPACE = /[\t-\r\x1c-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]/;
  const B64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

  /* `code`: malformed (not a receipt or question), altered, foreign, witnesses, histories, unable. */
  class Wrong extends Error {
    constructor(code, message) { super(message); this.code = code; }
  }
  const malformed = (message) => new Wrong("malformed", message);
  const altered = (message) => new Wrong("altered", message);

  const utf8 = (text) => new TextEncoder().encode(text);
  const hex = (raw) => Array.from(raw, (b) => b.toString(16).padStart(2, "0")).join("");
  const same = (a, b) => a.length === b.length && a.every((byte, i) => byte === b[i]);
  const b64 = (raw) => btoa(Array.from(raw, (b) => String.fromCharCode(b)).join(""));
  const bits = (n) => (n ? n.toString(2).length : 0);
  const ones = (n) => n.toString(2).replaceAll("0", "").length;

  function cat(...parts) {
    const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
    let at = 0;
    for (const part of parts) { out.set(part, at); at += part.length; }
    return out;
  }
  const sha = async (...parts) =>
    new Uint8Array(await crypto.subtle.digest("SHA-256", cat(...parts)));
  const leafHash = (entry) => sha([0], entry);
  const nodeHash = (left, right) => sha([1], left, right);
  const commitment = (salt, event) => sha(utf8("evd1"), salt, event);

  function unb64(text) {
    if (!B64.test(text)) throw malformed("base64 is malformed");
    const raw = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
    if (b64(raw) !== text) throw malformed("base64 is not canonical");
    return raw;
  }
  function number(text) {
    if (!/^(0|[1-9][0-9]{0,18})$/.test(text)) throw malformed("a number is not plain decimal");
    return BigInt(text);
  }

  /* Trees */

  async function rootFromInclusion(leaf, index, size, path) {
    if (!(index >= 0n && index < size)) throw malformed("no such index");
    if ([leaf, ...path].some((h) => h.length !== HASH)) throw malformed("a hash has 32 bytes");
    const inner = bits(index ^ (size - 1n));
    if (path.length !== inner + ones(index >> BigInt(inner))) {
      throw altered("a wrong path");
    }
    let node = leaf;
    for (const [level, sibling] of path.entries()) {
      const right = level >= inner || (index >> BigInt(level)) & 1n;
      node = right ? await nodeHash(sibling, node) : await nodeHash(node, sibling);
    }
    return node;
  }

  async function verifyInclusion(entry, index, size, path, root) {
    const found = await rootFromInclusion(await leafHash(entry), index, size, path);
    if (!same(found, root)) throw altered("the path leads elsewhere");
  }

  /* Notes and policies */

  async function parseVkey(text) {
    const [name, id, ...rest] = text.split("+");
    if (!rest.length || !name || SPACE.test(name)) throw malformed("a bad key");
    const raw = unb64(rest.join("+"));
    if (raw.length !== 1 + HASH || ![NOTE, COSIGNATURE].includes(raw[0])) {
      throw malformed("an unknown key type");
    }
    const found = hex((await sha(utf8(name + "\n"), raw)).slice(0, 4));
    if (found !== id) throw malformed("a wrong key id");
    return { name, id, kind: raw[0], bytes: raw.slice(1), place: `${name}\n${id}` };
  }

  async function parsePolicy(text) {
    const policy = { logs: [], witnesses: new Map(), groups: new Map(), quorum: null };
    const members = new Set(), keys = new Set();
    const need = (ok, message) => { if (!ok) throw malformed("policy: " + message); };
    const known = (name) => policy.witnesses.has(name) || policy.groups.has(name);
    const key = async (vkey, kind) => {
      const found = await parseVkey(vkey);
      need(found.kind === kind && !keys.has(hex(found.bytes)), "a bad key");
      keys.add(hex(found.bytes));
      return found;
    };
    const rows = text.split("\n");
    need(rows.length <= MAX_LINES, "too long");
    for (const row of rows) {
      const [verb, ...words] = row.replace(/^[ \t]+|[ \t]+$/g, "").split(/[ \t]+/);
      if (!verb || (verb.startsWith("#") && verb !== UNTIL)) continue;
      if (verb === "log") {
        need(words.length === 1 || words.length === 2, "log");
        policy.logs.push(await key(words[0], NOTE));
      } else if (verb === UNTIL) {
        need(words.length === 2, "2 words");
        policy.logs.push({ ...await key(words[1], NOTE), until: number(words[0]) });
      } else if (verb === "witness") {
        need(words.length === 2 || words.length === 3, "witness");
        need(!known(words[0]) && words[0] !== "none", "a name is taken");
        policy.witnesses.set(words[0], await key(words[1], COSIGNATURE));
      } else if (verb === "group") {
        const [name, most, ...named] = words;
        need(named.length > 0, "group");
        need(!known(name) && name !== "none", "a name is taken");
        for (const each of named) {
          need(known(each) && !members.has(each), "a bad member");
          members.add(each);
        }
        const all = BigInt(named.length), k = { all, any: 1n }[most] ?? number(most);
        need(k >= 1n && k <= all, "a bad number");
        policy.groups.set(name, [Number(k), named]);
      } else if (verb === "quorum") {
        need(policy.quorum === null && words.length === 1, "exactly one quorum");
        need(words[0] === "none" || known(words[0]), "a bad quorum");
        policy.quorum = words[0];
      } else need(false, "an unknown word");
    }
    need(policy.quorum !== null && policy.logs.length, "incomplete");
    return policy;
  }

  function parseNote(note) {
    if (/[\x00-\x09\x0b-\x1f]/.test(note) || !note.endsWith("\n")) {
      throw malformed("misspelt note");
    }
    const cut = note.lastIndexOf("\n\n");
    if (cut < 1) throw malformed("not a note");
    const rows = note.slice(cut + 2, -1).split("\n");
    if (rows.length > MAX_SIGNATURES) throw malformed("too many signatures");
    const lines = rows.map((row) => {
      const gap = row.indexOf(" ", DASH.length), name = row.slice(DASH.length, gap);
      if (!row.startsWith(DASH) || gap < 0 || !name || name.includes("+")) {
        throw malformed("a bad line");
      }
      const raw = unb64(row.slice(gap + 1));
      if (raw.length < 5) throw malformed("short signature");
      return { place: `${name}\n${hex(raw.slice(0, 4))}`, signature: raw.slice(4) };
    });
    if (new Set(lines.map((l) => l.place)).size !== lines.length) {
      throw malformed("doubled");
    }
    return [note.slice(0, cut + 1), lines];
  }

  async function parseCheckpoint(text) {
    const [origin, count, encoded, end, ...more] = text.split("\n");
    if (end !== "" || more.length || !origin) {
      throw malformed("not a checkpoint");
    }
    const root = unb64(encoded);
    if (root.length !== HASH) throw malformed("a root has 32 bytes");
    const size = number(count);
    if (!size && !same(root, await sha())) throw malformed("a wrong empty root");
    return { origin, size, root };
  }

  /* Ed25519: a browser must first tell a good signature from a bad one */

  let able = null;
  async function check(key, signature, message) {
    try {
      const ed = { name: "Ed25519" };
      const imported = await crypto.subtle.importKey("raw", key, ed, false, ["verify"]);
      return await crypto.subtle.verify(ed, imported, signature, message);
    } catch { return false; }
  }
  function canCheck() {
    able ??= (async () => {
      if (!globalThis.crypto?.subtle) return false;
      const key = unb64("6TJ5GubnqECkYWTJBHhkJtXngh3YspoA1hyucq/dTaQ=");
      const good = unb64("SfyytXXIkaHZVhGUvVOdqC/VgSrpN9emnOLY42dwCVOArtm2DURFg1lexiM4" +
        "EfeYVeZEq7AeMbVi7vYid7JpAw==");
      const text = utf8("This is an example message.\n"), bad = good.slice();
      bad[40] ^= 1;
      return (await check(key, good, text)) && !(await check(key, bad, text));
    })();
    return able;
  }

  function cosigned(text, key, signature) {
    if (signature.length !== 72) return false;
    const time = BigInt("0x" + hex(signature.slice(0, 8)));
    if (time < 1n || time >= 1n << 63n) return false;
    return check(key.bytes, signature.slice(8), utf8(`cosignature/v1\ntime ${time}\n${text}`));
  }

  async function verifyNote(note, policy) {
    const [text, lines] = parseNote(note), head = await parseCheckpoint(text);
    if (!(await canCheck())) throw new Wrong("unable", "this browser cannot check Ed25519");
    const logs = new Map(), witnesses = new Map(), met = new Set();
    for (const key of policy.logs) if (key.name === head.origin) logs.set(key.place, key);
    for (const [name, key] of policy.witnesses) witnesses.set(key.place, [name, key]);
    let signed = false;
    for (const { place, signature } of lines) {
      if (logs.has(place)) {
        const good = await check(logs.get(place).bytes, signature, utf8(text));
        if (!good) throw altered("the ledger's signature is wrong");
        signed ||= head.size <= (logs.get(place).until ?? head.size);
      } else if (witnesses.has(place)) {
        const [name, key] = witnesses.get(place);
        if (!(await cosigned(text, key, signature))) throw altered("a witness signature is wrong");
        met.add(name);
      }
    }
    if (!signed) throw new Wrong("foreign", "no known ledger signed this");
    for (const [name, [k, named]] of policy.groups) {
      if (named.filter((each) => met.has(each)).length >= k) met.add(name);
    }
    if (policy.quorum !== "none" && !met.has(policy.quorum)) {
      throw new Wrong("witnesses", "too few witnesses signed this");
    }
    return head;
  }

  /* Receipts; `raw` is the file's bytes. With `statements` also of public statements:
     extra 0x03 and the entry, as of an erasure */

  async function readReceipt(raw, policy, statements = false) {
    if (raw.length > MAX_BYTES) throw malformed("too long");
    let text;
    try {
      text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(raw);
    } catch { throw malformed("a receipt is UTF-8 text"); }
    const cut = text.indexOf("\n\n"), lines = text.slice(0, cut).split("\n");
    if (cut < 0 || lines.length < 3 || lines[0] !== HEADER) throw malformed("not a receipt");
    if (!lines[1].startsWith("extra ") || !lines[2].startsWith("index ")) {
      throw malformed("no extra or index");
    }
    const path = lines.slice(3).map(unb64);
    if (path.length >= HASH * 8) throw malformed("many hashes");
    const extra = unb64(lines[1].slice(6)), index = number(lines[2].slice(6));
    const note = text.slice(cut + 2), head = await verifyNote(note, policy);
    let event = null, statement = null, c, entry;
    if (statements && extra[0] === 3 && extra[1] === 1) {
      entry = extra.slice(1);
      statement = entry.slice(1);
    } else if (extra[0] === 2 && extra.length === 1 + HASH) c = extra.slice(1);
    else if (extra[0] === 1 && extra.length > 1 + SALT) {
      event = extra.slice(1 + SALT);
      c = await commitment(extra.slice(1, 1 + SALT), event);
    } else throw malformed("an unknown extra");
    await verifyInclusion(entry ?? cat([0], c), index, head.size, path, head.root);
    const read = (bytes) => bytes && new TextDecoder().decode(bytes);
    return { event: read(event), statement: read(statement), c, index, head, note };
  }

  return {
    Wrong, HASH, bits, ones, same, utf8, hex, b64, unb64, sha, leafHash, nodeHash,
    rootFromInclusion, verifyInclusion, parseVkey, parsePolicy, parseNote, verifyNote,
    readReceipt, canCheck,
  };
})();
