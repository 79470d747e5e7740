package vault

import (
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/reseal/reseal/capsule"
	"github.com/reseal/reseal/identity"
)

// shareKey and shareAccount are those of every share scenario.
var (
	shareKey     = capsule.ShareKeyOf([32]byte{11})
	shareAccount = identity.AccountID{12}
)

// shares makes the scenarios of server shares as the server keeps them.
func shares(all map[string]*scenario) {
	head, key, share := example()
	row := rowID(key, head.nonce())
	sealed := must(share.Seal(rand.NewChaCha8([32]byte{2}), shareKey, shareAccount, row))
	otherRow, otherID, otherAccount := row, share.ID, shareAccount
	otherRow[0] ^= 1
	otherID[0] ^= 1
	otherAccount[0] ^= 1
	value := share.Value.Bytes()
	for name, s := range map[string]*scenario{
		"share-good":          {Comment: "a server share", Outcome: "ok", Input: h(sealed)},
		"share-other-row":     {Comment: "the share of another section", Outcome: "open", Input: h(sealed), RowID: h(otherRow[:])},
		"share-other-id":      {Comment: "an older share under the new one's id", Outcome: "open", Input: h(sealed), ShareID: h(otherID[:])},
		"share-other-account": {Comment: "the share of another account", Outcome: "open", Input: h(sealed), Account: h(otherAccount[:])},
		"share-altered":       {Comment: "a flipped bit", Outcome: "open", Input: h(flip(sealed, 20))},
		"share-trailing":      {Comment: "a byte too many", Outcome: "open", Input: h(append(sealed[:len(sealed):len(sealed)], 0))},
		"share-newer":         {Comment: "version 2", Outcome: "newer", Input: h(set(sealed, 0, 0, 2))},
	} {
		k := shareKey.Bytes()
		s.Entry, s.ShareKey, s.Share = "share", h(k[:]), h(value[:])
		for _, f := range []struct {
			field *string
			b     []byte
		}{{&s.RowID, row[:]}, {&s.ShareID, share.ID[:]}, {&s.Account, shareAccount[:]}} {
			if *f.field == "" {
				*f.field = h(f.b)
			}
		}
		all[name] = s
	}
}

func (s *scenario) share(t *testing.T, input []byte) error {
	got, err := capsule.OpenShare(input, capsule.ShareKeyOf([32]byte(unhex(t, s.ShareKey))), identity.AccountID(unhex(t, s.Account)),
		capsule.RowID(unhex(t, s.RowID)), capsule.ShareID(unhex(t, s.ShareID)))
	switch {
	case errors.Is(err, capsule.ErrVersion):
		return ErrNewer
	case err != nil:
		return ErrOpen
	}
	if v := got.Value.Bytes(); h(v[:]) != s.Share {
		t.Error("share differs")
	}
	return nil
}
