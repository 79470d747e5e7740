package reseal

import (
	"context"
	"errors"

	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/client/remote/link"
	"github.com/reseal/reseal/client/vault"
)

// resume opens an account with the server's half of its session share.
func (in *Installation) resume(ctx context.Context, s *vault.Session) (*Account, error) {
	token, began := string(s.Token), in.now()
	r, err := in.connect(s.Server, link.NewToken(token), s.ServerKey)
	if err != nil {
		return nil, err
	}
	defer r.link.Close()
	if err := r.first(ctx); err != nil {
		return nil, in.resumeFailed(s, err)
	}
	key := r.which.key()
	resp, err := repeat(ctx, r.account.GetSessionShare, &resealv1.GetSessionShareRequest{})
	if err != nil {
		return nil, in.resumeFailed(s, err)
	}
	if len(resp.SessionShare) != len(vault.SessionShare{}) {
		return nil, as(ErrServer, errors.New("session share"))
	}
	section, err := in.vault.Resume(s, vault.SessionShare(resp.SessionShare))
	if errors.Is(err, vault.ErrOpen) {
		// The record or the section was put back from a copy, or the server
		// serves another's half. The password opens what is there.
		return nil, as(ErrSessionRecord, err)
	}
	if err != nil {
		return nil, vaultError(err)
	}
	if s.ServerKey != key { // of a version that did not know of it
		noted := *s
		noted.ServerKey = key
		if err := section.SaveSession(noted, vault.SessionShare(resp.SessionShare)); err != nil {
			in.o.Log.Warn("reseal: the server's key could not be noted", "error", err)
		}
	}
	return in.start(section, s.Server, token, key, began, nil)
}

// resumeFailed forgets a session that the server ended: the section stays,
// sealed, for the next login.
func (in *Installation) resumeFailed(s *vault.Session, err error) error {
	if isSessionEnd(err) {
		end := sessionEnd(err)
		in.noteEnd(end)
		return errors.Join(end, in.vault.RemoveSession(s.Account))
	}
	return in.callError(err)
}
