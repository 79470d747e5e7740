// A wrap written from spec/wrap.md alone, over HPKE implementations that share
// no code with Go's (../standards/peers). It opens the good-*.json that Go made,
// and writes good-peer-*.json, which the Go tests open. A run changes the latter:
// the encapsulation is fresh. Run: npm install in ../standards/peers, then
// node peer.mjs here.
import { createCipheriv, createDecipheriv, createPrivateKey, createPublicKey, diffieHellman, hkdfSync } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { ascii, hex, peers, sha256, unhex } from "../standards/peers/hpke.mjs";

const at = (name) => new URL(name, import.meta.url);
const read = (name) => JSON.parse(readFileSync(at(name)));
const concat = (...parts) => new Uint8Array(Buffer.concat(parts));
const der = (prefix, key) => Buffer.concat([Buffer.from(prefix, "hex"), key]);

const privateKey = (seed) =>
  createPrivateKey({ key: der("302e020100300506032b656e04220420", seed), format: "der", type: "pkcs8" });
const publicKey = (raw) => createPublicKey({ key: der("302a300506032b656e032100", raw), format: "der", type: "spki" });
const rawPublic = (priv) => createPublicKey(priv).export({ format: "der", type: "spki" }).subarray(12);

// Offsets of spec/wrap.md, section 2, and of a header, spec/message.md, section 3.
const C = 415, ENC = 1120;
const fromAccount = (c) => c.subarray(23, 39), fromDevice = (c) => c.subarray(71, 87);
const sender = (h) => h.subarray(35, 51), senderDevice = (h) => h.subarray(67, 83);

function aad(header, c) {
  const h = new Uint8Array(header);
  const own = hex(fromAccount(c)) === hex(sender(h)) && hex(fromDevice(c)) === hex(senderDevice(h));
  if (!own) {
    h.set(fromAccount(c), 174);
    h.set(fromDevice(c), 190);
  }
  return h;
}

function boxKey(s, z, c, enc) {
  const info = concat(ascii("reseal/1 wrap key"), sha256(c), sha256(enc));
  return new Uint8Array(hkdfSync("sha256", concat(s, z), new Uint8Array(0), info, 32));
}

async function seal(peer, c, to, z, header, plain) {
  const { enc, value } = await peer.encapsulate(to, c, ascii("reseal/1 wrap"));
  const gcm = createCipheriv("aes-256-gcm", boxKey(value, z, c, enc), new Uint8Array(12)).setAAD(aad(header, c));
  return concat(c, enc, gcm.update(plain), gcm.final(), gcm.getAuthTag());
}

async function open(peer, v) {
  const wrap = unhex(v.wrap), c = wrap.subarray(0, C), enc = wrap.subarray(C, C + ENC), box = wrap.subarray(C + ENC);
  const s = await peer.open(unhex(v.epoch_seed), enc, c, ascii("reseal/1 wrap"));
  const z = diffieHellman({ privateKey: privateKey(unhex(v.auth_seed)), publicKey: publicKey(unhex(v.from_auth)) });
  const gcm = createDecipheriv("aes-256-gcm", boxKey(s, z, c, enc), new Uint8Array(12)).setAAD(aad(unhex(v.header), c));
  gcm.setAuthTag(box.subarray(96));
  return concat(gcm.update(box.subarray(0, 96)), gcm.final());
}

for (const name of ["good-sender.json", "good-copy.json", "good-holder-own.json", "good-holder-other.json"]) {
  const v = read(name);
  for (const peer of peers) {
    if (hex(await open(peer, v)) !== v.cek + v.r + v.digest) throw new Error(`${peer.name} opens ${name} to something else`);
  }
}

// The wrapping device of good-sender.json; its seed is that of the Go fixture.
const auth = privateKey(sha256(ascii("fixture XA alicephone")));
const base = read("good-sender.json");
if (hex(rawPublic(auth)) !== base.from_auth) throw new Error("not the fixture's auth key");
const z = diffieHellman({ privateKey: auth, publicKey: publicKey(rawPublic(privateKey(unhex(base.auth_seed)))) });
for (const [i, peer] of peers.entries()) {
  const to = await peer.publicKey(unhex(base.epoch_seed));
  const wrap = await seal(peer, unhex(base.wrap).subarray(0, C), to, z, unhex(base.header), unhex(base.cek + base.r + base.digest));
  const v = { ...base, scenario: `made from the specification with ${peer.name}`, wrap: hex(wrap) };
  writeFileSync(at(`good-peer-${i + 1}.json`), JSON.stringify(v, null, 2) + "\n");
}
