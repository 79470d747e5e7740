package bench

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"sync/atomic"
	"time"

	"github.com/reseal/reseal/client/remote/transfer"
	"github.com/reseal/reseal/internal/bench/histogram"
	"github.com/reseal/reseal/message"
	"github.com/reseal/reseal/seal"
)

var (
	putRate = Meaning{"put", "MB/s", "10^6 bytes of ciphertext a second, uploaded: durable when the upload ends", false}
	putCost = Meaning{"put_cpu", "s/GB", "processor time of the server for 10^9 bytes uploaded", true}
	putTime = Meaning{"put_latency", "ms", "from the beginning of one upload to its end", false}
	getRate = Meaning{"get", "MB/s", "10^6 bytes of ciphertext a second, downloaded", false}
	getCost = Meaning{"get_cpu", "s/GB", "processor time of the server for 10^9 bytes downloaded", true}
	getTime = Meaning{"get_latency", "ms", "from the beginning of one download to its end", false}
)

// atOnce is how many transfers run at the same time.
const atOnce = 8

// blobSize is the content of a blob: its ciphertext is a little below 1 MiB.
const blobSize = 1_000_000

// blob measures uploads and downloads of contents that were sealed before.
func blob(ctx context.Context, s *stage) error {
	h, err := s.host(ctx)
	if err != nil {
		return err
	}
	devices, err := s.accounts(ctx, h, 1)
	if err != nil {
		return err
	}
	sealed, result, err := sealBlob()
	if err != nil {
		return err
	}
	remote := &transfer.Remote{HTTP: h.http, Base: h.url, Authorize: devices[0].Authorize}
	ids, keys := make([]message.BlobID, s.blobs), make([]transfer.Capability, s.blobs)
	for i := range ids {
		_, _ = rand.Read(ids[i][:]) // never fails
		_, _ = rand.Read(keys[i][:])
	}
	if err := s.transfers(h, result.Length, putRate, putCost, putTime, func(i int) error {
		return remote.Upload(ctx, transfer.Upload{
			Blob: ids[i], Capability: keys[i], Source: bytes.NewReader(sealed), Length: result.Length, Segments: result.Segments,
		})
	}); err != nil {
		return err
	}
	return s.transfers(h, result.Length, getRate, getCost, getTime, func(i int) error {
		_, err := remote.Download(ctx, transfer.Download{Blob: ids[i], Capability: keys[i], Length: result.Length, Verifier: believing{}, Dst: nowhere{}})
		return err
	})
}

// transfers does something for each blob, atOnce at a time, and tells how fast.
func (s *stage) transfers(h *host, length uint64, rate, cost, times Meaning, one func(i int) error) error {
	var hist histogram.Histogram
	var next atomic.Int64
	all := &load{senders: atOnce}
	from := h.usage()
	if err := all.together(func(int) error {
		for i := next.Add(1) - 1; i < int64(s.blobs); i = next.Add(1) - 1 {
			began := time.Now()
			if err := one(int(i)); err != nil {
				return err
			}
			hist.Record(time.Since(began))
		}
		return nil
	}); err != nil {
		return err
	}
	p := h.usage().since(from)
	sum := float64(s.blobs) * float64(length)
	return errors.Join(
		s.tell(rate, p.around(Value{Value: sum / 1e6 / p.long.Seconds()})),
		s.tell(cost, p.around(Value{Value: p.server.Seconds() / sum * 1e9})),
		s.tell(times, p.around(latency(&hist))),
	)
}

// sealBlob seals random bytes.
func sealBlob() ([]byte, seal.Result, error) {
	plain := make([]byte, blobSize)
	_, _ = rand.Read(plain) // never fails
	var sealed bytes.Buffer
	_, r, err := sealTo(&sealed, plain, blobSize)
	return sealed.Bytes(), r, err
}

// believing takes what comes: it is the server that is measured.
type believing struct{}

func (believing) List([]byte) error            { return nil }
func (believing) Segment(uint64, []byte) error { return nil }

// nowhere takes what was downloaded.
type nowhere struct{}

func (nowhere) WriteAt(b []byte, _ int64) (int, error) { return len(b), nil }
