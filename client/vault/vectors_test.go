package vault

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/reseal/reseal/capsule"
	"github.com/reseal/reseal/identity"
)

var update = flag.Bool("update", false, "write the vectors of spec/vectors/shares anew")

const vectorDir = "../../spec/vectors/shares"

// scenario is one file of spec/vectors/shares. Fields that an entry does not
// use are absent.
type scenario struct {
	Comment string `json:"comment"`
	Entry   string `json:"entry"`   // header, slot, content, journal, session, ended, share
	Outcome string `json:"outcome"` // ok, damaged, newer, open, keyring

	Input       string      `json:"input,omitempty"`
	RowKey      string      `json:"row_key,omitempty"`
	Share       string      `json:"server_share,omitempty"`
	RowID       string      `json:"row_id,omitempty"`
	CurrentTag  string      `json:"current_tag,omitempty"`
	AsideTag    string      `json:"aside_tag,omitempty"`
	Head        string      `json:"head,omitempty"`
	JournalName string      `json:"journal_name,omitempty"`
	BodyHash    string      `json:"body_sha256,omitempty"`
	Records     [][2]string `json:"records,omitempty"`
	End         int64       `json:"end,omitempty"`
	File        string      `json:"file,omitempty"`
	ShareKey    string      `json:"share_key,omitempty"`
	ShareID     string      `json:"share_id,omitempty"`
	Account     string      `json:"account,omitempty"`
	Session     string      `json:"server_session_share,omitempty"`
	Payload     string      `json:"payload,omitempty"`
	Secret      string      `json:"keyring_secret,omitempty"`
}

func h(b []byte) string { return hex.EncodeToString(b) }

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func outcome(err error) string {
	switch {
	case err == nil:
		return "ok"
	case errors.Is(err, ErrNewer):
		return "newer"
	case errors.Is(err, ErrDamaged):
		return "damaged"
	case errors.Is(err, ErrOpen):
		return "open"
	case errors.Is(err, ErrKeyring):
		return "keyring"
	}
	return err.Error()
}

// example is the slot that all scenarios are about.
func example() (head, capsule.RowKey, capsule.Share) {
	key := capsule.RowKeyOf([32]byte{0: 1, 31: 2})
	share := capsule.Share{ID: capsule.ShareID{3, 4}, Value: capsule.ServerShareOf([32]byte{0: 5, 31: 6})}
	n := nonce{7, 8}
	return makeHead(n, currentTag(key, n), markOf(share, n), localShare{9, 10}), key, share
}

func exampleRecords() *records {
	r := newRecords()
	r.apply(Batch{{"self", []byte("a")}, {"in/1", []byte("one")}, {"empty", []byte{}}, {"x\xff", bytes.Repeat([]byte{1}, 300)}})
	return r
}

func (s *scenario) records(r *records) {
	s.Records = nil
	for _, n := range r.names {
		s.Records = append(s.Records, [2]string{h([]byte(n)), h(r.values[n])})
	}
}

func flip(b []byte, at int) []byte {
	b = slices.Clone(b)
	b[at] ^= 0x40
	return b
}

func set(b []byte, at int, v ...byte) []byte {
	b = slices.Clone(b)
	copy(b[at:], v)
	return b
}

