package auth

import (
	"context"
	"encoding/base64"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"time"

	"connectrpc.com/connect/v2"

	"github.com/reseal/reseal/api/refusal"
	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/internal/caller"
	"github.com/reseal/reseal/internal/records"
	"github.com/reseal/reseal/opaque"
	"github.com/reseal/reseal/store"
)

const scheme = "Bearer "

// public are the calls that need no session.
var public = map[string]bool{
	"/reseal.v1.AccountService/ServerInfo":     true,
	"/reseal.v1.AccountService/StartSignup":    true,
	"/reseal.v1.AccountService/ChallengeEpoch": true,
	"/reseal.v1.AccountService/FinishSignup":   true,
	"/reseal.v1.AccountService/StartLogin":     true,
	"/reseal.v1.AccountService/FinishLogin":    true,
	"/reseal.v1.AccountService/StartRecovery":  true,
	"/reseal.v1.AccountService/OpenReset":      true,
}

// resetting are the calls of a session that an operator's code made.
var resetting = map[string]bool{
	"/reseal.v1.AccountService/StartReset":  true,
	"/reseal.v1.AccountService/FinishReset": true,
	"/reseal.v1.AccountService/GetBook":     true,
}

// Interceptor finds the session behind each call and puts the caller into its
// context. Calls that need a session and have none are refused here.
func (s *Service) Interceptor() connect.ServerInterceptor {
	return func(next connect.ServerFunc) connect.ServerFunc {
		return func(ctx context.Context, spec connect.Spec, stream connect.ServerStream) error {
			if public[spec.Procedure] {
				return next(ctx, spec, stream)
			}
			info, ok := connect.CallInfoForServerContext(ctx)
			if !ok {
				return refusal.New(resealv1.Reason_REASON_SESSION_ENDED)
			}
			c, err := s.Authenticate(ctx, info.RequestHeader().Get("Authorization"))
			if err != nil {
				return err
			}
			if c.Reset && !resetting[spec.Procedure] {
				return refusal.New(resealv1.Reason_REASON_NO_DEVICE)
			}
			return next(caller.With(ctx, c), spec, stream)
		}
	}
}

// Authenticate finds the live session behind an Authorization header.
func (s *Service) Authenticate(ctx context.Context, header string) (caller.Caller, error) {
	account, secret, ok := parseBearer(header)
	if !ok {
		return caller.Caller{}, refusal.New(resealv1.Reason_REASON_SESSION_ENDED)
	}
	return s.session(ctx, account, secret.Hash())
}

