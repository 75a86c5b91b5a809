// A second opinion on receipts and tiles, in another language, on another library's cryptography.
// Written from the standards alone (RFC 6962, RFC 9162, c2sp.org); shares no line with the product.
// usage: node receipt_in_node.mjs RECEIPT LOG-VKEY WITNESS-VKEY|- [TILES-FOLDER]
import { createHash, createPublicKey, verify } from "node:crypto";
import { readFileSync } from "node:fs";

const [receiptFile, logVkey, witnessVkey, tiles] = process.argv.slice(2);
const die = (why) => { console.log(JSON.stringify({ verified: false, why })); process.exit(1); };
const H = (...parts) => { const h = createHash("sha256"); parts.forEach((p) => h.update(p)); return h.digest(); };
const B64 = (text) => { const raw = Buffer.from(text, "base64"); if (raw.toString("base64") !== text) die("base64"); return raw; };

function vkey(text) {
  const at = text.indexOf("+"), second = text.indexOf("+", at + 1);
  const name = text.slice(0, at), id = text.slice(at + 1, second), raw = B64(text.slice(second + 1));
  if (H(name + "\n", raw).subarray(0, 4).toString("hex") !== id) die("key id");
  const spki = Buffer.concat([Buffer.from("302a300506032b6570032100", "hex"), raw.subarray(1)]);
  return { name, id, kind: raw[0], key: createPublicKey({ key: spki, format: "der", type: "spki" }) };
}

const text = readFileSync(receiptFile, "utf8");
const [head, body, signatures] = [
  text.slice(0, text.indexOf("\n\n")),
  text.slice(text.indexOf("\n\n") + 2, text.lastIndexOf("\n\n") + 1),
  text.slice(text.lastIndexOf("\n\n") + 2).trimEnd().split("\n"),
];
const [format, extraLine, indexLine, ...hashes] = head.split("\n");
if (format !== "c2sp.org/tlog-proof@v1") die("format");
const extra = B64(extraLine.replace(/^extra /, "")), index = Number(indexLine.replace(/^index /, ""));
const [origin, sizeText, rootText] = body.split("\n"), size = Number(sizeText), root = B64(rootText);

const log = vkey(logVkey), witness = witnessVkey === "-" ? null : vkey(witnessVkey);
if (origin !== log.name) die("origin");
let signed = false, cosigned = false;
for (const line of signatures) {
  const [dash, name, blob] = line.split(" "), raw = B64(blob), id = raw.subarray(0, 4).toString("hex");
  if (dash !== "\u2014") die("dash");
  if (name === log.name && id === log.id) {
    if (!verify(null, Buffer.from(body), log.key, raw.subarray(4))) die("log signature");
    signed = true;
  } else if (witness && name === witness.name && id === witness.id) {
    const time = raw.readBigUInt64BE(4), message = `cosignature/v1\ntime ${time}\n${body}`;
    if (!verify(null, Buffer.from(message), witness.key, raw.subarray(12))) die("cosignature");
    cosigned = true;
  }
}
if (!signed) die("unsigned");
if (witness && !cosigned) die("no witness");

let entry;
if (extra[0] === 1) entry = Buffer.concat([Buffer.from([0]), H("evd1", extra.subarray(1))]);
else if (extra[0] === 2) entry = Buffer.concat([Buffer.from([0]), extra.subarray(1)]);
else if (extra[0] === 3) entry = extra.subarray(1);
else die("extra");
// RFC 9162 section 2.1.3.2, as it is written there
let fn = index, sn = size - 1, r = H(Buffer.from([0]), entry);
if (fn > sn) die("index");
for (const each of hashes) {
  const p = B64(each);
  if (sn === 0) die("too long");
  if (fn % 2 === 1 || fn === sn) {
    r = H(Buffer.from([1]), p, r);
    while (fn % 2 === 0 && fn !== 0) { fn = Math.floor(fn / 2); sn = Math.floor(sn / 2); }
  } else r = H(Buffer.from([1]), r, p);
  fn = Math.floor(fn / 2); sn = Math.floor(sn / 2);
}
if (sn !== 0 || !r.equals(root)) die("inclusion");

if (tiles) { // the whole tree again from its level-0 tiles (RFC 6962 section 2.1)
  const leaves = [];
  for (let n = 0; n * 256 < size; n += 1) {
    const width = Math.min(256, size - n * 256), name = String(n).padStart(3, "0");
    const raw = readFileSync(`${tiles}/tile/0/${name}${width < 256 ? `.p/${width}` : ""}`);
    for (let i = 0; i < width; i += 1) leaves.push(raw.subarray(i * 32, i * 32 + 32));
  }
  const mth = (d) => {
    if (d.length === 1) return d[0];
    let k = 1;
    while (k * 2 < d.length) k *= 2;
    return H(Buffer.from([1]), mth(d.slice(0, k)), mth(d.slice(k)));
  };
  if (!mth(leaves).equals(root)) die("tiles");
}
console.log(JSON.stringify({ verified: true, index, size, cosigned }));
