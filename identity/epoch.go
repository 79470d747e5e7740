package identity

// ValidAt reports whether t lies within the certificate's dates. Below
// NotBefore an hour is tolerated, because t may come from another clock.
func (c Certificate) ValidAt(t Time) bool {
	return t <= c.NotAfter && t.Add(ClockSkew) >= c.NotBefore && t <= MaxTime
}

// NeedsNewEpoch reports whether the device of this certificate, its newest,
// publishes a new one before it sends or answers: when it is EpochAge old, or
// when the clock stands before its dates, so that nothing wrapped now would be
// accepted under it.
func NeedsNewEpoch(c Certificate, now Time) bool {
	return now.Sub(c.NotBefore) >= EpochAge || !c.ValidAt(now)
}

// StaleWrap reports whether a wrap to an epoch is to be refused because the
// epoch's successor was published more than StaleAfter ago.
func StaleWrap(successorPublished, now Time) bool {
	return now.Sub(successorPublished) > StaleAfter
}

// MayErase reports whether the private half of an epoch may go: a complete sync
// that started EraseAfter or more after the successor was published has
// succeeded, so every wrap that was not stale when stored has been read.
func MayErase(successorPublished, syncStarted Time) bool {
	return syncStarted.Sub(successorPublished) >= EraseAfter
}

// MustErase reports whether the private half of an epoch has to go whatever
// still names it: no wrap to it that was not stale when it was stored is of a
// message that lives longer (30 days).
func MustErase(successorPublished, now Time) bool {
	return now.Sub(successorPublished) >= EraseAlways
}

// CheckSuccessor says whether next may be published, or believed, after prev.
// Both must verify under the same device key, which the caller checked. The
// same certificate again is no error. Errors: ErrOtherAccount (account or
// device differ), ErrOlder (lower epoch), ErrFork (same epoch, other
// certificate), ErrVersionFell, ErrKey (a key is used in two epochs).
func CheckSuccessor(prev, next *SignedCertificate) error {
	p, n := prev.Certificate, next.Certificate
	switch {
	case p.Account != n.Account || p.Device != n.Device:
		return ErrOtherAccount
	case n.Epoch < p.Epoch:
		return ErrOlder
	case n.Epoch == p.Epoch && prev.hash != next.hash:
		return ErrFork
	case n.Epoch == p.Epoch:
		return nil
	case n.MaxVersion < p.MaxVersion:
		return ErrVersionFell
	case n.Key == p.Key || n.Auth == p.Auth:
		// An epoch that keeps its keys would keep what the old one can open.
		return ErrKey
	}
	return nil
}

// Target is a device to wrap to.
type Target struct {
	Device      Device
	Certificate *SignedCertificate
}

// Targets says to which devices of l one can wrap at the time now: those whose
// certificate of the highest epoch verifies and is valid. certs may hold more
// than one of a device, of other devices and of other accounts. skipped counts
// the devices of l that were passed over because a certificate of theirs fails,
// not those that have none or whose newest has run out. Order as in l.
func Targets(l *SignedList, certs []*SignedCertificate, now Time) (targets []Target, skipped int) {
	for _, d := range l.List.Devices {
		n := newest(l, d, certs)
		switch {
		case n.cert != nil && n.cert.Certificate.ValidAt(now):
			targets = append(targets, Target{Device: d, Certificate: n.cert})
		case n.cert == nil && n.failed:
			skipped++
		}
	}
	return targets, skipped
}

type newestResult struct {
	cert   *SignedCertificate
	failed bool
}

// newest is d's verified certificate of the highest epoch. Two different ones
// of that epoch mean that the device key is used in two places: neither is
// taken, nor is one below, which would be a way back to an older key.
func newest(l *SignedList, d Device, certs []*SignedCertificate) newestResult {
	var r newestResult
	var forked *SignedCertificate
	for _, c := range certs {
		if c.Certificate.Account != l.List.Account || c.Certificate.Device != d.ID {
			continue
		}
		if c.Verify(d) != nil {
			r.failed = true
			continue
		}
		switch {
		case r.cert == nil || c.Certificate.Epoch > r.cert.Certificate.Epoch:
			r.cert, forked = c, nil
		case c.Certificate.Epoch == r.cert.Certificate.Epoch && c.hash != r.cert.hash:
			forked = c
		}
	}
	if forked != nil {
		return newestResult{failed: true}
	}
	return r
}
