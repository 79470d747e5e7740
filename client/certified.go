package client

import "github.com/reseal/reseal/identity"

// maxCertified bounds what is remembered of verified certificates: one is below
// 2 KiB.
const maxCertified = 512

// certifiedBy is a certificate with its signature, and the device of a list that
// signed it.
type certifiedBy struct {
	certificate string
	device      identity.DeviceID
	key         identity.DevicePublic
}

// isCertified is c.Verify(d) == nil, once for the same bytes and device. That a
// certificate did not verify is not remembered.
func (e *Engine) isCertified(c *identity.SignedCertificate, d identity.Device) bool {
	by := certifiedBy{string(c.Bytes()), d.ID, d.Key}
	if e.certified[by] {
		return true
	}
	if c.Verify(d) != nil {
		return false
	}
	if e.certified == nil || len(e.certified) >= maxCertified {
		e.certified = map[certifiedBy]bool{}
	}
	e.certified[by] = true
	return true
}
