// Writes ../hpke-peers.json: encapsulations made by the peers, which the Go
// tests open. @hpke/core draws its own randomness, so a run changes its values.
import { writeFileSync } from "node:fs";
import { ascii, hex, peers, sha256 } from "./hpke.mjs";

const infos = [
  new Uint8Array(0),
  // The info of an epoch possession challenge (spec/identity.md).
  new Uint8Array([...ascii("reseal/1 epoch possession"), 0, ...sha256(ascii("certificate"))]),
  new Uint8Array(700).map((_, i) => i),
];
const contexts = ["", "reseal/1 epoch possession", "reseal/1 wrap"];

const cases = [];
for (const peer of peers) {
  for (let i = 0; i < infos.length; i++) {
    const seed = sha256(ascii(`seed ${peer.name} ${i}`));
    const eseed = new Uint8Array([...sha256(ascii(`eseed a ${i}`)), ...sha256(ascii(`eseed b ${i}`))]);
    const pub = await peer.publicKey(seed);
    const { enc, value } = await peer.encapsulate(pub, infos[i], ascii(contexts[i]), eseed);
    cases.push({
      peer: peer.name,
      seed: hex(seed),
      public: hex(pub),
      info: hex(infos[i]),
      context: contexts[i],
      enc: hex(enc),
      export: hex(value),
    });
  }
}
writeFileSync(new URL("../hpke-peers.json", import.meta.url), JSON.stringify(cases, null, 2) + "\n");