// generate makes all scenarios, by name.
func generate() map[string]*scenario {
	all := map[string]*scenario{}
	head, key, share := example()
	value := share.Value.Bytes()
	k := databaseKeys(&head, &value)

	good := header{8, 1 << 16, 5}.encode()
	for name, c := range map[string]struct {
		comment, outcome string
		b                []byte
	}{
		"header-good":         {"8 slots of 64 KiB, 5 taken", "ok", good},
		"header-largest":      {"1024 slots of 64 MiB", "ok", header{1024, 1 << 26, 1024}.encode()},
		"header-newer":        {"version 2, whatever follows", "newer", set(good, 12, 0, 2, 99)},
		"header-version-0":    {"there is no version 0", "damaged", set(good, 12, 0, 0)},
		"header-magic":        {"another file", "damaged", flip(good, 0)},
		"header-slots":        {"4 slots are too few", "damaged", header{4, 1 << 16, 4}.encode()},
		"header-size":         {"32 KiB is too small", "damaged", header{8, 1 << 15, 5}.encode()},
		"header-size-large":   {"128 MiB is too large", "damaged", header{8, 1 << 27, 5}.encode()},
		"header-taken-0":      {"a file has a section", "damaged", header{8, 1 << 16, 0}.encode()},
		"header-taken-beyond": {"more taken than there are", "damaged", header{8, 1 << 16, 9}.encode()},
		"header-check":        {"the count changed without the check", "damaged", flip(good, 19)},
		"header-short":        {"cut", "damaged", good[:31]},
	} {
		all[name] = &scenario{Comment: c.comment, Entry: "header", Outcome: c.outcome, Input: h(c.b)}
	}

	rk := key.Bytes()
	row, cur, aside := rowID(key, head.nonce()), currentTag(key, head.nonce()), asideTag(key, head.nonce())
	all["slot-good"] = &scenario{Comment: "names of a slot", Entry: "slot", Outcome: "ok", RowKey: h(rk[:]), RowID: h(row[:]), CurrentTag: h(cur[:]), AsideTag: h(aside[:]), Head: h(head[:]), JournalName: journalName(&head)}
	bad := head
	bad[40] ^= 1
	all["slot-check"] = &scenario{Comment: "a bit of the tag flipped", Entry: "slot", Outcome: "damaged", RowKey: h(rk[:]), Head: h(bad[:])}

	for name, size := range map[string]int{"content-good": 1 << 16, "content-large": 1 << 18} {
		body := sealContent(k, &head, size, exampleRecords())
		sum := sha256.Sum256(body)
		s := &scenario{Comment: "records sealed to fill a slot; the input is its size", Entry: "content", Outcome: "ok", Input: h([]byte{byte(size >> 24), byte(size >> 16), byte(size >> 8), byte(size)}), Head: h(head[:]), Share: h(value[:]), BodyHash: h(sum[:])}
		s.records(exampleRecords())
		all[name] = s
	}
	journals(all, head, k, h(value[:]))
	sessions(all)
	ends(all)
	shares(all)
	return all
}

func journals(all map[string]*scenario, head head, k keys, share string) {
	rng := rand.NewChaCha8([32]byte{1})
	c := chain{end: journalHeaderSize}
	var frames [][]byte
	for _, b := range []Batch{{{"self", []byte("a")}, {"in/1", []byte("one")}}, {{"in/1", nil}, {"empty", []byte{}}}, {{"last", bytes.Repeat([]byte{7}, 900)}}} {
		f, _ := sealFrame(k, c, rng, b)
		frames = append(frames, f)
		c = chain{c.seq + 1, [16]byte(f[len(f)-16:]), c.end + int64(len(f))}
	}
	head0 := journalHeader(head.journalHash())
	join := func(f ...[]byte) []byte { return append(slices.Clone(head0), slices.Concat(f...)...) }
	whole := join(frames...)
	at := len(whole) - len(frames[2])
	zeroed := slices.Clone(whole)
	clear(zeroed[512*((at+511)/512) : 512*((at+511)/512)+512])
	fourth, _ := sealFrame(k, c, rng, Batch{{"after", []byte("it")}})
	lostStart := slices.Concat(make([]byte, 512), whole[512:], fourth)
	for name, s := range map[string]struct {
		comment string
		b       []byte
	}{
		"journal-lost-middle":    {"zeros where a large frame was, and another after it", slices.Concat(whole[:at], make([]byte, len(frames[2])), fourth)},
		"journal-lost-start":     {"the first sector lost, a frame later on", lostStart},
		"journal-good":           {"three frames", whole},
		"journal-header-only":    {"no frame yet", head0},
		"journal-empty":          {"made, and lost before anything was acknowledged", nil},
		"journal-torn":           {"the last frame is short: dropped", whole[:len(whole)-1]},
		"journal-torn-header":    {"30 bytes of the last frame: dropped", whole[:at+30]},
		"journal-torn-sector":    {"a sector of the last frame never reached the disk: dropped", zeroed},
		"journal-torn-zeros":     {"the last frame is all zeros: dropped", append(slices.Clone(whole[:at]), make([]byte, len(frames[2]))...)},
		"journal-torn-first":     {"64 zero bytes: nothing was acknowledged", make([]byte, 64)},
		"journal-flipped-last":   {"a bit of the last frame", flip(whole, len(whole)-5)},
		"journal-flipped-middle": {"a bit of the second frame", flip(whole, 64+len(frames[0])+60)},
		"journal-flipped-length": {"the length of the second frame", flip(whole, 64+len(frames[0])+2)},
		"journal-cut":            {"the second frame left out", join(frames[0], frames[2])},
		"journal-swapped":        {"two frames swapped", join(frames[1], frames[0])},
		"journal-replayed":       {"the first frame again at the end", join(frames[0], frames[1], frames[0])},
		"journal-zeroed-middle":  {"zeros where a frame was acknowledged", append(append(slices.Clone(whole[:64+len(frames[0])]), make([]byte, len(frames[1]))...), frames[2]...)},
		"journal-other":          {"the header of another journal", join2(journalHeader([32]byte{1}), frames...)},
		"journal-newer":          {"version 2", set(whole, 14, 0, 2)},
	} {
		all[name] = &scenario{Comment: s.comment, Entry: "journal", Input: h(s.b), Head: h(head[:]), Share: share}
		s := all[name]
		r := newRecords()
		c, err := replay(k, "journal", head.journalHash(), unhexMust(s.Input), r)
		if s.Outcome = outcome(err); err == nil {
			s.End = c.end
			s.records(r)
		}
	}
}

