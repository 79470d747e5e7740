package vault

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"golang.org/x/crypto/cryptobyte"
)

// A journal is a header of 64 bytes and frames, each a multiple of 64 bytes,
// so that no sector of a disk holds less than 64 bytes of a frame: what a power
// loss leaves of a frame is then recognisable (torn).
const (
	journalMagic      = "reseal journal" // 14 bytes
	journalHeaderSize = 64
	frameAlign        = 64
	frameHeaderSize   = 40 // length 4, sequence number 8, nonce 12, mark 16
	sectorSize        = 512

	// maxFrame bounds the sealed part of a frame, with room for the padding
	// and for the encoding around a batch of MaxBatch bytes.
	maxFrame = MaxBatch + 4096
	// maxFrames keeps the random frame nonces of one journal far below the
	// 2^32 that NIST SP 800-38D, section 8.3, permits under one key.
	maxFrames = 1 << 24
)

const (
	opPut    = 1
	opDelete = 2
)

func journalHeader(hash [32]byte) []byte {
	b := append([]byte(journalMagic), 0, version)
	b = append(b, hash[:]...)
	return b[:journalHeaderSize:journalHeaderSize]
}

// chain is where a journal ends: what the next frame continues.
type chain struct {
	seq  uint64 // of the next frame, from 0
	last [tagSize]byte
	end  int64 // offset of the next frame
}

// batchSize is what b takes in a frame.
func batchSize(b Batch) (n int) {
	for _, w := range b {
		n += 1 + recordSize + len(w.Name) + len(w.Value)
	}
	return n
}

// sealFrame seals batches as the frame that follows c.
func sealFrame(k keys, c chain, rand io.Reader, batches ...Batch) ([]byte, error) {
	n, count := 4, 0
	for _, b := range batches {
		n, count = n+batchSize(b), count+len(b)
	}
	total := (frameHeaderSize + n + tagSize + frameAlign - 1) / frameAlign * frameAlign
	plain := make([]byte, 0, total-frameHeaderSize)
	plain = binary.BigEndian.AppendUint32(plain, uint32(count))
	for _, b := range batches {
		for _, w := range b {
			op := byte(opPut)
			if w.Value == nil {
				op = opDelete
			}
			plain = appendRecord(append(plain, op), w.Name, w.Value)
		}
	}
	plain = plain[:total-frameHeaderSize-tagSize]
	defer clear(plain)
	f := make([]byte, frameHeaderSize, total)
	binary.BigEndian.PutUint32(f, uint32(total-frameHeaderSize))
	binary.BigEndian.PutUint64(f[4:], c.seq)
	// A frame that was torn or refused and the one written in its place have
	// one sequence number and one key: only a random nonce keeps them apart.
	if _, err := io.ReadFull(rand, f[12:24]); err != nil {
		return nil, err
	}
	copy(f[24:], frameMark(k, f[:24]))
	return gcm(k.frame).Seal(f, f[12:24], plain, frameAAD(f, c)), nil
}

// frameMark authenticates a frame header by itself, so that a damaged length
// is not mistaken for a frame that a power loss cut short.
func frameMark(k keys, header []byte) []byte {
	m := hmac.New(sha256.New, k.mark)
	m.Write(header)
	return m.Sum(nil)[:16]
}

func frameAAD(f []byte, c chain) []byte {
	return append(append(make([]byte, 0, 56), f[:frameHeaderSize]...), c.last[:]...)
}

// validHeader reports whether b begins with a frame header of this journal.
func validHeader(k keys, b []byte) (length int, seq uint64, ok bool) {
	if len(b) < frameHeaderSize {
		return 0, 0, false
	}
	n := binary.BigEndian.Uint32(b)
	if n < 4+tagSize || n > maxFrame || (n+frameHeaderSize)%frameAlign != 0 {
		return 0, 0, false
	}
	ok = hmac.Equal(b[24:frameHeaderSize], frameMark(k, b[:24]))
	return int(n), binary.BigEndian.Uint64(b[4:]), ok
}

// errFrame is a frame that is not there as written; replay decides whether it
// is torn or damaged.
var errFrame = errors.New("vault: bad frame")

