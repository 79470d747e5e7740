package bench

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/internal/bench/histogram"
	"github.com/reseal/reseal/internal/bench/presealed"
	"github.com/reseal/reseal/message"
	"github.com/reseal/reseal/seal"
)

var (
	sealRate = Meaning{"seal", "GB/s", "10^9 bytes of content a second, sealed, in the fastest of the runs", false}
	openRate = Meaning{"open", "GB/s", "10^9 bytes of content a second, verified and opened, in the fastest of the runs", false}
	aesRate  = Meaning{"aes_gcm", "GB/s", "AES-256-GCM alone over as many bytes in pieces of 64 KiB, in place: what the machine can do at most", false}

	wrapTime  = Meaning{"wrap", "us", "one content key wrapped for one device", false}
	openTime  = Meaning{"open", "us", "one wrap opened", false}
	eightTime = Meaning{"eight", "us", "one content key wrapped for 8 devices, on all cores that the clients have", false}
)

// piece is how much is written or read at a time, bytes.
const piece = 64 << 10

// content measures sealing and opening a stream on one goroutine.
func content(ctx context.Context, s *stage) error {
	plain := make([]byte, piece)
	_, _ = rand.Read(plain) // never fails
	size := s.stream << 20
	sealed := bytes.NewBuffer(make([]byte, 0, size+size/8))
	fastest := map[Meaning]time.Duration{}
	timed := func(m Meaning, f func() error) error {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		began := time.Now()
		err := f()
		if d := time.Since(began); fastest[m] == 0 || d < fastest[m] {
			fastest[m] = d
		}
		return err
	}
	for range s.streams {
		var cek seal.CEK
		var r seal.Result
		sealed.Reset()
		err := timed(sealRate, func() (err error) {
			cek, r, err = sealTo(sealed, plain, size)
			return err
		})
		if err == nil {
			err = timed(openRate, func() error { return readBack(sealed.Bytes(), cek, r, size) })
		}
		if err == nil {
			err = timed(aesRate, func() error { return aesAlone(plain, size) })
		}
		if err != nil {
			return err
		}
	}
	for _, m := range []Meaning{sealRate, openRate, aesRate} {
		if err := s.tell(m, Value{Value: float64(size) / 1e9 / fastest[m].Seconds()}); err != nil {
			return err
		}
	}
	return nil
}

// sender is who sealed what is measured here.
var sender = identity.AccountID{1}

// sealTo seals size bytes, the piece again and again.
func sealTo(to io.Writer, piece []byte, size int) (cek seal.CEK, r seal.Result, err error) {
	if cek, err = seal.NewCEK(rand.Reader); err != nil {
		return cek, r, err
	}
	id, err := seal.NewContentID(rand.Reader)
	if err != nil {
		return cek, r, err
	}
	w, err := seal.NewWriter(to, rand.Reader, cek,
		seal.Context{Kind: uint8(message.KindContent), Content: id, Sender: sender, Created: identity.TimeOf(time.Now())},
		seal.Meta{Type: "application/octet-stream", Size: uint64(size)})
	if err != nil {
		return cek, r, err
	}
	for left := size; left > 0; left -= len(piece) {
		if _, err := w.Write(piece[:min(left, len(piece))]); err != nil {
			return cek, r, err
		}
	}
	if err := w.Close(); err != nil {
		return cek, r, err
	}
	r, err = w.Result()
	return cek, r, err
}

// readBack verifies and opens a content, piece by piece.
func readBack(sealed []byte, cek seal.CEK, r seal.Result, size int) error {
	segments, err := seal.ParseSegments(r.Segments, r.Digest)
	if err != nil {
		return err
	}
	reader, err := segments.NewReader(bytes.NewReader(sealed), cek, seal.Origin{Kind: uint8(message.KindContent), Sender: sender})
	if err != nil {
		return err
	}
	n := 0
	for b := make([]byte, piece); ; {
		k, err := reader.Read(b)
		n += k
		switch {
		case errors.Is(err, io.EOF) && n == size:
			return nil
		case err != nil:
			return fmt.Errorf("after %d bytes: %w", n, err)
		}
	}
}

// aesAlone encrypts as many bytes with nothing around it.
func aesAlone(plain []byte, size int) error {
	block, err := aes.NewCipher(make([]byte, 32)) // not for a secret: it is timed
	if err != nil {
		return err
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		return err
	}
	nonce, out := make([]byte, gcm.NonceSize()), make([]byte, 0, len(plain)+gcm.Overhead())
	for left := size; left > 0; left -= len(plain) {
		nonce[left>>24&7]++
		_ = gcm.Seal(out, nonce, plain, nil)
	}
	return nil
}

// wraps measures wrapping and opening keys, without a server.
func wraps(ctx context.Context, s *stage) error {
	pair, err := presealed.NewPair(8)
	if err != nil {
		return err
	}
	var one, open, eight histogram.Histogram
	for range s.wraps {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		began := time.Now()
		w, err := pair.Wrap(0)
		if err != nil {
			return err
		}
		wrapped := time.Now()
		if err := pair.Open(0, w); err != nil {
			return err
		}
		opened := time.Now()
		all := &load{senders: 8}
		if err := all.together(func(i int) error {
			_, err := pair.Wrap(i)
			return err
		}); err != nil {
			return err
		}
		one.Record(wrapped.Sub(began))
		open.Record(opened.Sub(wrapped))
		eight.Record(time.Since(opened))
	}
	return errors.Join(s.tell(wrapTime, micro(&one)), s.tell(openTime, micro(&open)), s.tell(eightTime, micro(&eight)))
}

// micro is a value out of a histogram, in microseconds.
func micro(h *histogram.Histogram) Value {
	v := latency(h)
	for _, f := range []*float64{&v.Value, &v.P50, &v.P90, &v.P99, &v.Max} {
		*f *= 1000
	}
	return v
}
