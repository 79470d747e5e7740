package mutants

// sides are faults of the engine, the installation, the server and the stores.
var sides = []Mutant{
	{"engine: blocked and alarmed not held", "client/check.go", "if p.blocked || p.alarm {", "if false {", clientTests},
	{"engine: another account key", "client/check.go", "if from.Key != p.list.List.Key {", "if false {", clientTests},
	{"engine: device outside the list", "client/check.go", "if !ok || d.Key != from.DeviceKey {", "if !ok && d.Key != d.Key {", clientTests},
	{"engine: certificate not compared", "client/check.go", "if cert.Hash() != from.Cert || !s.e.memory.isCertified(cert, d) || cert.Certificate.Auth != from.Auth || !cert.Certificate.ValidAt(from.At) {", "if !s.e.memory.isCertified(cert, d) {", clientTests},
	{"engine: answers again in the name of an old key", "client/build.go", "if err1 != nil || err2 != nil || w.Context.From.Key != own.List.Key {", "if err1 != nil || err2 != nil || w == nil || own == nil {", clientTests},
	{"engine: a book's older key taken", "client/book.go", "s.meet(own, merged)", "", []string{"./internal/sim"}},
	{"engine: a certificate good for every device", "client/memory.go", "if c.Verify(d) != nil {", "if false {", clientTests},
	{"book: an older pin in conflict", "book/contact.go", "case err != nil, p.Version < cur.Version:", "case err != nil:", []string{"./book"}},
	{"engine: opens what has expired", "client/check.go", "if h.Expired(s.now) {", "if false {", clientTests},
	{"engine: fork in a wrap not seen", "client/check.go", "if from.ListVersion == p.list.List.Version && from.ListHash != p.list.Hash() {", "if false {", clientTests},
	{"engine: answers under an alarm", "client/retry.go", "KeyPinned: !p.alarm, NotBlocked: !p.blocked,", "KeyPinned: true, NotBlocked: !p.blocked,", clientTests},
	{"engine: answers a blocked account", "client/retry.go", "KeyPinned: !p.alarm, NotBlocked: !p.blocked,", "KeyPinned: !p.alarm, NotBlocked: true,", clientTests},
	{"engine: answers more than was asked for", "client/retry.go", "if len(b) == len(message.ID{}) && slices.Contains(all, message.ID(b)) {", "if len(b) == len(message.ID{}) {", clientTests},
	{"engine: end leaves the key", "client/receipt.go", "in.Cek, in.R, in.Inline, in.Segments, in.Wraps, in.File = nil, nil, nil, nil, nil, \"\"", "in.Inline, in.Segments, in.Wraps, in.File = nil, nil, nil, \"\"", clientTests},
	{"engine: end leaves no mark", "client/receipt.go", "s.tx.put(expireName(until, \"end/\"+h.ID.String()), present)", "s.tx.delete(endName(h.ID))", clientTests},
	{"engine: receipts without end", "client/receipt.go", "if r.What == seen.What && string(r.Device) == string(seen.Device) {", "if r.What == 0 {", clientTests},
	{"engine: a foreign list among the rotations", "client/account.go", "if err == nil && l.List.Account != pin.Account {", "if false {", clientTests},

	{"vault: frame acknowledged before the sync", "client/vault/commit.go", "if err := s.journal.Sync(); err != nil {", "if err := error(nil); err != nil {", []string{"./client/vault"}},
	{"vault: new journal's name not synced", "client/vault/commit.go", "err = s.v.fs.SyncDir()\n\t}\n\tif err != nil {\n\t\ts.broken = true", "err = nil\n\t}\n\tif err != nil {\n\t\ts.broken = true", []string{"./client/vault"}},
	{"vault: goes on after a failed sync", "client/vault/commit.go", "// would prove nothing about this frame.\n\t\ts.broken = true", "// would prove nothing about this frame.", []string{"./client/vault"}},
	{"vault: frames not chained", "client/vault/frame.go", "return append(append(make([]byte, 0, 56), f[:frameHeaderSize]...), c.last[:]...)", "return append(append(make([]byte, 0, 56), f[:frameHeaderSize]...), make([]byte, tagSize)...)", []string{"./client/vault"}},
	{"vault: fixed nonce", "client/vault/frame.go", "if _, err := io.ReadFull(rand, f[12:24]); err != nil {", "if _, err := io.ReadFull(rand, make([]byte, 12)); err != nil {", []string{"./client/vault"}},
	{"handover: runs what its caller has given up", "client/handover/owner.go", "if w.send(kindStarted, nil) != nil {\n\t\treturn\n\t}", "_ = w.send(kindStarted, nil)", []string{"./client/handover"}},

	{"server: device list of any predecessor", "server/auth/device.go", "if l.List.Account != a.id || l.List.Version != a.list.List.Version+1 || l.List.Prev != a.list.Hash() {", "if l.List.Account != a.id || l.List.Version != a.list.List.Version+1 {", []string{"./server/auth"}},
	{"server: device list by any key", "server/auth/device.go", "if _, err := identity.PinOf(a.list).Follow(l); err != nil || l.Rotation() {", "if false {", []string{"./server/auth"}},
	{"server: login under a changed password", "server/auth/login.go", "if a.pw.Credential != st.Credential {", "if false {", []string{"./server/auth"}},
	{"server: change of the password by any session", "server/auth/password.go", "if err == nil && !c.Device.IsZero() {", "if false {", []string{"./server/auth"}},
	{"server: removal leaves the share", "server/auth/device.go", "if _, ok := l.Find(sh.Device); ok {\n\t\t\tcontinue", "if _, ok := l.Find(sh.Device); ok || !ok {\n\t\t\tcontinue", []string{"./server/auth"}},
	{"server: message id not checked", "server/mailbox/send.go", "h.ID != message.NewID(h.Created.Day(), h.Sender, h.Recipient, message.ClientID(req.ClientId), h.Digest) {", "false {", []string{"./server/mailbox"}},
	{"server: ended message stored again", "server/mailbox/send.go", "if known.end != nil {\n\t\treturn &resealv1.SendResponse{End: known.end}, s.sweep", "if false {\n\t\treturn &resealv1.SendResponse{End: known.end}, s.sweep", []string{"./server/mailbox", "./client"}},
	{"server: no second look", "server/mailbox/look.go", "if !covered {\n\t\t\treturn true, nil", "if false {\n\t\t\treturn true, nil", []string{"./server/mailbox", "./client"}},
	{"server: view without the claim", "server/mailbox/end.go", "if err != nil || perr != nil || claim.Device != rc.Device {", "if err != nil || perr != nil || claim.Until == 0 {", []string{"./server/mailbox", "./client"}},
	{"server: two claims", "server/mailbox/view.go", "if old.Device != c.Device && old.Until > s.now() {", "if old.Device != c.Device && old.Until < 1 {", []string{"./server/mailbox", "./client"}},
	{"server: end leaves the wraps", "server/mailbox/end.go", "batch.DeleteOnce(rec.Key)", "_ = rec.Key", []string{"./server/mailbox", "./client"}},
	{"server: end leaves the blob", "server/mailbox/end.go", "if err := s.Blobs.DropReference(ctx, h.Blob, h.Sender, id); err != nil {", "if err := error(nil); err != nil {", []string{"./server/mailbox", "./client"}},
	{"server: unknown outcome of an end not tried again", "server/mailbox/end.go", "if errors.Is(err, store.ErrUnknown) && ctx.Err() == nil {\n\t\terr = s.Store.Commit(ctx, p, batch)", "if errors.Is(err, store.ErrUnknown) && ctx.Err() == nil {\n\t\terr = nil", []string{"./server/mailbox", "./client"}},
	{"server: receipt in another device's name", "server/mailbox/receipt.go", "if rc.Account != c.Account || rc.Device != c.Device || string(rc.Message[:]) != string(req.MessageId) ||", "if rc.Account != c.Account || string(rc.Message[:]) != string(req.MessageId) ||", []string{"./server/mailbox"}},
	{"server: retry request in another device's name", "server/retry/retry.go", "if r.Request.Account != c.Account || r.Request.Device != c.Device || !listed || r.Verify(d.Key) != nil {", "if r.Request.Account != c.Account || !listed || len(d.Key) == 0 {", []string{"./server/retry"}},
	{"blob: read without the capability", "server/blob/read.go", "if !kept.Capability.opens(c) || !good || !there {", "if !there || !good && kept.Capability.opens(c) {", []string{"./server/blob"}},
	{"blob: piece acknowledged before the sync", "server/blob/folder/piece.go", "return named(file.Sync())", "return nil", []string{"./server/blob/folder", "./server/blob"}},
	{"blob: name of a piece not synced", "server/blob/folder/piece.go", "return named(f.fs.SyncDir(f.dir(o)))", "return nil", []string{"./server/blob/folder", "./server/blob"}},
	{"blob: part of any hash", "server/blob/folder/piece.go", "if [32]byte(hash.Sum(nil)) != sum {", "if false {", []string{"./server/blob/folder", "./server/blob"}},
	{"store: acknowledged before the sync", "store/pebble/commit.go", "options = pebble.Sync\n", "options = pebble.NoSync\n", []string{"./store/pebble"}},
}

// All are all faults.
func All() []Mutant {
	return append(append([]Mutant(nil), core...), sides...)
}
