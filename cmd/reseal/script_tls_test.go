package main

import (
	"crypto/tls"
	"errors"
	"net"
	"os"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/reseal/reseal/internal/acmetest"
)

type authorityKey struct{}

// authority is the script's certificate authority; ACME is its directory, and
// programs trust it.
func authority(ts *testscript.TestScript) *acmetest.Authority {
	a := ts.Value(authorityKey{}).(**acmetest.Authority)
	if *a == nil {
		var err error
		*a, err = acmetest.Start()
		ts.Check(err)
		ts.Defer(func() { _ = (*a).Close() })
		ts.Check(os.WriteFile(ts.MkAbs("roots.pem"), (*a).RootPEM(), 0o600))
		ts.Setenv("SSL_CERT_FILE", ts.MkAbs("roots.pem"))
		ts.Setenv("ACME", (*a).URL)
	}
	return *a
}

// certificate CERT KEY [LIFE]: writes a certificate for this machine.
func cmdCertificate(ts *testscript.TestScript, _ bool, args []string) {
	life := time.Hour
	if len(args) > 2 {
		var err error
		life, err = time.ParseDuration(args[2])
		ts.Check(err)
	}
	cert, key, err := authority(ts).Pair(life, "127.0.0.1", "localhost")
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), cert, 0o600))
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), key, 0o600))
}

// certified ADDRESS NAME VAR: sets VAR to the serial number of the certificate
// that a server shows for a name, as soon as clients can trust it. With a fourth
// argument: as soon as it is another than that.
func cmdCertified(ts *testscript.TestScript, _ bool, args []string) {
	a := authority(ts)
	a.Resolve(args[1], args[0])
	err := errors.New("the same as before")
	within(ts, func() string { return "no certificate: " + err.Error() }, func() bool {
		c, e := tls.DialWithDialer(&net.Dialer{Timeout: limit}, "tcp", args[0], &tls.Config{RootCAs: a.Roots(), ServerName: args[1]})
		if e != nil {
			err = e
			return false
		}
		defer c.Close()
		n := c.ConnectionState().PeerCertificates[0].SerialNumber.String()
		ts.Setenv(args[2], n)
		return len(args) < 4 || n != args[3]
	})
}

func newAuthority() any { return new(*acmetest.Authority) }
