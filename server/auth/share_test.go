package auth_test

import (
	"bytes"
	"testing"

	"github.com/reseal/reseal/api/refusal"
	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	tw "github.com/reseal/reseal/internal/testworld"
)

// row drives one row of shares.
type row struct {
	t *testing.T
	d *tw.Device
}

func (r row) revision() uint64 {
	r.t.Helper()
	return tw.Must[*resealv1.GetSharesResponse](r.t)(r.d.C.GetShares(ctx, &resealv1.GetSharesRequest{Row: r.d.Row[:]})).Revision
}

func (r row) put(id, current byte) (*resealv1.PutShareRequest, error) {
	r.t.Helper()
	return r.putAt(r.revision(), id, current)
}

func (r row) putAt(revision uint64, id, current byte) (*resealv1.PutShareRequest, error) {
	r.t.Helper()
	s := r.d.APIShare()
	s.ShareId = bytes.Repeat([]byte{id}, 16)
	req := &resealv1.PutShareRequest{Revision: revision, Share: s, CurrentShareId: bytes.Repeat([]byte{current}, 16)}
	if current == 0 {
		req.CurrentShareId = r.d.Share[:]
	}
	_, err := r.d.C.PutShare(ctx, req)
	return req, err
}

func (r row) confirm(id byte) error {
	_, err := r.d.C.ConfirmShare(ctx, &resealv1.ConfirmShareRequest{Row: r.d.Row[:], ShareId: bytes.Repeat([]byte{id}, 16)})
	return err
}

// has checks which shares there are; 0 is the first one.
func (r row) has(ids ...byte) {
	r.t.Helper()
	got := tw.Must[*resealv1.GetSharesResponse](r.t)(r.d.C.GetShares(ctx, &resealv1.GetSharesRequest{Row: r.d.Row[:]})).Shares
	if len(got) != len(ids) {
		r.t.Fatalf("%d shares, want %d", len(got), len(ids))
	}
	for i, id := range ids {
		want := bytes.Repeat([]byte{id}, 16)
		if id == 0 {
			want = r.d.Share[:]
		}
		if !bytes.Equal(got[i].ShareId, want) {
			r.t.Errorf("share %d is %x, want %x", i, got[i].ShareId, want)
		}
	}
}

func TestShareReplacement(t *testing.T) {
	r := row{t, tw.New(t, nil).Account("alice")}
	ok := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	r.has(0)
	req, err := r.put(1, 0)
	ok(err)
	r.has(0, 1)
	// Its repeat changes nothing, though the revision is another by now.
	_, err = r.d.C.PutShare(ctx, req)
	ok(err)
	r.has(0, 1)
	// A crash before resealing: put again, still sealed under the first.
	_, err = r.put(2, 0)
	ok(err)
	r.has(0, 2)
	ok(r.confirm(2))
	ok(r.confirm(2))
	r.has(2)
	// A confirmation was lost: the section is sealed under the new one.
	_, err = r.put(3, 2)
	ok(err)
	_, err = r.put(4, 3)
	ok(err)
	r.has(3, 4)
	// Or the put was for nothing.
	ok(r.confirm(3))
	r.has(3)
	// A share that the server lacks is never replaced.
	_, err = r.put(5, 2)
	tw.Refused(t, err, resealv1.Reason_REASON_UNKNOWN_SHARE)
	tw.Refused(t, r.confirm(4), resealv1.Reason_REASON_UNKNOWN_SHARE)
	r.has(3)
	// The same id as the present one would name two shares alike.
	_, err = r.put(3, 3)
	tw.Refused(t, err, resealv1.Reason_REASON_MALFORMED)
}

func TestShareRefusals(t *testing.T) {
	w := tw.New(t, nil)
	d := w.Account("alice")
	rev := d.Revision
	s := d.APIShare()
	s.ShareId = tw.Random(16)
	for name, c := range map[string]struct {
		req  *resealv1.PutShareRequest
		want resealv1.Reason
	}{
		"old revision": {&resealv1.PutShareRequest{Revision: rev + 1, Share: s, CurrentShareId: d.Share[:]}, resealv1.Reason_REASON_CONFLICT},
		"no share":     {&resealv1.PutShareRequest{Revision: rev, CurrentShareId: d.Share[:]}, resealv1.Reason_REASON_MALFORMED},
		"no current":   {&resealv1.PutShareRequest{Revision: rev, Share: s}, resealv1.Reason_REASON_MALFORMED},
		"other row": {
			&resealv1.PutShareRequest{Revision: rev, Share: &resealv1.Share{Row: tw.Random(32), ShareId: s.ShareId, Sealed: s.Sealed}, CurrentShareId: d.Share[:]},
			resealv1.Reason_REASON_UNKNOWN_SHARE,
		},
		"large": {
			&resealv1.PutShareRequest{Revision: rev, Share: &resealv1.Share{Row: d.Row[:], ShareId: s.ShareId, Sealed: tw.Random(300)}, CurrentShareId: d.Share[:]},
			resealv1.Reason_REASON_MALFORMED,
		},
	} {
		_, err := d.C.PutShare(ctx, c.req)
		if t.Log(name); err == nil {
			t.Fatal("taken")
		}
		tw.Refused(t, err, c.want)
	}
	if got := tw.Must[*resealv1.GetSharesResponse](t)(d.C.GetShares(ctx, &resealv1.GetSharesRequest{Row: tw.Random(32)})); len(got.Shares) != 0 {
		t.Error("shares in a row that nobody wrote")
	}
	_, err := d.C.GetShares(ctx, &resealv1.GetSharesRequest{Row: tw.Random(31)})
	tw.Refused(t, err, resealv1.Reason_REASON_MALFORMED)
}

// Two copies of a section replace its share at the same time, in every order of
// their calls: one of the two has the only share that the server keeps then, the
// other is refused, and told so.
func TestTwoReplacementsInEveryOrder(t *testing.T) {
	d := tw.New(t, nil).Account("alice")
	r := row{t, d}
	present, fresh := byte(0), byte(1) // ids; 0 is the first one
	var orders func(prefix string, a, b int)
	orders = func(order string, a, b int) {
		if a < 3 {
			orders(order+"a", a+1, b)
		}
		if b < 3 {
			orders(order+"b", a, b+1)
		}
		if len(order) < 6 {
			return
		}
		type copied struct {
			step     int
			revision uint64
			share    byte
			out      bool
		}
		both := map[rune]*copied{'a': {share: fresh}, 'b': {share: fresh + 1}}
		for _, who := range order {
			c := both[who]
			c.step++
			if c.out {
				continue
			}
			var err error
			switch c.step {
			case 1:
				c.revision = r.revision()
			case 2:
				if _, err = r.putAt(c.revision, c.share, present); refusal.Reason(err) == resealv1.Reason_REASON_CONFLICT {
					_, err = r.put(c.share, present)
				}
			case 3:
				err = r.confirm(c.share)
			}
			if err != nil {
				tw.Refused(t, err, resealv1.Reason_REASON_UNKNOWN_SHARE)
				c.out = true
			}
		}
		if both['a'].out == both['b'].out {
			t.Fatalf("%s: both or neither are out", order)
		}
		if present = both['a'].share; both['a'].out {
			present = both['b'].share
		}
		t.Log(order)
		r.has(present)
		fresh += 2
	}
	orders("", 0, 0)
	if fresh != 41 {
		t.Errorf("%d orders, not 20", fresh/2)
	}
}
