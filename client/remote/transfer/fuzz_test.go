package transfer

import (
	"encoding/json"
	"testing"

	"github.com/reseal/reseal/api/blobs"
)

// What a server answers to an upload's calls is anybody's JSON: it reads as a
// status with our size of parts and a bitmap of the right length, or not at all.
func FuzzStatus(f *testing.F) {
	for _, st := range []blobs.Status{
		{Complete: true, Length: 5, PartSize: blobs.PartSize, Parts: "gA"},
		{Length: 3 * blobs.PartSize, PartSize: blobs.PartSize, Segments: true, Parts: "oA"},
		{Length: 1, PartSize: 1},
	} {
		b, err := json.Marshal(st)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b, uint64(st.Length))
	}
	f.Add([]byte(`{"part_size":8388608,"parts":"gA="}`), uint64(1))
	f.Add([]byte(`{"part_size":8388608,"parts":"gB"}`), uint64(1))
	f.Add([]byte(`[]`), uint64(1))
	f.Add([]byte(``), uint64(1))
	f.Fuzz(func(t *testing.T, b []byte, length uint64) {
		st, err := parseStatus(b)
		if err != nil {
			if st != (blobs.Status{}) {
				t.Fatal("something of a status that was refused")
			}
			return
		}
		if st.PartSize != blobs.PartSize {
			t.Fatalf("parts of %d bytes", st.PartSize)
		}
		if length == 0 || length > 1<<36 {
			return
		}
		n := blobs.Parts(length)
		if have, err := blobs.ParseBitmap(st.Parts, n); err == nil && uint64(len(have)) != uint64((n+7)/8) {
			t.Fatalf("a bitmap of %d for %d parts", len(have), n)
		}
	})
}

// A refusal is one of the closed list under its own status, or none.
func FuzzRefusal(f *testing.F) {
	f.Add(404, []byte(`{"error":"not_found","message":"x"}`))
	f.Add(500, []byte(`{"error":"not_found"}`))
	f.Add(403, []byte(`{"error":"quota","limit":"blob-bytes"}`))
	f.Add(502, []byte(`<html>`))
	f.Fuzz(func(t *testing.T, status int, b []byte) {
		e, ok := parseRefusal(status, b)
		if ok != (e != nil) || ok && (e.Code.Status() != status || status < 400) {
			t.Fatalf("%d %q: %+v", status, b, e)
		}
	})
}
