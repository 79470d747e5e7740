package server_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connectinprocess"

	"github.com/reseal/reseal/api/blobs"
	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	tw "github.com/reseal/reseal/internal/testworld"
	"github.com/reseal/reseal/message"
	"github.com/reseal/reseal/server"
	"github.com/reseal/reseal/server/backup"
	"github.com/reseal/reseal/server/limits"
	"github.com/reseal/reseal/store/pebble"
)

// put uploads a blob of 5000 bytes over HTTP.
func put(url string, d *tw.Device, capability []byte) (id message.BlobID, content []byte, err error) {
	id, content = message.BlobID(tw.Random(32)), tw.Random(5000)
	hash := sha256.Sum256(capability)
	for _, c := range []struct {
		method, path, kind string
		body               []byte
	}{
		{"POST", blobs.Root, "application/json", fmt.Appendf(nil, `{"id":%q,"length":5000,"segments":70,"capability":%q}`, blobs.EncodeBytes(id[:]), blobs.EncodeBytes(hash[:]))},
		{"PUT", blobs.PartPath(id, 0), "", content},
		{"PUT", blobs.SegmentsPath(id), "", tw.Random(70)},
		{"POST", blobs.CompletePath(id), "", nil},
	} {
		req, err := http.NewRequest(c.method, url+c.path, bytes.NewReader(c.body))
		if err != nil {
			return id, nil, err
		}
		req.Header.Set("Authorization", "Bearer "+d.Token())
		req.Header.Set(blobs.DigestHeader, blobs.Digest(sha256.Sum256(c.body)))
		if c.kind != "" {
			req.Header.Set("Content-Type", c.kind)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return id, nil, err
		}
		_ = resp.Body.Close()
		if resp.StatusCode >= 300 {
			return id, nil, fmt.Errorf("%s %s: %s", c.method, c.path, resp.Status)
		}
	}
	return id, content, nil
}

// begin is a clock that stands still where a world begins.
func begin() time.Time { return tw.Begin }

