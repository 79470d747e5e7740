package mutants

var (
	identityTests = []string{"./identity"}
	clientTests   = []string{"./client", "./internal/attacks"}
)

// core are faults of formats, cryptography and the rules of both sides.
var core = []Mutant{
	{"list: signature not checked", "identity/list.go", "if err := l.Key.Verify(nameList, body, Signature(rest[:64])); err != nil {", "if err := l.Key.Verify(nameList, body, Signature(rest[:64])); err != nil && false {", identityTests},
	{"list: signature of the succeeded key not checked", "identity/list.go", "if err := from.Verify(nameSuccession, body, Signature(rest[64:])); err != nil {", "if err := from.Verify(nameSuccession, body, Signature(rest[64:])); err != nil && false {", identityTests},
	{"list: trailing bytes taken", "identity/list.go", "if len(rest) != n {", "if len(rest) < n {", identityTests},
	{"pin: older list taken", "identity/continuity.go", "if l.List.Version < p.Version {", "if l.List.Version < 1 {", identityTests},
	{"pin: fork taken", "identity/continuity.go", "if l.hash != p.Hash {\n\t\t\treturn p, ErrFork", "if false {\n\t\t\treturn p, ErrFork", identityTests},
	{"pin: predecessor not checked", "identity/continuity.go", "if l.List.Version-p.Version == 1 && l.List.Prev != p.Hash {\n\t\treturn p, ErrFork\n\t}\n\treturn PinOf(l), nil\n}\n\n// follows", "if false {\n\t\treturn p, ErrFork\n\t}\n\treturn PinOf(l), nil\n}\n\n// follows", identityTests},
	{"pin: rotation to any key", "identity/continuity.go", "if l.List.Key.Next() != p.Next {", "if false {", identityTests},
	{"pin: committed next key may change", "identity/continuity.go", "if l.List.Next != p.Next {", "if false {", identityTests},
	{"pin: agreement to another key than shown", "identity/continuity.go", "if l.List.Account == p.Account && l.List.Key != agreed {", "if false {", identityTests},
	{"certificate: signature not checked", "identity/cert.go", "if err := d.Key.Verify(nameCertificate, s.raw[:certificateBody], sig); err != nil {", "if err := d.Key.Verify(nameCertificate, s.raw[:certificateBody], sig); err != nil && false {", identityTests},
	{"certificate: of any device", "identity/cert.go", "if d.ID != s.Certificate.Device {", "if false {", identityTests},
	{"certificate: weak keys taken", "identity/cert.go", "if s.Certificate.Key.Check() != nil || s.Certificate.Auth.Check() != nil {", "if false {", identityTests},

	{"wrap: static secret left out", "wrap/wrap.go", "secret = append(append(secret, s...), z[:]...)", "secret = append(append(secret, s...), make([]byte, len(z))...)", []string{"./wrap"}},
	{"wrap: context not bound", "wrap/wrap.go", "hc, he := sha256.Sum256(info), sha256.Sum256(enc)", "hc, he := sha256.Sum256(nil), sha256.Sum256(enc)", []string{"./wrap"}},
	{"wrap: header not authenticated", "wrap/wrap.go", "aead.Seal(w.Box[:0], make([]byte, aead.NonceSize()), plain, w.Header(header).Encode())", "aead.Seal(w.Box[:0], make([]byte, aead.NonceSize()), plain, nil)", []string{"./wrap"}},
	{"wrap: digest not compared", "wrap/wrap.go", "if len(plain) != plainSize || subtle.ConstantTimeCompare(plain[64:], header.Digest[:]) != 1 {", "if len(plain) != plainSize || subtle.ConstantTimeCompare(nil, nil) != 1 {", []string{"./wrap"}},
	{"wrap: another maker's key", "wrap/wrap.go", "\t\tfromAuth != w.Context.From.Auth {", "\t\tfalse {", []string{"./wrap"}},

	{"content: every chunk under one nonce", "seal/cobblestone.go", "binary.BigEndian.Uint64(last)^i)", "binary.BigEndian.Uint64(last))", []string{"./seal"}},
	{"content: salt not in the derivation", "seal/cobblestone.go", "info := derivationLabel + string(salt[:]) + string(context)", "info := derivationLabel + string(make([]byte, saltSize)) + string(context)", []string{"./seal"}},
	{"content: commitment not compared", "seal/opener.go", "if !ctx.valid() || subtle.ConstantTimeCompare(commitment[:], s.commitment[:]) != 1 {", "if !ctx.valid() || commitment == [commitmentSize]byte{} {", []string{"./seal"}},
	{"content: segment hash not compared", "seal/opener.go", "if i == 0 && !o.headMatches() || !o.list.matches(i, b) {", "if i == 0 && !o.headMatches() {", []string{"./seal"}},
	{"content: hidden data in the padding", "seal/opener.go", "if padded, err := meta.padded(); err != nil || padded != o.list.padded {", "if _, err := meta.padded(); err != nil {", []string{"./seal"}},
	{"content: bytes after the end taken", "seal/reader.go", "if err == nil {\n\t\terr = r.src.ended()\n\t}", "if err == nil {\n\t\terr = nil\n\t}", []string{"./seal"}},

	{"receipt: MAC not checked", "message/receipt.go", "if err != nil || !hmac.Equal(r.mac(b[:receiptBody]), b[receiptBody:]) || rc.Fits(h) != nil {", "if err != nil || rc.Fits(h) != nil {", []string{"./message"}},
	{"receipt: from any side", "message/receipt.go", "if rc.Message != h.ID || rc.Account != by || h.Policy != policy {", "if rc.Message != h.ID || rc.Account != by && false || h.Policy != policy {", []string{"./message"}},
	{"end: expired by the server's word", "message/end.go", "if !h.Expired(now) {", "if false {", []string{"./message"}},
	{"end: receipt of another kind", "message/end.go", "if state, ok := rc.What.Ends(); !ok || state != e.State {", "if _, ok := rc.What.Ends(); !ok {", []string{"./message"}},
	{"wrap context: sender's own device", "message/context.go", "if c.To.Account == h.Sender && c.To.Device == h.SenderDevice {", "if false {", []string{"./message"}},

	{"retry: no cap on wraps for a device", "retry/decide.go", "case wraps >= MaxWrapsPerDevice:", "case wraps > 1000*MaxWrapsPerDevice:", []string{"./retry"}},
	{"retry: cap on devices off by one", "retry/decide.go", "case wraps == 0 && len(devices) >= MaxDevicesPerMessage:", "case wraps == 0 && len(devices) > MaxDevicesPerMessage:", []string{"./retry"}},
	{"retry: signature not asked for", "retry/decide.go", "{k.Signed, NotSigned},", "{true, NotSigned},", []string{"./retry"}},
	{"retry: anybody's message", "retry/decide.go", "{k.Recorded, NotRecorded},", "{true, NotRecorded},", []string{"./retry"}},
}
