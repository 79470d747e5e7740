package identity

import "testing"

// FuzzID: an id has one text form.
func FuzzID(f *testing.F) {
	f.Add("00112233445566778899aabbccddeeff")
	f.Add("00112233445566778899AABBCCDDEEFF")
	f.Add("00112233445566778899aabbccddee")
	f.Add(" 0112233445566778899aabbccddeeff")
	f.Fuzz(func(t *testing.T, s string) {
		a, errA := ParseAccountID(s)
		d, errD := ParseDeviceID(s)
		if (errA == nil) != (errD == nil) {
			t.Fatalf("%q: account id %v, device id %v", s, errA, errD)
		}
		if errA == nil && (a.String() != s || d.String() != s) {
			t.Fatalf("%q has a second form", s)
		}
	})
}
