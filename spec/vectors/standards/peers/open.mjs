// Reads ../hpke-go.json, encapsulations made by Go, opens each with every peer
// and writes what came out to ../hpke-go-opened.json. Exits 1 when a peer
// disagrees with Go. The Go tests compare the record with Go's own exports.
import { readFileSync, writeFileSync } from "node:fs";
import { ascii, hex, peers, unhex } from "./hpke.mjs";

const cases = JSON.parse(readFileSync(new URL("../hpke-go.json", import.meta.url)));
const opened = [];
for (const c of cases) {
  for (const peer of peers) {
    const pub = hex(await peer.publicKey(unhex(c.seed)));
    const value = hex(await peer.open(unhex(c.seed), unhex(c.enc), unhex(c.info), ascii(c.context)));
    if (pub !== c.public || value !== c.export) {
      console.error(`${peer.name}: ${c.name}: disagrees with Go`);
      process.exitCode = 1;
    }
    opened.push({ peer: peer.name, name: c.name, public: pub, export: value });
  }
}
writeFileSync(new URL("../hpke-go-opened.json", import.meta.url), JSON.stringify(opened, null, 2) + "\n");
