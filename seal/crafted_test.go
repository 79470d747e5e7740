package seal

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// craft seals any plaintext with a right context and list: what a sender who does
// not keep to the format can make.
func craft(plain []byte) sealed {
	s := [saltSize]byte(fill(saltSize))
	c, commitment := deriveChunks(testCEK.contentKey(), s, testCtx.encode(uint64(len(plain))))
	dst := bytes.NewBuffer(append(s[:], commitment[:]...))
	w := newChunkWriter(dst, c, 0)
	if w.write(plain) != nil || w.finish() != nil {
		panic("craft")
	}
	return relist(dst.Bytes(), testCtx.Content)
}

// plainOf is the plaintext of a content, description given as bytes.
func plainOf(description, data []byte, padded int) []byte {
	p := binary.BigEndian.AppendUint32(nil, uint32(len(description)))
	p = append(append(p, description...), data...)
	return append(p, make([]byte, padded-len(p))...)
}

// crafted are contents that every reader refuses, by name.
func crafted() map[string]sealed {
	m, data := Meta{Name: "a", Size: 1000}, fill(1000)
	d := m.encode()
	n := frameSize + len(d) + len(data)
	padded := int(paddedLen(uint64(n)))
	with := func(change func(*Meta)) []byte {
		c := m
		change(&c)
		return c.encode()
	}
	good := plainOf(d, data, padded)
	firstPad, lastPad, longFrame := slices.Clone(good), slices.Clone(good), slices.Clone(good)
	firstPad[n] = 1
	lastPad[padded-1] = 0x80
	binary.BigEndian.PutUint32(longFrame, uint32(len(good)))
	shortName := bytes.Clone(d)
	shortName[9] = 0xff
	return map[string]sealed{
		"padding-first-byte":     craft(firstPad),
		"padding-last-byte":      craft(lastPad),
		"padded-next-class":      craft(plainOf(d, data, int(Padme(uint64(padded+1))))),
		"padded-not-padme":       craft(plainOf(d, data, padded+1)),
		"padded-below-least":     craft(plainOf(with(func(m *Meta) { m.Size = 3 }), data[:3], 128)),
		"frame-past-the-end":     craft(longFrame),
		"frame-without-room":     craft(make([]byte, MinPadded)),
		"description-trailing":   craft(plainOf(append(bytes.Clone(d), 0), data, padded)),
		"description-cut":        craft(plainOf(d[:len(d)-1], data, padded)),
		"description-name-cut":   craft(plainOf(shortName, data, padded)),
		"size-past-the-end":      craft(plainOf(with(func(m *Meta) { m.Size = uint64(padded) }), data, padded)),
		"size-greatest":          craft(plainOf(with(func(m *Meta) { m.Size = 1<<64 - 1 }), data, padded)),
		"size-less":              craft(plainOf(with(func(m *Meta) { m.Size = 100 }), data, padded)),
		"name-256":               craft(plainOf(with(func(m *Meta) { m.Name = strings.Repeat("n", 256); m.Size = 745 }), data[:745], padded)),
		"name-not-utf8":          craft(plainOf(with(func(m *Meta) { m.Name = "\xff" }), data, padded)),
		"type-128":               craft(plainOf(with(func(m *Meta) { m.Type = strings.Repeat("t", 128); m.Size = 872 }), data[:872], padded)),
		"type-not-ascii":         craft(plainOf(with(func(m *Meta) { m.Type = "é"; m.Size = 998 }), data[:998], padded)),
		"type-control-character": craft(plainOf(with(func(m *Meta) { m.Type = "\n"; m.Size = 999 }), data[:999], padded)),
		"caption-not-utf8":       craft(plainOf(with(func(m *Meta) { m.Caption = "\xc3"; m.Size = 999 }), data[:999], padded)),
		"caption-too-long":       craft(bigMeta(func(m *Meta) { m.Caption = strings.Repeat("c", MaxCaption+1) })),
		"thumbnail-too-long":     craft(bigMeta(func(m *Meta) { m.Thumbnail = fill(MaxThumbnail + 1) })),
	}
}

