package server_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"testing"

	"github.com/reseal/reseal/api/blobs"
	"github.com/reseal/reseal/internal/quota"
	tw "github.com/reseal/reseal/internal/testworld"
	"github.com/reseal/reseal/message"
	"github.com/reseal/reseal/server"
	"github.com/reseal/reseal/server/auth"
	"github.com/reseal/reseal/server/limits"
)

// What an account may upload is bounded in number and length; the refusal names
// the limit and says when to come back, or that waiting does not help.
func TestUploadQuotas(t *testing.T) {
	w, url, _ := listening(t, func(c *server.Config) {
		c.Limits = &limits.Config{Rates: map[string]limits.Rate{limits.Upload: {PerSecond: 0.5, Burst: 10}, limits.Blobs: {PerSecond: 0.1, Burst: 4}}}
	})
	alice, bob := w.Account("alice"), w.Account("bob")
	for _, c := range []struct {
		by    *tw.Device
		mib   int
		code  blobs.Code
		limit string
		after string
	}{
		{alice, 6, "", "", ""},
		{alice, 6, blobs.Rate, limits.Upload, "4"}, // 2 of 6 MiB are missing, at half a MiB a second
		{alice, 11, blobs.Quota, limits.Upload, ""},
		{alice, 1, "", "", ""},
		{alice, 1, blobs.Rate, limits.Blobs, "10"},
		{bob, 6, "", "", ""},
	} {
		status, after, r := create(t, url, c.by, c.mib)
		if r.Error != c.code || r.Limit != c.limit || after != c.after {
			t.Errorf("%d MiB: %d, %+v, Retry-After %q; want %+v", c.mib, status, r, after, c)
		}
	}
}

// create begins an upload of a device.
func create(t *testing.T, url string, d *tw.Device, mib int) (status int, after string, r blobs.Refusal) {
	t.Helper()
	length := mib<<20 - 100
	id, hash := message.BlobID(tw.Random(32)), sha256.Sum256(tw.Random(32))
	body := fmt.Sprintf(`{"id":%q,"length":%d,"segments":%d,"capability":%q}`,
		blobs.EncodeBytes(id[:]), length, 38+32*mib, blobs.EncodeBytes(hash[:]))
	req, err := http.NewRequest("POST", url+blobs.Root, bytes.NewReader([]byte(body)))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+d.Token())
	req.Header.Set("Content-Type", "application/json")
	resp, err := client(false).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode >= 400 {
		if err := json.NewDecoder(resp.Body).Decode(&r); err != nil {
			t.Fatal(err)
		}
	}
	return resp.StatusCode, resp.Header.Get("Retry-After"), r
}

// What an account keeps is bounded in number and bytes; an upload that is given
// up makes room.
func TestKeptQuotas(t *testing.T) {
	w, url, _ := listening(t, func(c *server.Config) {
		c.Limits = &limits.Config{}
		c.Quotas = &quota.Limits{Blobs: 3, BlobBytes: 12 << 20}
	})
	alice, bob := w.Account("alice"), w.Account("bob")
	for _, c := range []struct {
		by    *tw.Device
		mib   int
		code  blobs.Code
		limit string
	}{
		{alice, 5, "", ""},
		{alice, 5, "", ""},
		{alice, 5, blobs.Quota, quota.What("blob-bytes")},
		{alice, 1, "", ""}, // smaller ones have room
		{alice, 1, blobs.Quota, quota.What("blobs")},
		{bob, 12, blobs.Quota, quota.What("blob-bytes")}, // never
		{bob, 10, "", ""},
	} {
		status, after, r := create(t, url, c.by, c.mib)
		if r.Error != c.code || r.Limit != c.limit || (c.code != "" && (after == "") != (c.mib == 12)) {
			t.Errorf("%d MiB: %d, %+v, Retry-After %q; want %+v", c.mib, status, r, after, c)
		}
	}
}

// What operators are told of the protocol's ends is what the handlers have.
func TestQuotasOfTheProtocol(t *testing.T) {
	if quota.MaxBlocked != auth.MaxBlocked || quota.MaxBook != auth.MaxParts*auth.MaxPart || quota.Default().Book > quota.MaxBook {
		t.Errorf("%d and %d, and %d and %d", quota.MaxBlocked, auth.MaxBlocked, quota.MaxBook, auth.MaxParts*auth.MaxPart)
	}
}