func join2(first []byte, f ...[]byte) []byte { return append(first, slices.Concat(f...)...) }

func unhexMust(s string) []byte { return must(hex.DecodeString(s)) }

func sessions(all map[string]*scenario) {
	r := Session{Account: identity.AccountID{1}, Device: identity.DeviceID{2}, Handle: "älice", Server: "http://127.0.0.1:8470", Token: bytes.Repeat([]byte{3}, 48), share: SessionShare{4}}
	server := SessionShare{5}
	payload := bytes.Repeat([]byte{6}, sessionSecret)
	gcm(r.key(&server)).Seal(r.sealed[:0], make([]byte, 12), payload, r.encodeOpen())
	good, file := r.encode(), sessionName(r.Account)
	rehash := func(b []byte) []byte {
		sum := sha256.Sum256(b[:len(b)-32])
		return append(slices.Clone(b[:len(b)-32]), sum[:]...)
	}
	secret, e := bytes.Repeat([]byte{7}, 32), entry{8, 9}
	inRing := wrapRecord(r.Account, e, secret, good)
	other := bytes.Repeat([]byte{8}, 32)
	p := r
	p.ServerKey = [32]byte{10, 11}
	gcm(p.key(&server)).Seal(p.sealed[:0], make([]byte, 12), payload, p.encodeOpen())
	noted := p.encode()
	at := bytes.Index(noted, p.ServerKey[:])
	for name, s := range map[string]*scenario{
		"wrapped-good":           {Comment: "a record in a keyring", Outcome: "ok", Input: h(inRing), Payload: h(payload), Secret: h(secret)},
		"wrapped-no-secret":      {Comment: "the keyring is empty", Outcome: "keyring", Input: h(inRing)},
		"wrapped-other-secret":   {Comment: "another installation's secret", Outcome: "keyring", Input: h(inRing), Secret: h(other)},
		"wrapped-check":          {Comment: "a flipped bit", Outcome: "damaged", Input: h(flip(inRing, 80)), Secret: h(secret)},
		"wrapped-altered":        {Comment: "a flipped bit, with a right check", Outcome: "keyring", Input: h(rehash(flip(inRing, 80))), Secret: h(secret)},
		"wrapped-other-entry":    {Comment: "another entry's name, with a right check", Outcome: "keyring", Input: h(rehash(flip(inRing, 40))), Secret: h(secret)},
		"wrapped-short":          {Comment: "cut", Outcome: "damaged", Input: h(inRing[:90]), Secret: h(secret)},
		"wrapped-renamed":        {Comment: "the file of another account", Outcome: "damaged", Input: h(inRing), Secret: h(secret), File: sessionName(identity.AccountID{9})},
		"wrapped-within":         {Comment: "a wrapped record within", Outcome: "damaged", Input: h(wrapRecord(r.Account, e, secret, inRing)), Secret: h(secret)},
		"wrapped-other-account":  {Comment: "another account's record within", Outcome: "damaged", Input: h(wrapRecord(r.Account, e, secret, (&Session{Account: identity.AccountID{9}, Handle: "bob", Server: "s", Token: Token{1}}).encode())), Secret: h(secret)},
		"session-good":           {Comment: "a record", Outcome: "ok", Input: h(good), Payload: h(payload)},
		"session-other-half":     {Comment: "the session has ended; this is another's half", Outcome: "open", Input: h(good), Session: h(make([]byte, 32))},
		"session-altered":        {Comment: "the server's name changed, with a right check", Outcome: "open", Input: h(rehash(flip(good, 64)))},
		"session-check":          {Comment: "a flipped bit", Outcome: "damaged", Input: h(flip(good, 60))},
		"session-newer":          {Comment: "version 4", Outcome: "newer", Input: h(set(good, 14, 0, 4))},
		"session-as-wrapped":     {Comment: "a record that says that a keyring is needed", Outcome: "damaged", Input: h(set(good, 14, 0, 2))},
		"session-server-good":    {Comment: "a record that names the server's key", Outcome: "ok", Input: h(noted), Payload: h(payload)},
		"session-server-other":   {Comment: "another server's key, with a right check", Outcome: "open", Input: h(rehash(flip(noted, at)))},
		"session-server-zero":    {Comment: "no key where one belongs, with a right check", Outcome: "damaged", Input: h(rehash(set(noted, at, make([]byte, 32)...)))},
		"session-server-missing": {Comment: "a record without a key that says that it has one", Outcome: "damaged", Input: h(rehash(set(good, 14, 0, 3)))},
		"session-server-unsaid":  {Comment: "a record with a key that says that it has none", Outcome: "damaged", Input: h(rehash(set(noted, 14, 0, 1)))},
		"wrapped-server":         {Comment: "a record that names the server's key, in a keyring", Outcome: "ok", Input: h(wrapRecord(r.Account, e, other, noted)), Payload: h(payload), Secret: h(other)},
		"session-trailing":       {Comment: "a byte too many", Outcome: "damaged", Input: h(rehash(append(slices.Clone(good), 0)))},
		"session-short":          {Comment: "cut", Outcome: "damaged", Input: h(good[:100])},
		"session-no-handle":      {Comment: "an empty handle", Outcome: "damaged", Input: h((&Session{Account: r.Account, Server: "s", Token: Token{1}}).encode())},
		"session-no-text":        {Comment: "a handle that is no UTF-8", Outcome: "damaged", Input: h((&Session{Account: r.Account, Handle: "\xff", Server: "s", Token: Token{1}}).encode())},
		"session-renamed":        {Comment: "the file of another account", Outcome: "damaged", Input: h(good), File: sessionName(identity.AccountID{9})},
	} {
		s.Entry = "session"
		if s.File == "" {
			s.File = file
		}
		if s.Session == "" {
			s.Session = h(server[:])
		}
		all[name] = s
	}
}

