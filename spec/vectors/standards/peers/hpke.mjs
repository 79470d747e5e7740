// HPKE over MLKEM768-X25519 (0x647a), HKDF-SHA256, export only (RFC 9180), by
// two implementations that share no code with Go's: @hpke/core with
// @hpke/hybridkem-x-wing, and the KEM of @noble/post-quantum with the key
// schedule of RFC 9180, section 5.1, written out below.
import { createHash, createHmac } from "node:crypto";
import { CipherSuite, ExportOnly, HkdfSha256 } from "@hpke/core";
import { XWing } from "@hpke/hybridkem-x-wing";
import { ml_kem768_x25519 as kem } from "@noble/post-quantum/hybrid.js";

export const hex = (b) => Buffer.from(b).toString("hex");
export const unhex = (s) => new Uint8Array(Buffer.from(s, "hex"));
export const ascii = (s) => new Uint8Array(Buffer.from(s, "ascii"));
export const sha256 = (b) => new Uint8Array(createHash("sha256").update(b).digest());
// shake128 of the empty string: where the X-Wing draft takes its test inputs from.
export const shake128 = (n) => new Uint8Array(createHash("shake128", { outputLength: n }).digest());

const suite = new CipherSuite({ kem: new XWing(), kdf: new HkdfSha256(), aead: new ExportOnly() });
const buffer = (b) => new Uint8Array(b).buffer;

const hpkejs = {
  name: "@hpke/core 1.9.0 + @hpke/hybridkem-x-wing 0.7.0",
  async publicKey(seed) {
    const pair = await suite.kem.generateKeyPairDerand(new Uint8Array(seed));
    return new Uint8Array(await suite.kem.serializePublicKey(pair.publicKey));
  },
  async encapsulate(pub, info, context) {
    const recipientPublicKey = await suite.kem.deserializePublicKey(buffer(pub));
    const ctx = await suite.createSenderContext({ recipientPublicKey, info: buffer(info) });
    return { enc: new Uint8Array(ctx.enc), value: new Uint8Array(await ctx.export(buffer(context), 32)) };
  },
  async open(seed, enc, info, context) {
    const recipientKey = await suite.kem.deserializePrivateKey(buffer(seed));
    const ctx = await suite.createRecipientContext({ recipientKey, enc: buffer(enc), info: buffer(info) });
    return new Uint8Array(await ctx.export(buffer(context), 32));
  },
};

const noble = {
  name: "@noble/post-quantum 0.7.1",
  async publicKey(seed) {
    return kem.keygen(seed).publicKey;
  },
  async encapsulate(pub, info, context, eseed) {
    const { cipherText, sharedSecret } = kem.encapsulate(pub, eseed);
    return { enc: cipherText, value: exportOnly(sharedSecret, info, context) };
  },
  async open(seed, enc, info, context) {
    return exportOnly(kem.decapsulate(enc, kem.keygen(seed).secretKey), info, context);
  },
};

export const peers = [hpkejs, noble];

const concat = (...parts) => Buffer.concat(parts.map((p) => Buffer.from(p)));
const hmac = (key, data) => createHmac("sha256", key).update(data).digest();
const uint16 = (n) => Buffer.from([n >> 8, n & 255]);

// suite_id = "HPKE" || kem_id || kdf_id || aead_id
const suiteID = concat(ascii("HPKE"), uint16(0x647a), uint16(0x0001), uint16(0xffff));
const labeledExtract = (salt, label, ikm) => hmac(salt, concat(ascii("HPKE-v1"), suiteID, ascii(label), ikm));
// One block is enough: every output here has 32 bytes.
const labeledExpand = (prk, label, info) =>
  hmac(prk, concat(uint16(32), ascii("HPKE-v1"), suiteID, ascii(label), info, [1]));

function exportOnly(shared, info, context) {
  const none = new Uint8Array(0);
  const scheduleContext = concat(
    [0], // mode_base
    labeledExtract(none, "psk_id_hash", none),
    labeledExtract(none, "info_hash", info),
  );
  const secret = labeledExtract(shared, "secret", none);
  const exporter = labeledExpand(secret, "exp", scheduleContext);
  return new Uint8Array(labeledExpand(exporter, "sec", context));
}
