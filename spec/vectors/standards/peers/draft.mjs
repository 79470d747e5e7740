// Writes ../xwing.json: the test vectors of draft-connolly-cfrg-xwing-kem,
// appendix C, computed anew from the draft's own inputs (SHAKE-128 of the empty
// string: 32 bytes seed and 64 bytes eseed a vector) by @noble/post-quantum.
import { writeFileSync } from "node:fs";
import { ml_kem768_x25519 as kem } from "@noble/post-quantum/hybrid.js";
import { hex, shake128 } from "./hpke.mjs";

const stream = shake128(3 * 96);
const cases = [];
for (let i = 0; i < 3; i++) {
  const seed = stream.slice(96 * i, 96 * i + 32);
  const eseed = stream.slice(96 * i + 32, 96 * i + 96);
  const { publicKey } = kem.keygen(seed);
  const { cipherText, sharedSecret } = kem.encapsulate(publicKey, eseed);
  cases.push({ seed: hex(seed), eseed: hex(eseed), pk: hex(publicKey), ct: hex(cipherText), ss: hex(sharedSecret) });
}
writeFileSync(new URL("../xwing.json", import.meta.url), JSON.stringify(cases, null, 2) + "\n");
