package acmetest

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"time"

	"golang.org/x/crypto/acme"
)

// jws is a signed request (RFC 7515); its signature is not looked at.
type jws struct{ Protected, Payload string }

type header struct {
	Nonce, URL string
	JWK        *struct{ Crv, Kty, X, Y string }
}

func (a *Authority) handler(base string) http.Handler {
	m := http.NewServeMux()
	m.HandleFunc("/directory", func(w http.ResponseWriter, _ *http.Request) {
		reply(w, 200, map[string]any{
			"newNonce": base + "/nonce", "newAccount": base + "/account", "newOrder": base + "/order",
			"meta": map[string]string{"termsOfService": base + "/terms"},
		})
	})
	m.HandleFunc("/nonce", func(http.ResponseWriter, *http.Request) {})
	for pattern, serve := range map[string]func(w http.ResponseWriter, r *http.Request, h header, payload []byte) error{
		"/account":       a.account,
		"/order":         a.order,
		"/order/{n}":     func(w http.ResponseWriter, r *http.Request, _ header, _ []byte) error { return a.show(w, r, base) },
		"/authz/{n}":     func(w http.ResponseWriter, r *http.Request, _ header, b []byte) error { return a.authz(w, r, base, b) },
		"/challenge/{n}": a.challenge,
		"/finalize/{n}": func(w http.ResponseWriter, r *http.Request, _ header, b []byte) error {
			return a.finalize(w, r, base, b)
		},
		"/cert/{n}": a.cert,
	} {
		m.HandleFunc("POST "+pattern, func(w http.ResponseWriter, r *http.Request) {
			h, payload, err := a.open(r, base)
			if err == nil {
				w.Header().Set("Base", base)
				err = serve(w, r, h, payload)
			}
			if err != nil {
				reply(w, 400, map[string]string{"type": "urn:ietf:params:acme:error:malformed", "detail": err.Error()})
			}
		})
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := rand.Text()
		a.mu.Lock()
		a.nonces[n] = true
		a.mu.Unlock()
		w.Header().Set("Replay-Nonce", n)
		m.ServeHTTP(w, r)
	})
}

func reply(w http.ResponseWriter, code int, v any) {
	w.Header().Set("Content-Type", "application/json")
	if code >= 400 {
		w.Header().Set("Content-Type", "application/problem+json")
	}
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(v)
}

