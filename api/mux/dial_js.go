//go:build js

package mux

import (
	"context"
	"fmt"

	"github.com/coder/websocket"
)

// dialWebSocket in a browser: it tells a wrong server from none only by the
// subprotocol, since pages are not shown more.
func dialWebSocket(ctx context.Context, target string, _ DialOptions) (*websocket.Conn, error) {
	ws, _, err := websocket.Dial(ctx, target, &websocket.DialOptions{Subprotocols: []string{Subprotocol}})
	if err != nil {
		return nil, dialError(ctx, ErrUnreachable, err)
	}
	if ws.Subprotocol() != Subprotocol {
		_ = ws.CloseNow()
		return nil, fmt.Errorf("%w: subprotocol missing", ErrNotReseal)
	}
	return ws, nil
}