func ends(all map[string]*scenario) {
	for name, s := range map[string]*scenario{
		"ended-session": {Comment: "a session that was ended", Outcome: "ok", Input: h(EndSession.encode()), End: int64(EndSession)},
		"ended-removed": {Comment: "a device that was removed", Outcome: "ok", Input: h(EndRemoved.encode()), End: int64(EndRemoved)},
		"ended-damaged": {Comment: "a flipped bit: an end whose reason is not known", Outcome: "ok", Input: h(flip(EndRemoved.encode(), 14)), End: int64(EndSession)},
	} {
		s.Entry = "ended"
		all[name] = s
	}
}

// TestVectorsAreCurrent compares the files with what their generators make.
func TestVectorsAreCurrent(t *testing.T) {
	made := generate()
	if *update {
		old, _ := filepath.Glob(vectorDir + "/*.json")
		for _, f := range old {
			os.Remove(f)
		}
		os.MkdirAll(vectorDir, 0o755)
	}
	for name, s := range made {
		b, _ := json.MarshalIndent(s, "", "  ")
		path := filepath.Join(vectorDir, name+".json")
		if *update {
			os.WriteFile(path, append(b, '\n'), 0o644)
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != string(b)+"\n" {
			t.Errorf("%s is not what its generator makes (%v): run with -update", name, err)
		}
	}
	if files, _ := filepath.Glob(vectorDir + "/*.json"); len(files) != len(made) {
		t.Errorf("%d files, %d scenarios", len(files), len(made))
	}
}

// TestVectors runs every file through the reader that it is for.
func TestVectors(t *testing.T) {
	files, _ := filepath.Glob(vectorDir + "/*.json")
	for _, f := range files {
		t.Run(filepath.Base(f), func(t *testing.T) {
			b, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			var s scenario
			if err := json.Unmarshal(b, &s); err != nil {
				t.Fatal(err)
			}
			s.run(t)
		})
	}
}

func (s *scenario) run(t *testing.T) {
	input := unhex(t, s.Input)
	var hd head
	copy(hd[:], unhex(t, s.Head))
	var server [32]byte
	copy(server[:], unhex(t, s.Share)) // of no use to some entries
	k := databaseKeys(&hd, &server)
	var err error
	r := newRecords()
	switch s.Entry {
	case "header":
		var got header
		if got, err = parseHeader(input); err == nil && !bytes.Equal(got.encode(), input) {
			t.Error("read but not written")
		}
	case "slot":
		key := capsule.RowKeyOf([32]byte(unhex(t, s.RowKey)))
		if !hd.intact() {
			err = ErrDamaged
			break
		}
		row, cur, aside := rowID(key, hd.nonce()), currentTag(key, hd.nonce()), asideTag(key, hd.nonce())
		if h(row[:]) != s.RowID || h(cur[:]) != s.CurrentTag || h(aside[:]) != s.AsideTag || cur != hd.tag() || journalName(&hd) != s.JournalName {
			t.Error("names differ")
		}
	case "content":
		size := int(input[0])<<24 | int(input[1])<<16 | int(input[2])<<8 | int(input[3])
		for _, w := range s.Records {
			r.put(string(unhex(t, w[0])), unhex(t, w[1]))
		}
		body := sealContent(k, &hd, size, r)
		if sum := sha256.Sum256(body); h(sum[:]) != s.BodyHash {
			t.Error("body differs")
		}
		// In a slot that grew since, the content is followed by random bytes.
		for _, b := range [][]byte{body, append(slices.Clone(body), bytes.Repeat([]byte{0xa5}, size)...)} {
			if r, err = openContent(k, &hd, b); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := openContent(k, &hd, flip(body, 17)); !errors.Is(err, ErrOpen) {
			t.Errorf("flipped: %v", err)
		}
	case "journal":
		var c chain
		if c, err = replay(k, "journal", hd.journalHash(), input, r); err == nil && c.end != s.End {
			t.Errorf("ends at %d, want %d", c.end, s.End)
		}
	case "ended":
		if got := parseEnd(input); int64(got) != s.End {
			t.Errorf("%d, want %d", got, s.End)
		}
	case "session":
		err = s.session(t, input)
	case "share":
		err = s.share(t, input)
	default:
		t.Fatalf("unknown entry %q", s.Entry)
	}
	if got := outcome(err); got != s.Outcome {
		t.Errorf("outcome %s, want %s", got, s.Outcome)
	}
	if want := s.Records; err == nil && want != nil {
		if s.records(r); !slices.Equal(s.Records, want) {
			t.Errorf("records %v, want %v", s.Records, want)
		}
	}
}

func (s *scenario) session(t *testing.T, input []byte) error {
	v := &Vault{}
	if versionOf(input) == wrapped {
		v.keyring = oneSecret(unhex(t, s.Secret))
	}
	r, err := v.readSession(s.File, input)
	if err != nil {
		return err
	}
	if again := r.encode(); s.Secret != "" {
		_, e, _, err := parseWrapped(s.File, input)
		if err != nil || !bytes.Equal(wrapRecord(r.Account, e, unhex(t, s.Secret), again), input) || !r.Kept {
			t.Error("read but not written")
		}
	} else if !bytes.Equal(again, input) {
		t.Error("read but not written")
	}
	server := SessionShare(unhex(t, s.Session))
	plain, err := gcm(r.key(&server)).Open(nil, make([]byte, 12), r.sealed[:], r.encodeOpen())
	if err != nil {
		return ErrOpen
	}
	if h(plain) != s.Payload {
		t.Error("payload differs")
	}
	return nil
}

// oneSecret is a keyring with one secret, under whatever name; none if empty.
type oneSecret []byte

func (oneSecret) Set(string, []byte) error { return errors.New("full") }
func (oneSecret) Delete(string) error      { return nil }
func (o oneSecret) Get(string) ([]byte, error) {
	if len(o) == 0 {
		return nil, ErrNoSecret
	}
	return slices.Clone(o), nil
}
