package identity

// NameSession is the record name under which a device key signs that a session
// is its own (spec/login.md, "Binding a session").
const NameSession = "session"

// SessionBinding is what the device key signs: account id, device id and the
// SHA-256 of the session secret, 64 bytes. A session that was bound so dies
// with the device.
func SessionBinding(a AccountID, d DeviceID, session [32]byte) []byte {
	b := make([]byte, 0, len(a)+len(d)+len(session))
	b = append(b, a[:]...)
	b = append(b, d[:]...)
	return append(b, session[:]...)
}