// openFrame opens the frame at the start of b, which follows c.
func openFrame(k keys, c chain, b []byte) (Batch, chain, error) {
	length, seq, ok := validHeader(k, b)
	total := frameHeaderSize + length
	if !ok || seq != c.seq || len(b) < total {
		return nil, c, errFrame
	}
	plain, err := gcm(k.frame).Open(nil, b[12:24], b[frameHeaderSize:total], frameAAD(b, c))
	if err != nil {
		return nil, c, errFrame
	}
	batch, err := parseBatch(plain)
	next := chain{c.seq + 1, [tagSize]byte(b[total-tagSize : total]), c.end + int64(total)}
	return batch, next, err
}

// parseBatch reads the plaintext of a frame.
func parseBatch(b []byte) (Batch, error) {
	s := cryptobyte.String(b)
	var count uint32
	if !s.ReadUint32(&count) {
		return nil, errFrame
	}
	var batch Batch
	for range count {
		var op uint8
		ok := s.ReadUint8(&op)
		name, value, good := readRecord(&s)
		if !ok || !good || op != opPut && (op != opDelete || len(value) > 0) {
			return nil, errFrame
		}
		if op == opDelete {
			value = nil
		}
		batch = append(batch, Write{name, value})
	}
	if len(s) >= frameAlign || !zeros(s) {
		return nil, errFrame
	}
	return batch, nil
}

// replay applies the frames of a journal to r and returns where it ends. A
// last frame that a power loss tore is left out: it was never acknowledged.
// The rest of the file from chain.end on is then to be cut off.
func replay(k keys, name string, hash [32]byte, b []byte, r *records) (chain, error) {
	c := chain{end: journalHeaderSize}
	if err := checkJournalHeader(name, hash, b); err != nil {
		return chain{}, err
	}
	if len(b) < journalHeaderSize || string(b[:journalHeaderSize]) != string(journalHeader(hash)) {
		if later(k, 0, b) {
			return chain{}, damaged(name, "header")
		}
		return chain{}, nil // torn before anything was acknowledged
	}
	for int(c.end) < len(b) {
		batch, next, err := openFrame(k, c, b[c.end:])
		if err != nil {
			if torn(k, c, b) {
				return c, nil
			}
			return c, damaged(name, fmt.Sprintf("frame %d", c.seq))
		}
		r.apply(batch)
		for _, w := range batch {
			clear(w.Value)
		}
		c = next
	}
	return c, nil
}

// checkJournalHeader refuses a header that is neither right nor torn.
func checkJournalHeader(name string, hash [32]byte, b []byte) error {
	want := journalHeader(hash)
	if len(b) < journalHeaderSize || string(b[:journalHeaderSize]) == string(want) {
		return nil
	}
	if zeros(b[:min(len(b), sectorSize)]) {
		return nil
	}
	v := binary.BigEndian.Uint16(b[len(journalMagic):])
	if string(b[:len(journalMagic)]) == journalMagic && v > version {
		return newer(name)
	}
	return damaged(name, "header")
}

// later reports whether a frame that follows frame seq begins after the start
// of b, at any place that a frame may begin at.
func later(k keys, seq uint64, b []byte) bool {
	for i := frameAlign; i < len(b); i += frameAlign {
		if _, n, ok := validHeader(k, b[i:]); ok && n > seq {
			return true
		}
	}
	return false
}

// torn reports whether what begins at c.end can be what a power loss left of
// the one frame that was not yet acknowledged: too short, or with a sector
// that never reached the disk. A frame is written only after the one before
// it was synced, so a valid later frame means that this one was acknowledged
// and is damaged.
func torn(k keys, c chain, b []byte) bool {
	rest := b[c.end:]
	if later(k, c.seq, rest) {
		return false
	}
	if len(rest) < frameHeaderSize {
		return true
	}
	length, seq, ok := validHeader(k, rest)
	if ok && seq != c.seq {
		return false
	}
	total := frameHeaderSize + length
	if ok && len(rest) != total {
		return len(rest) < total
	}
	for at := c.end; at < int64(len(b)); {
		next := min((at/sectorSize+1)*sectorSize, int64(len(b)))
		if zeros(b[at:next]) {
			return true
		}
		at = next
	}
	return false
}