func bigMeta(change func(*Meta)) []byte {
	var m Meta
	change(&m)
	d := m.encode()
	return plainOf(d, nil, int(paddedLen(uint64(frameSize+len(d)))))
}

func TestCrafted(t *testing.T) {
	data := fill(1000)
	good := craft(plainOf(Meta{Name: "a", Size: 1000}.encode(), data, int(paddedLen(frameSize+metaFixed+1+1000))))
	for _, e := range entries {
		if _, got, err := e.open(good.list(t), good.ct, testCEK, testFrom); err != nil || !bytes.Equal(got, data) {
			t.Fatal("craft makes no content:", e.name, err)
		}
	}
	for what, s := range crafted() {
		limit := 0
		if strings.HasPrefix(what, "padding-") {
			limit = 1000 // the content is authentic; only its end is refused
		}
		refused(t, what, s, testCEK, testFrom, data, limit)
	}
}

// badLists are segment lists that are refused though they match their digest, and
// the ciphertext that the good list belongs to.
func badLists(t testing.TB) (map[string][]byte, []byte) {
	s := sealBytes(t, meta(300), fill(300))
	good := s.list(t)
	with := func(change func(*Segments)) []byte {
		l := *good
		l.hashes = bytes.Clone(l.hashes)
		change(&l)
		return l.encode()
	}
	bad := map[string][]byte{
		"empty":            {},
		"suite-0":          append([]byte{0, 0}, s.Segments[2:]...),
		"suite-2":          append([]byte{0, 2}, s.Segments[2:]...),
		"no-content-id":    with(func(l *Segments) { l.content = ContentID{} }),
		"created-0":        with(func(l *Segments) { l.created = 0 }),
		"created-too-late": with(func(l *Segments) { l.created = maxTime + 1 }),
		"length-0":         with(func(l *Segments) { l.length = 0 }),
		"length-head-only": with(func(l *Segments) { l.length = headSize }),
		"length-no-tag":    with(func(l *Segments) { l.length = headSize + boxSize + tagSize - 1 }),
		"length-not-padme": with(func(l *Segments) { l.length++ }),
		"length-too-short": with(func(l *Segments) { l.length = ciphertextLen(128) }),
		"length-too-long":  with(func(l *Segments) { l.length = ciphertextLen(MaxPadded + 1<<29) }),
		"length-greatest":  with(func(l *Segments) { l.length = 1<<64 - 1 }),
		"length-two":       with(func(l *Segments) { l.length = ciphertextLen(1 << 20) }),
		"no-hash":          with(func(l *Segments) { l.hashes = nil }),
		"hash-cut":         with(func(l *Segments) { l.hashes = l.hashes[:31] }),
		"hash-too-many":    with(func(l *Segments) { l.hashes = append(l.hashes, l.hashes...) }),
		"trailing-byte":    append(bytes.Clone(s.Segments), 0),
		"vector-too-long":  append(bytes.Clone(s.Segments[:listFixed-4]), append([]byte{0, 0, 0, 33}, s.Segments[listFixed:]...)...),
		"over-the-limit":   make([]byte, MaxSegmentList+1),
	}
	for n := range s.Segments {
		bad[fmt.Sprintf("cut-%03d", n)] = s.Segments[:n]
	}
	return bad, s.ct
}

func TestBadLists(t *testing.T) {
	bad, _ := badLists(t)
	for what, list := range bad {
		if _, err := ParseSegments(list, digestOf(list)); err != ErrOpen {
			t.Errorf("%s: %v", what, err)
		}
	}
	s := sealBytes(t, meta(300), fill(300))
	for i := range s.Segments {
		list := bytes.Clone(s.Segments)
		list[i] ^= 1
		if _, err := ParseSegments(list, s.Digest); err != ErrOpen {
			t.Errorf("byte %d altered: %v", i, err)
		}
	}
	s.Digest[31] ^= 1
	if _, err := ParseSegments(s.Segments, s.Digest); err != ErrOpen {
		t.Error("another digest:", err)
	}
}