// A copy is made while messages with files are sent and unsent. A server on it
// has every message that had been acknowledged and not ended before, and each
// message that it has can be fetched to its last byte.
func TestBackup(t *testing.T) {
	dir := t.TempDir()
	st, err := pebble.Open(filepath.Join(dir, "data", "store"), server.Schema(), pebble.Options{MinFree: 1, Clock: begin})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	var config server.Config
	w := tw.New(t, func(c *server.Config) {
		c.Store, c.BlobFolder = st, filepath.Join(dir, "data", "blobs")
		config = *c
	})
	url := serve(t, w.Server)
	alice, bob := w.Account("alice"), w.Account("bob")
	type file struct {
		capability, content []byte
		unsent              bool
	}
	var mu sync.Mutex
	sent := map[message.ID]*file{}
	var stop atomic.Bool
	working := make(chan struct{})
	go func() {
		defer close(working)
		for n := 0; !stop.Load() && !t.Failed(); n++ {
			f := &file{capability: tw.Random(32)}
			var id message.BlobID
			var err error
			if id, f.content, err = put(url, alice, f.capability); err != nil {
				t.Error(err)
				return
			}
			m := alice.Compose(bob.Account, func(h *message.Header) { h.Blob, h.Length = id, 5000 })
			req := m.Request()
			req.BlobCapability = f.capability
			if _, err := alice.C.Mailbox.Send(ctx, req); err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			sent[m.Header.ID] = f
			mu.Unlock()
			if n%3 == 0 {
				mu.Lock()
				f.unsent = true
				mu.Unlock()
				if _, err := alice.C.Mailbox.PostReceipt(ctx, m.ReceiptRequest(alice, message.Unsent)); err != nil {
					t.Error(err)
					return
				}
			}
		}
	}()
	count := func() int {
		mu.Lock()
		defer mu.Unlock()
		return len(sent)
	}
	for count() < 20 && !t.Failed() {
		time.Sleep(time.Millisecond)
	}
	mu.Lock()
	var before []message.ID
	for id := range sent {
		before = append(before, id)
	}
	mu.Unlock()
	copied := filepath.Join(dir, "copy")
	err = w.Server.Backup(ctx, copied)
	stop.Store(true)
	<-working
	if err != nil {
		t.Fatal(err)
	}

	again, err := pebble.Open(filepath.Join(copied, "store"), server.Schema(), pebble.Options{MinFree: 1, Clock: begin})
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	config.Store, config.BlobFolder, config.Limits = again, filepath.Join(copied, "blobs"), &limits.Config{}
	s, err := server.New(config)
	if err != nil {
		t.Fatal(err)
	}
	restored := serve(t, s)
	bob.C = tw.ClientOver(connectinprocess.New(s.Calls()), bob.Token())
	day := bob.Today()
	for _, id := range before {
		if day.Find(id) == nil && !sent[id].unsent {
			t.Errorf("message %x is not in the copy", id[:4])
		}
	}
	for _, p := range day.Messages {
		h, err := message.ParseHeader(p.Header)
		if err != nil {
			t.Fatal(err)
		}
		f := sent[h.ID]
		req, err := http.NewRequest("GET", restored+blobs.ContentPath(h.Blob), nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", blobs.CapabilityScheme+" "+blobs.EncodeBytes(f.capability))
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(resp.Body)
		if err := errors.Join(err, resp.Body.Close()); err != nil || resp.StatusCode != 200 || !bytes.Equal(got, f.content) {
			t.Errorf("the file of a message in the copy: %s, %d bytes, %v", resp.Status, len(got), err)
		}
	}
	if len(day.Messages) == 0 {
		t.Error("no message in the copy")
	}
	// Both go on.
	for _, d := range []*tw.Device{alice, bob} {
		if _, err := d.C.GetBook(ctx, &resealv1.GetBookRequest{}); err != nil {
			t.Error(err)
		}
	}
}

func TestNoBackup(t *testing.T) {
	w := tw.New(t, nil)
	if err := w.Server.Backup(context.Background(), filepath.Join(t.TempDir(), "copy")); !errors.Is(err, server.ErrNoBackup) {
		t.Errorf("of a store in memory: %v", err)
	}
}

// What the operator is told of a backup that cannot be made, and one that is.
func TestAdminBackup(t *testing.T) {
	dir := t.TempDir()
	st, err := pebble.Open(filepath.Join(dir, "data", "store"), server.Schema(), pebble.Options{MinFree: 1, Clock: begin})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	w := tw.New(t, func(c *server.Config) { c.Store, c.BlobFolder = st, filepath.Join(dir, "data", "blobs") })
	op := operator(t, w)
	link := filepath.Join(dir, "link")
	if err := os.Symlink(filepath.Join(dir, "data"), link); err != nil {
		t.Fatal(err)
	}
	for folder, want := range map[string]connect.Code{
		"copy":                                   connect.CodeInvalidArgument,
		filepath.Join(dir, "data"):               connect.CodeInvalidArgument,
		filepath.Join(dir, "data", "x"):          connect.CodeInvalidArgument,
		filepath.Join(dir, "data", "blobs", "x"): connect.CodeInvalidArgument,
		filepath.Join(link, "x", "y"):            connect.CodeInvalidArgument,
		dir:                                      connect.CodeAlreadyExists,
	} {
		if _, err := op.Backup(ctx, &resealv1.BackupRequest{Folder: folder}); connect.CodeOf(err) != want {
			t.Errorf("%s: %v", folder, err)
		}
	}
	copied := filepath.Join(dir, "data2")
	if _, err := op.Backup(ctx, &resealv1.BackupRequest{Folder: copied}); err != nil {
		t.Fatal(err)
	}
	if err := backup.Check(copied); err != nil {
		t.Error(err)
	}
	if _, err := op.Backup(ctx, &resealv1.BackupRequest{Folder: copied}); connect.CodeOf(err) != connect.CodeAlreadyExists {
		t.Error(err)
	}
	// One at a time.
	release := server.HoldBackups(w.Server)
	if _, err := op.Backup(ctx, &resealv1.BackupRequest{Folder: filepath.Join(dir, "third")}); connect.CodeOf(err) != connect.CodeAborted {
		t.Error(err)
	}
	release()
	if _, err := op.Backup(ctx, &resealv1.BackupRequest{Folder: filepath.Join(dir, "third")}); err != nil {
		t.Error(err)
	}
}
