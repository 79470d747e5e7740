package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
)

// rivalBlob sends and gets as many bytes as blob does, in one request each.
func (s *stage) rivalBlob(ctx context.Context, r Rival) error {
	cmd := r.Command(s.dir, "", "")
	if f, ok := r.(filing); ok {
		cmd = f.FilesCommand(s.dir)
	}
	h, err := s.rival(ctx, cmd)
	if err != nil {
		return err
	}
	sealed, result, err := sealBlob()
	if err != nil {
		return err
	}
	request := func(method string, i int, body []byte, want int) error {
		req, err := http.NewRequestWithContext(ctx, method, fmt.Sprint(h.url, "/", i), bytes.NewReader(body))
		if err != nil {
			return err
		}
		resp, err := h.http.Do(req)
		if err != nil {
			return err
		}
		n, err := io.Copy(io.Discard, resp.Body)
		if err = errors.Join(err, resp.Body.Close()); err != nil {
			return err
		}
		if resp.StatusCode != want || (method == http.MethodGet && uint64(n) != result.Length) {
			return fmt.Errorf("%s: %s, %d bytes", method, resp.Status, n)
		}
		return nil
	}
	return errors.Join(
		s.transfers(h, result.Length, putRate, putCost, putTime, func(i int) error {
			return request(http.MethodPut, i, sealed, http.StatusCreated)
		}),
		s.transfers(h, result.Length, getRate, getCost, getTime, func(i int) error {
			return request(http.MethodGet, i, nil, http.StatusOK)
		}),
	)
}
