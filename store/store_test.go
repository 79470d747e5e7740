package store_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/reseal/reseal/store"
)

func TestSchema(t *testing.T) {
	for name, s := range map[string]store.Schema{
		"same twice":        {{Prefix: "a/", Kind: store.Once}, {Prefix: "a/", Kind: store.Once}},
		"prefix of another": {{Prefix: "a/", Kind: store.Once}, {Prefix: "a/b/", Kind: store.Decided}},
		"key under prefix":  {{Prefix: "a/b", Kind: store.Once}, {Prefix: "a/", Kind: store.Decided}},
		"no prefix":         {{Kind: store.Once}},
		"no kind":           {{Prefix: "a"}},
		"unknown kind":      {{Prefix: "a", Kind: 3}},
		"too long":          {{Prefix: strings.Repeat("a", store.MaxKey+1), Kind: store.Once}},
	} {
		if err := s.Check(); !errors.Is(err, store.ErrKind) {
			t.Errorf("%s: %v", name, err)
		}
	}
	s := store.Schema{{Prefix: "s/", Kind: store.Once}, {Prefix: "st", Kind: store.Decided}, {Prefix: "sess/", Kind: store.Decided}}
	if err := s.Check(); err != nil {
		t.Fatal(err)
	}
	for k, want := range map[store.Key]store.Kind{"s/": store.Once, "s/\x00": store.Once, "st": store.Decided, "sess/x": store.Decided} {
		if got, err := s.KindOf(k); err != nil || got != want {
			t.Errorf("%q is %v, %v", k, got, err)
		}
	}
	for _, k := range []store.Key{"", "s", "sta", "st/", "sess"} {
		if _, err := s.KindOf(k); !errors.Is(err, store.ErrKind) {
			t.Errorf("%q: %v", k, err)
		}
	}
}

func TestKeyBounds(t *testing.T) {
	for prefix, want := range map[store.Key]store.Key{"a": "b", "a\xff": "b", "a\xff\xff": "b", "\xff\xff": "", "": "", "a/": "a0"} {
		if got := store.PrefixEnd(prefix); got != want {
			t.Errorf("end of %q is %q, want %q", prefix, got, want)
		}
	}
	if store.After("a") <= "a" || store.After("a") >= "a\x00\x00" {
		t.Error("After leaves a gap")
	}
}

func TestRecordStates(t *testing.T) {
	now := time.UnixMilli(1000)
	for expires, want := range map[int64]bool{0: false, 999: true, 1000: true, 1001: false} {
		if got := store.Expired(expires, now); got != want {
			t.Errorf("expiry %d at 1000: %v", expires, got)
		}
	}
	tok, err := store.NewToken(bytes.NewReader(make([]byte, 15)))
	if err == nil {
		t.Errorf("short randomness gave %x", tok)
	}
	refused := &store.Refused{Current: []store.Record{{Key: "a"}, {Key: "b", Rev: 3}}}
	if _, ok := refused.Find("a"); ok {
		t.Error("absent record is found")
	}
	if r, ok := refused.Find("b"); !ok || r.Rev != 3 {
		t.Error("present record is not found")
	}
	if _, ok := refused.Find("c"); ok {
		t.Error("record without condition is found")
	}
}
