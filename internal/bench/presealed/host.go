package presealed

import (
	"context"
	"net/http"

	"connectrpc.com/connect/v2"

	"github.com/reseal/reseal/api/mux"
	"github.com/reseal/reseal/api/reseal/v1/resealv1connect"
)

// calls are the calls over one connection.
type calls struct {
	account   resealv1connect.AccountServiceClient
	directory resealv1connect.DirectoryServiceClient
	mailbox   resealv1connect.MailboxServiceClient
}

func callsOver(t connect.Transport) calls {
	c := connect.NewClient(t)
	return calls{
		resealv1connect.NewAccountServiceClient(c), resealv1connect.NewDirectoryServiceClient(c), resealv1connect.NewMailboxServiceClient(c),
	}
}

// Host is a server, with one connection to it for what needs no session. Its
// methods may be used by many goroutines at once.
type Host struct {
	url  string
	http *http.Client
	conn *mux.Conn
	calls
}

// Dial connects to the server at url.
func Dial(ctx context.Context, url string, client *http.Client) (*Host, error) {
	h := &Host{url: url, http: client}
	var err error
	if h.conn, err = h.dial(ctx, ""); err != nil {
		return nil, err
	}
	h.calls = callsOver(h.conn)
	return h, nil
}

// dial opens a connection, with a session's token if there is one.
func (h *Host) dial(ctx context.Context, token string) (*mux.Conn, error) {
	header := new(connect.Header)
	if token != "" {
		header.Set("authorization", "Bearer "+token)
	}
	return mux.Dial(ctx, h.url, mux.DialOptions{Header: header, HTTPClient: h.http})
}

// Close ends the host's own connection; those of devices are theirs.
func (h *Host) Close() { _ = h.conn.Close() }