// open takes a signed request apart: its nonce must be one of ours that was not
// used, and the URL that is signed the one that was asked.
func (a *Authority) open(r *http.Request, base string) (h header, payload []byte, err error) {
	var j jws
	if err := json.NewDecoder(io.LimitReader(r.Body, 1<<20)).Decode(&j); err != nil {
		return h, nil, err
	}
	protected, err := base64.RawURLEncoding.DecodeString(j.Protected)
	if err != nil {
		return h, nil, err
	}
	if err := json.Unmarshal(protected, &h); err != nil {
		return h, nil, err
	}
	if payload, err = base64.RawURLEncoding.DecodeString(j.Payload); err != nil {
		return h, nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.nonces[h.Nonce] || h.URL != base+r.URL.Path {
		err := fmt.Errorf("acmetest: nonce or URL of a request to %s", r.URL.Path)
		a.faults = append(a.faults, err)
		return h, nil, err
	}
	delete(a.nonces, h.Nonce)
	return h, payload, nil
}

func (a *Authority) account(w http.ResponseWriter, _ *http.Request, h header, _ []byte) error {
	if h.JWK == nil {
		return errors.New("acmetest: no key for the account")
	}
	k := h.JWK
	// RFC 7638: the members in the order of their names.
	sum := sha256.Sum256(fmt.Appendf(nil, `{"crv":%q,"kty":%q,"x":%q,"y":%q}`, k.Crv, k.Kty, k.X, k.Y))
	a.mu.Lock()
	a.thumbprint = base64.RawURLEncoding.EncodeToString(sum[:])
	a.mu.Unlock()
	w.Header().Set("Location", w.Header().Get("Base")+"/account/1")
	reply(w, 201, map[string]string{"status": "valid"})
	return nil
}

func (a *Authority) order(w http.ResponseWriter, r *http.Request, _ header, payload []byte) error {
	var req struct{ Identifiers []struct{ Value string } }
	if err := json.Unmarshal(payload, &req); err != nil || len(req.Identifiers) != 1 {
		return errors.New("acmetest: one domain an order")
	}
	a.mu.Lock()
	if a.broken {
		a.mu.Unlock()
		return errors.New("acmetest: broken")
	}
	a.orders = append(a.orders, &order{domain: req.Identifiers[0].Value, token: rand.Text(), status: acme.StatusPending, account: a.thumbprint})
	n := len(a.orders) - 1
	a.mu.Unlock()
	base := w.Header().Get("Base")
	w.Header().Set("Location", base+"/order/"+strconv.Itoa(n))
	r.SetPathValue("n", strconv.Itoa(n))
	return a.show(w, r, base)
}

func (a *Authority) find(r *http.Request) (*order, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	n, err := strconv.Atoi(r.PathValue("n"))
	if err != nil || n < 0 || n >= len(a.orders) {
		return nil, errors.New("acmetest: no such order")
	}
	return a.orders[n], nil
}

func (a *Authority) show(w http.ResponseWriter, r *http.Request, base string) error {
	o, err := a.find(r)
	if err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	code, n := 200, r.PathValue("n")
	if w.Header().Get("Location") != "" && o.status == acme.StatusPending {
		code = 201
	}
	v := map[string]any{"status": o.status, "authorizations": []string{base + "/authz/" + n}, "finalize": base + "/finalize/" + n}
	if o.chain != nil {
		v["certificate"] = base + "/cert/" + n
	}
	reply(w, code, v)
	return nil
}

func (a *Authority) authz(w http.ResponseWriter, r *http.Request, base string, _ []byte) error {
	o, err := a.find(r)
	if err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	status := o.status
	if status == acme.StatusReady {
		status = acme.StatusValid
	}
	reply(w, 200, map[string]any{
		"status": status, "identifier": map[string]string{"type": "dns", "value": o.domain},
		"challenges": []map[string]string{{"type": "tls-alpn-01", "status": status, "token": o.token, "url": base + "/challenge/" + r.PathValue("n")}},
	})
	return nil
}

// challenge connects to the domain's server, as the authority does.
func (a *Authority) challenge(w http.ResponseWriter, r *http.Request, _ header, _ []byte) error {
	o, err := a.find(r)
	if err != nil {
		return err
	}
	addr, err := a.address(o.domain)
	if err == nil {
		err = prove(addr, o.domain, sha256.Sum256([]byte(o.token+"."+o.account)))
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if o.status = acme.StatusReady; err != nil {
		o.status, o.reason = acme.StatusInvalid, err.Error()
		a.faults = append(a.faults, err)
	}
	reply(w, 200, map[string]string{"type": "tls-alpn-01", "status": "processing", "token": o.token})
	return nil
}

// prove checks what RFC 8737, section 3, says.
func prove(addr, domain string, want [32]byte) error {
	d := &net.Dialer{Timeout: 10 * time.Second}
	c, err := tls.DialWithDialer(d, "tcp", addr, &tls.Config{
		ServerName: domain, NextProtos: []string{acme.ALPNProto}, MinVersion: tls.VersionTLS12, InsecureSkipVerify: true, // it signs for itself
	})
	if err != nil {
		return err
	}
	defer c.Close()
	s := c.ConnectionState()
	if s.NegotiatedProtocol != acme.ALPNProto {
		return fmt.Errorf("acmetest: protocol %q", s.NegotiatedProtocol)
	}
	leaf := s.PeerCertificates[0]
	if !slices.Equal(leaf.DNSNames, []string{domain}) {
		return fmt.Errorf("acmetest: the challenge is for %v", leaf.DNSNames)
	}
	for _, e := range leaf.Extensions {
		if e.Id.Equal(asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 31}) && e.Critical {
			var got []byte
			if _, err := asn1.Unmarshal(e.Value, &got); err == nil && slices.Equal(got, want[:]) {
				return nil
			}
		}
	}
	return errors.New("acmetest: the challenge is not answered")
}

func (a *Authority) finalize(w http.ResponseWriter, r *http.Request, base string, payload []byte) error {
	o, err := a.find(r)
	if err != nil {
		return err
	}
	var req struct{ CSR string }
	if err := json.Unmarshal(payload, &req); err != nil {
		return err
	}
	der, err := base64.RawURLEncoding.DecodeString(req.CSR)
	if err != nil {
		return err
	}
	csr, err := x509.ParseCertificateRequest(der)
	if err != nil {
		return err
	}
	a.mu.Lock()
	if o.status != acme.StatusReady || csr.CheckSignature() != nil || !slices.Equal(csr.DNSNames, []string{o.domain}) {
		a.mu.Unlock()
		return errors.New("acmetest: not the request that was ordered")
	}
	o.chain, err = a.issue(csr.PublicKey, a.Life, csr.DNSNames, nil)
	if err == nil {
		o.status = acme.StatusValid
	}
	a.mu.Unlock()
	if err != nil {
		return err
	}
	w.Header().Set("Location", base+"/order/"+r.PathValue("n"))
	return a.show(w, r, base)
}

func (a *Authority) cert(w http.ResponseWriter, r *http.Request, _ header, _ []byte) error {
	o, err := a.find(r)
	if err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	w.Header().Set("Content-Type", "application/pem-certificate-chain")
	_, _ = w.Write(o.chain)
	return nil
}