// parseBearer reads a session's token: account id and secret, 48 bytes in base64.
func parseBearer(header string) (a identity.AccountID, s opaque.SessionSecret, ok bool) {
	text, ok := strings.CutPrefix(header, scheme)
	if !ok || len(text) != base64.RawURLEncoding.EncodedLen(len(a)+32) {
		return a, s, false // the decoder would leave out line ends
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(b) != len(a)+32 {
		return a, s, false
	}
	return identity.AccountID(b[:len(a)]), opaque.SessionSecretOf([32]byte(b[len(a):])), true
}

// session looks a session up; for cacheLife it is not read again.
func (s *Service) session(ctx context.Context, id identity.AccountID, hash [32]byte) (caller.Caller, error) {
	if c, ok := s.cache.get(hash, s.Now()); ok && c.Account == id {
		return c, nil
	}
	epoch := s.cache.epochOf(id)
	c, err := s.lookup(ctx, id, hash)
	if err != nil {
		return caller.Caller{}, s.fail(ctx, err)
	}
	s.cache.put(c, s.Now(), epoch)
	return c, nil
}

func (s *Service) lookup(ctx context.Context, id identity.AccountID, hash [32]byte) (caller.Caller, error) {
	ended := refusal.New(resealv1.Reason_REASON_SESSION_ENDED)
	p := records.AccountPartition(id)
	rec, err := s.Store.Get(ctx, p, records.SessionKey(hash))
	if errors.Is(err, store.ErrAbsent) || (err == nil && rec.Gone()) {
		return caller.Caller{}, ended
	}
	if err != nil {
		return caller.Caller{}, err
	}
	session, err := records.ParseSession(rec.Value)
	if err != nil {
		return caller.Caller{}, err
	}
	a, err := s.read(ctx, id)
	if refusal.Reason(err) == resealv1.Reason_REASON_UNKNOWN_ACCOUNT {
		return caller.Caller{}, ended
	}
	if err != nil {
		return caller.Caller{}, err
	}
	if _, ok := a.list.Find(session.Device); !ok && !session.Device.IsZero() {
		return caller.Caller{}, refusal.With(&resealv1.ErrorDetail{Reason: resealv1.Reason_REASON_SESSION_ENDED, Removed: true})
	}
	if a.pw.Credential != session.Credential {
		return caller.Caller{}, ended
	}
	if !session.Device.IsZero() {
		s.touch(ctx, p, rec, session)
	}
	return caller.Caller{Account: id, Device: session.Device, Session: hash, Credential: session.Credential, Reset: session.Row == resetRow}, nil
}

// touch notes, to the hour, that a session is in use, which also keeps it from
// expiring. It does not matter if it fails.
func (s *Service) touch(ctx context.Context, p store.Partition, rec store.Record, session records.Session) {
	if s.now().Sub(session.Seen) < time.Hour {
		return
	}
	token, err := store.NewToken(s.Rand)
	if err != nil {
		return
	}
	session.Seen = s.hour()
	_ = s.Store.Commit(ctx, p, new(store.Batch).Replace(rec.Key, rec.Rev, session.Encode(), token, int64(s.now().Add(SessionLife))))
}

func (s *Service) hour() identity.Time {
	const ms = 60 * 60 * 1000
	return s.now() / ms * ms
}

// Live tells whether a session still lives, by the store and not by the cache.
func (s *Service) Live(ctx context.Context, c caller.Caller) error {
	_, err := s.lookup(ctx, c.Account, c.Session)
	return err
}

func (s *Service) newSession(credential uint64) (records.Session, error) {
	session := records.Session{Credential: credential, Created: s.now(), Seen: s.hour()}
	_, err := io.ReadFull(s.Rand, session.Share[:])
	return session, err
}

// ListSessions lists the account's live sessions.
func (s *Service) ListSessions(ctx context.Context, _ *resealv1.ListSessionsRequest) (*resealv1.ListSessionsResponse, error) {
	c, err := caller.From(ctx)
	if err != nil {
		return nil, err
	}
	a, err := s.read(ctx, c.Account)
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	resp := new(resealv1.ListSessionsResponse)
	r, _, err := s.pendingReset(ctx, a)
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	resp.Reset_ = pending(r)
	for rec, err := range store.Scan(ctx, s.Store, records.AccountPartition(c.Account), records.Sess, store.PrefixEnd(records.Sess), false) {
		if err != nil {
			return nil, s.fail(ctx, err)
		}
		if rec.Gone() {
			continue
		}
		session, err := records.ParseSession(rec.Value)
		if err != nil {
			return nil, s.fail(ctx, err)
		}
		if _, ok := a.list.Find(session.Device); session.Credential != a.pw.Credential || (!session.Device.IsZero() && !ok) {
			continue
		}
		hash := []byte(rec.Key[len(records.Sess):])
		resp.Sessions = append(resp.Sessions, &resealv1.Session{
			Id: hash[:16], DeviceId: session.Device[:], CreatedMs: uint64(session.Created), LastSeenMs: uint64(session.Seen),
			This: string(hash) == string(c.Session[:]),
		})
	}
	return resp, nil
}

// EndSession ends one session; without an id the caller's own.
func (s *Service) EndSession(ctx context.Context, req *resealv1.EndSessionRequest) (*resealv1.EndSessionResponse, error) {
	c, err := caller.From(ctx)
	if err != nil {
		return nil, err
	}
	id := req.Id
	if len(id) == 0 {
		id = c.Session[:16]
	}
	if !isLen(id, 16) {
		return nil, refusal.Malformed("session")
	}
	if err := s.endSession(ctx, c.Account, id); err != nil {
		return nil, s.fail(ctx, err)
	}
	return &resealv1.EndSessionResponse{}, nil
}

func (s *Service) endSession(ctx context.Context, id identity.AccountID, prefix []byte) error {
	p, from := records.AccountPartition(id), records.Sess+store.Key(prefix)
	defer s.changed(id)
	for rec, err := range store.Scan(ctx, s.Store, p, from, store.PrefixEnd(from), false) {
		if err != nil {
			return err
		}
		token, err := store.NewToken(s.Rand)
		if err != nil {
			return err
		}
		for rec.Present() && !rec.Gone() {
			err := s.Store.Commit(ctx, p, new(store.Batch).RevIs(rec.Key, rec.Rev).Gone(rec.Key, token, int64(s.now().Add(UnboundLife))))
			var refused *store.Refused
			if !errors.As(err, &refused) {
				if err != nil {
					return err
				}
				break
			}
			rec, _ = refused.Find(rec.Key) // touched meanwhile: once more
		}
	}
	return nil
}

// changed drops what is cached of an account's sessions and wakes its streams,
// which look whether their sessions still live.
func (s *Service) changed(id identity.AccountID) {
	s.cache.drop(id)
	s.Bus.Publish(s.Topics.Sessions(id), nil)
}

func hostOf(addr string) string {
	if host, _, err := net.SplitHostPort(addr); err == nil {
		return host
	}
	return addr
}

// cacheLife is how long a session is believed without looking: the time within
// which a session that ended on another node is dead on this one.
const cacheLife = 2 * time.Second

// sessionCache holds sessions that were looked up lately. A change on this node
// makes all that was read of an account before it worthless (epochs).
type sessionCache struct {
	mu      sync.Mutex
	entries map[[32]byte]cached
	epochs  map[identity.AccountID]uint64
	// begun counts clearings: an epoch that was forgotten must not look like
	// one of before.
	begun uint64
}

type cached struct {
	caller caller.Caller
	until  time.Time
	epoch  epoch
}

type epoch struct{ begun, changes uint64 }

// maxCached bounds the cache; past it, it starts anew.
const maxCached = 100_000

func (c *sessionCache) get(hash [32]byte, now time.Time) (caller.Caller, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.entries[hash]
	return e.caller, ok && now.Before(e.until) && e.epoch == c.now(e.caller.Account)
}

// now is an account's epoch; it needs mu.
func (c *sessionCache) now(id identity.AccountID) epoch { return epoch{c.begun, c.epochs[id]} }

func (c *sessionCache) epochOf(id identity.AccountID) epoch {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now(id)
}

// put keeps what was read since the account had this epoch.
func (c *sessionCache) put(who caller.Caller, now time.Time, read epoch) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.now(who.Account) != read {
		return
	}
	if c.entries == nil {
		c.entries = map[[32]byte]cached{}
	}
	if len(c.entries) >= maxCached {
		clear(c.entries)
	}
	c.entries[who.Session] = cached{who, now.Add(cacheLife), read}
}

func (c *sessionCache) drop(id identity.AccountID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.epochs == nil {
		c.epochs = map[identity.AccountID]uint64{}
	}
	if len(c.epochs) >= maxCached {
		clear(c.epochs)
		c.begun++
	}
	c.epochs[id]++
}
