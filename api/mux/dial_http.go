//go:build !js

package mux

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/coder/websocket"
)

func dialWebSocket(ctx context.Context, target string, o DialOptions) (*websocket.Conn, error) {
	base := o.HTTPClient
	if base == nil {
		base = http.DefaultClient
	}
	client := *base
	// A redirect would hand the session token to whoever is named in it.
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	ws, resp, err := websocket.Dial(ctx, target, &websocket.DialOptions{
		HTTPClient: &client, Subprotocols: []string{Subprotocol}, CompressionMode: websocket.CompressionDisabled,
	})
	if err == nil && ws.Subprotocol() != Subprotocol {
		_ = ws.CloseNow()
		return nil, fmt.Errorf("%w: subprotocol missing", ErrNotReseal)
	}
	switch {
	case err == nil:
		return ws, nil
	case resp != nil && resp.StatusCode >= 500 && resp.StatusCode != http.StatusNotImplemented:
		// A proxy before a server that is down, or a server that drains.
		return nil, dialError(ctx, ErrUnreachable, fmt.Errorf("HTTP status %d", resp.StatusCode))
	case resp != nil:
		return nil, fmt.Errorf("%w: HTTP status %d", ErrNotReseal, resp.StatusCode)
	case wrongServer(err):
		return nil, fmt.Errorf("%w: %w", ErrNotReseal, err)
	}
	return nil, dialError(ctx, ErrUnreachable, err)
}

// wrongServer reports whether somebody answered, but not as a server should.
func wrongServer(err error) bool {
	var record tls.RecordHeaderError
	var cert *tls.CertificateVerificationError
	var authority x509.UnknownAuthorityError
	var host x509.HostnameError
	return errors.As(err, &record) || errors.As(err, &cert) || errors.As(err, &authority) || errors.As(err, &host) ||
		errors.Is(err, http.ErrSchemeMismatch) ||
		// net/http has no type for an answer that is no HTTP.
		strings.Contains(err.Error(), "malformed HTTP")
}
